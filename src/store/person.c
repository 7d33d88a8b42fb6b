#include <string.h>

#include "store/driver.h"
#include "store/store.h"

#define COLUMNS "id, name, roles, state, fingerprint, key, cert_expires, created_at, changed_at"

static void read_person(struct statement *st, struct store_person *p)
{
    *p = (struct store_person){.id = driver_int(st, 0),
                               .roles = (uint8_t)driver_int(st, 2),
                               .state = (enum store_party_state)driver_int(st, 3),
                               .cert_expires = driver_int(st, 6),
                               .created_at = driver_int(st, 7),
                               .changed_at = driver_int(st, 8)};
    driver_text(st, 1, p->name, sizeof(p->name));
    (void)driver_blob(st, 4, p->fingerprint, sizeof(p->fingerprint));
    (void)driver_blob(st, 5, p->key, sizeof(p->key));
}

enum b_code store_person_put(struct store *s, struct store_person *p, struct b_err *err)
{
    static const char insert[] = "INSERT INTO person (name, roles, state, fingerprint, key,"
                                 " cert_expires, created_at, changed_at)"
                                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    static const char update[] = "UPDATE person SET name = ?, roles = ?, state = ?,"
                                 " fingerprint = ?, key = ?, cert_expires = ?, created_at = ?,"
                                 " changed_at = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, p->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, p->name);
    driver_bind_int(st, 2, p->roles);
    driver_bind_int(st, 3, p->state);
    store_bind_digest(st, 4, p->fingerprint);
    driver_bind_blob(st, 5, p->key, sizeof(p->key));
    driver_bind_int(st, 6, p->cert_expires);
    driver_bind_int(st, 7, p->created_at);
    driver_bind_int(st, 8, p->changed_at);
    if (p->id != 0)
        driver_bind_int(st, 9, p->id);
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "there is a person %s already, or the certificate is another's",
                        p->name);
    if (r == B_OK && p->id == 0)
        p->id = driver_last_id(s->driver);
    return r;
}

static enum b_code take_one(struct statement *st, struct store_person *ret, struct b_err *err)
{
    enum b_code r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no such person");
    if (r == B_OK)
        read_person(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_person_by_id(struct store *s, int64_t id, struct store_person *ret,
                               struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM person WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    return take_one(st, ret, err);
}

enum b_code store_person_by_fingerprint(struct store *s, const uint8_t fingerprint[static 32],
                                        struct store_person *ret, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT " COLUMNS " FROM person WHERE fingerprint = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_blob(st, 1, fingerprint, 32);
    return take_one(st, ret, err);
}

enum b_code store_person_each(struct store *s, int64_t after_id,
                              bool (*fn)(void *ctx, const struct store_person *p), void *ctx,
                              struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT " COLUMNS " FROM person WHERE id > ? ORDER BY id", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, after_id);
    struct store_person p;
    while ((r = driver_step(st, err)) == B_OK) {
        read_person(st, &p);
        if (!fn(ctx, &p))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
