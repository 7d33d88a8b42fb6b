#include "support/vector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"

const char *vector_path(const char *file)
{
    static char path[1024];
    const char *folder = getenv("TESSERE_VECTORS");
    assert_non_null(folder);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    return path;
}

json_t *vector_load(const char *file)
{
    json_t *root = json_load_file(vector_path(file), 0, NULL);
    assert_non_null(root);
    return root;
}

const char *vector_text(const json_t *v, const char *name)
{
    return json_string_value(json_object_get(v, name));
}

size_t vector_hex(const json_t *v, const char *name, uint8_t *out, size_t cap)
{
    const char *text = vector_text(v, name);
    struct b_wr w = b_wr_from(out, cap);
    if (text == NULL)
        return 0;
    assert_true(b_unhex(&w, text));
    return w.len;
}
