/* Claims of a token: what the vault reads as an object, another reader reads as the same object.
 * jansson, which bounds numbers, judges. */
#include <jansson.h>
#include <string.h>

#include "vault/claims.h"

static void compare(const struct vaultd_member *m, const json_t *o)
{
    char name[256] = {0};
    if (m->name.left >= sizeof(name) || memchr(m->name.p, '\0', m->name.left) != NULL)
        return;
    memcpy(name, m->name.p, m->name.left);
    json_t *there = json_object_get(o, name);
    json_t *here = json_loadb((const char *)m->value.p, m->value.left, JSON_DECODE_ANY, NULL);
    b_check(there != NULL && here != NULL && json_equal(there, here) == 1);
    json_decref(here);
    int64_t n = 0;
    const struct vaultd_members one = {.count = 1, .items = {*m}};
    if (vaultd_member_integer(&one, name, &n))
        b_check(n == json_integer_value(there));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct vaultd_members m;
    json_error_t e = {.line = 0};
    if (!vaultd_members(b_rd_from(data, size), &m))
        return 0;
    b_check(m.count <= VAULTD_MEMBERS_MAX && m.body.left + 2 == size);
    json_t *o = json_loadb((const char *)data, size, 0, &e);
    if (o == NULL) {
        b_check(json_error_code(&e) == json_error_numeric_overflow);
        return 0;
    }
    b_check(json_is_object(o) && json_object_size(o) == m.count);
    for (size_t i = 0; i < m.count; i++)
        compare(&m.items[i], o);
    json_decref(o);
    return 0;
}
