#include <string.h>

#include "store/driver.h"
#include "store/store.h"

#define COLUMNS "id, action, text, proposer, state, created_at, expires_at"

const char *store_proposal_state_name(enum store_proposal_state st)
{
    static const char *const names[] = {N_("open"), N_("done"), N_("rejected"), N_("expired")};
    return (size_t)st < B_COUNT(names) ? names[st] : "?";
}

static void read_proposal(struct statement *st, struct store_proposal *p)
{
    *p = (struct store_proposal){.id = driver_int(st, 0),
                                 .proposer = driver_int(st, 3),
                                 .state = (enum store_proposal_state)driver_int(st, 4),
                                 .created_at = driver_int(st, 5),
                                 .expires_at = driver_int(st, 6)};
    driver_text(st, 1, p->action, sizeof(p->action));
    driver_text(st, 2, p->text, sizeof(p->text));
}

enum b_code store_proposal_put(struct store *s, struct store_proposal *p, struct b_err *err)
{
    static const char insert[] = "INSERT INTO proposal (action, text, proposer, state, created_at,"
                                 " expires_at) VALUES (?, ?, ?, ?, ?, ?)";
    static const char update[] = "UPDATE proposal SET action = ?, text = ?, proposer = ?,"
                                 " state = ?, created_at = ?, expires_at = ? WHERE id = ?";
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, p->id == 0 ? insert : update, &st, err);
    if (r != B_OK)
        return r;
    driver_bind_text(st, 1, p->action);
    driver_bind_text(st, 2, p->text);
    driver_bind_int(st, 3, p->proposer);
    driver_bind_int(st, 4, p->state);
    driver_bind_int(st, 5, p->created_at);
    driver_bind_int(st, 6, p->expires_at);
    if (p->id != 0)
        driver_bind_int(st, 7, p->id);
    r = store_run(&st, err);
    if (r == B_OK && p->id == 0)
        p->id = driver_last_id(s->driver);
    return r;
}

enum b_code store_proposal_by_id(struct store *s, int64_t id, struct store_proposal *ret,
                                 struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(s, "SELECT " COLUMNS " FROM proposal WHERE id = ?", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, id);
    r = driver_step(st, err);
    if (r == B_E_NOT_FOUND)
        (void)b_err_set(err, r, 0, "no such proposal");
    if (r == B_OK)
        read_proposal(st, ret);
    driver_finish(&st);
    return r;
}

enum b_code store_proposal_each(struct store *s, int64_t after_id,
                                bool (*fn)(void *ctx, const struct store_proposal *p), void *ctx,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r =
        store_prepare(s, "SELECT " COLUMNS " FROM proposal WHERE id > ? ORDER BY id", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, after_id);
    struct store_proposal p;
    while ((r = driver_step(st, err)) == B_OK) {
        read_proposal(st, &p);
        if (!fn(ctx, &p))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

enum b_code store_approval_add(struct store *s, struct store_approval *a, struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "INSERT INTO approval (proposal, person, signature) VALUES (?, ?, ?)", &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, a->proposal);
    driver_bind_int(st, 2, a->person);
    driver_bind_blob(st, 3, a->signature, sizeof(a->signature));
    r = store_run(&st, err);
    if (r == B_E_DUPLICATE)
        (void)b_err_set(err, r, 0, "this person has approved it already");
    if (r == B_OK)
        a->id = driver_last_id(s->driver);
    return r;
}

static void read_approval(struct statement *st, struct store_approval *a)
{
    *a = (struct store_approval){
        .id = driver_int(st, 0), .proposal = driver_int(st, 1), .person = driver_int(st, 2)};
    (void)driver_blob(st, 3, a->signature, sizeof(a->signature));
}

enum b_code store_approval_list(struct store *s, int64_t proposal, struct store_approval *as,
                                size_t cap, size_t *ret_count, struct b_err *err)
{
    struct statement *st = NULL;
    size_t n = 0;
    enum b_code r = store_prepare(
        s,
        "SELECT id, proposal, person, signature FROM approval WHERE proposal = ? ORDER BY person",
        &st, err);
    if (r != B_OK)
        return r;
    driver_bind_int(st, 1, proposal);
    while (n < cap && (r = driver_step(st, err)) == B_OK)
        read_approval(st, &as[n++]);
    driver_finish(&st);
    *ret_count = n;
    return r == B_E_NOT_FOUND || n == cap ? B_OK : r;
}

enum b_code store_approval_each(struct store *s,
                                bool (*fn)(void *ctx, const struct store_approval *a), void *ctx,
                                struct b_err *err)
{
    struct statement *st = NULL;
    enum b_code r = store_prepare(
        s, "SELECT id, proposal, person, signature FROM approval ORDER BY id", &st, err);
    while (r == B_OK && (r = driver_step(st, err)) == B_OK) {
        struct store_approval a;
        read_approval(st, &a);
        if (!fn(ctx, &a))
            break;
    }
    driver_finish(&st);
    return r == B_E_NOT_FOUND ? B_OK : r;
}
