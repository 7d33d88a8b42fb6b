/* The PINs of holders, set and unlocked at the badge office. */
#include "service/policy.h"
#include "service/station.h"

#include <string.h>

struct pin_change {
    const char *ref, *kind;
    const uint8_t *record; /* NULL: only the lock ends */
    size_t record_len;
};

static enum b_code note_pin(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct pin_change *k = ctx;
    struct store_holder h;
    enum b_code r = store_holder_by_ref(c->store, k->ref, &h, err);
    if (r != B_OK)
        return r;
    if (k->record != NULL) {
        memcpy(h.pin, k->record, k->record_len);
        h.pin_len = k->record_len;
        h.full_at = 0;
    }
    h.pin_tries = 0;
    h.is_pin_locked = false;
    r = store_holder_put(c->store, &h, err);
    return r == B_OK ? service_log(c, (struct service_entry){.kind = k->kind, .holder = &h}, err)
                     : r;
}

enum b_code service_pin_set(struct service *sv, const char *ref, struct b_rd box, struct b_err *err)
{
    uint8_t record[VAULT_PIN_RECORD_MAX];
    const struct policy *policy = service_policy(sv);
    struct pin_change k = {.ref = ref, .kind = "pin-set", .record = record};
    const struct vault_pin pin = {
        .ref = ref, .box = box, .min = policy->pin_min, .max = policy->pin_max};
    static_assert(sizeof(record) <= STORE_PIN_RECORD_MAX, "a record fits its row");
    enum b_code r = vault_pin_set(sv->vault, &pin, record, &k.record_len, err);
    return r == B_OK ? service_change(sv, note_pin, &k, err) : r;
}

enum b_code service_pin_unlock(struct service *sv, const char *ref, struct b_err *err)
{
    struct pin_change k = {.ref = ref, .kind = "pin-unlock"};
    return service_change(sv, note_pin, &k, err);
}
