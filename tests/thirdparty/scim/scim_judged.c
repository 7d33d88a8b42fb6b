/* Does on each line of its input what it says, and prints a line: {"filter", "resource"} gives
 * true, false or null (refused); {"patch", "resource"} the resource afterwards or null. For judges.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scim/scim.h"

static json_t *judge_filter(const char *text, const json_t *resource)
{
    struct scim_filter *f = NULL;
    struct b_err err = {0};
    if (scim_filter_read(SCIM_TYPE_USER, NULL, text, strlen(text), &f, &err) != B_OK)
        return json_null();
    json_t *ret = json_boolean(scim_filter_fits(f, resource));
    scim_filter_free(&f);
    return ret;
}

static json_t *judge_patch(const json_t *patch, json_t *resource)
{
    struct b_err err = {0};
    bool is_group = json_object_get(resource, "members") != NULL;
    if (scim_patch(is_group ? SCIM_TYPE_GROUP : SCIM_TYPE_USER, resource, patch, &err) != B_OK)
        return json_null();
    return json_incref(resource);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, stdin) > 0) {
        json_t *asked = json_loads(line, 0, NULL);
        json_t *resource = json_object_get(asked, "resource");
        const char *filter = json_string_value(json_object_get(asked, "filter"));
        json_t *answer = filter != NULL ? judge_filter(filter, resource)
                                        : judge_patch(json_object_get(asked, "patch"), resource);
        (void)json_dumpf(answer, stdout, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
        (void)putchar('\n');
        json_decref(answer);
        json_decref(asked);
    }
    free(line);
    return 0;
}
