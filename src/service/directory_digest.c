/* Digests of what the directory says, for the journal. */
#include "service/change.h"
#include "service/record.h"

void service_digest_user(const struct store_user *u, uint8_t out[static 32])
{
    struct record k;
    begin(&k, u->salt, sizeof(u->salt));
    number(&k, u->id);
    text(&k, u->user_name);
    text(&k, u->external_id);
    text(&k, u->formatted);
    text(&k, u->given);
    text(&k, u->family);
    text(&k, u->department);
    text(&k, u->national);
    number(&k, u->verified_at);
    number(&k, u->wish);
    number(&k, u->wished_at);
    number(&k, u->is_held);
    number(&k, u->is_stopped);
    number(&k, u->ends_at);
    text(&k, u->source);
    number(&k, u->created_at);
    number(&k, u->changed_at);
    end(&k, out);
}

void service_digest_token(const struct store_token *t, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, t->id);
    text(&k, t->name);
    number(&k, t->rights);
    block(&k, t->digest, sizeof(t->digest));
    number(&k, t->created_at);
    number(&k, t->expires_at);
    number(&k, t->revoked_at);
    end(&k, out);
}

static bool add_member(void *ctx, const struct store_member *m)
{
    uint8_t *digest = ctx;
    struct record k;
    begin(&k, digest, 32);
    number(&k, m->id);
    end(&k, digest);
    return true;
}

enum b_code service_digest_team(struct store *s, const struct store_team *t, uint8_t out[static 32],
                                struct b_err *err)
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, t->id);
    text(&k, t->name);
    text(&k, t->external_id);
    number(&k, t->created_at);
    number(&k, t->changed_at);
    end(&k, out);
    return store_member_each(s, t->id, add_member, out, err);
}
