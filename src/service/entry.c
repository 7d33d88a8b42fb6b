/*
 * An entry of the journal: JSON with sorted keys and no spaces, one leaf of the tree.
 *
 *   {"actor":"station:7","at":1795464000,"badge":12,"detail":{…},"kind":"tap","outcome":"ok",
 *    "personal":"<base64>","request":"…","state":{"badge:12":"<base64>"},"station":7}
 *
 * personal: SHA-256(salt || text beside the tree). state: digests of the records as they are now.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "service/change.h"
#include "service/outbox.h"
#include "service/record.h"
#include "service/signon.h"

/* --- digests of records ------------------------------------------------------------------------
 */

/* tapped_at and tapped_station are not in it: they are of the last tap that the journal tells. */
void service_digest_badge(const struct store_badge *b, uint8_t out[static 32])
{
    struct record k;
    begin(&k, b->salt, sizeof(b->salt));
    number(&k, b->id);
    block(&k, b->uid, sizeof(b->uid));
    block(&k, b->serial, b->serial_len);
    number(&k, b->state);
    text(&k, b->holder_ref);
    text(&k, b->holder_name);
    text(&k, b->profile_id);
    number(&k, b->profile_revision);
    number(&k, b->ev);
    block(&k, b->generation, sizeof(b->generation));
    text(&k, b->reason);
    number(&k, b->created_at);
    number(&k, b->changed_at);
    number(&k, b->not_before);
    number(&k, b->not_after);
    number(&k, b->is_temporary);
    if (b->batch_id != 0 || b->is_in_office) /* so that digests from before stay what they are */
        number(&k, b->batch_id);
    if (b->is_in_office)
        number(&k, b->is_in_office);
    end(&k, out);
}

void service_digest_holder(const struct store_holder *h, uint8_t out[static 32])
{
    struct record k;
    begin(&k, h->salt, sizeof(h->salt));
    number(&k, h->id);
    text(&k, h->ref);
    text(&k, h->name);
    number(&k, h->state);
    block(&k, h->pin, h->pin_len);
    number(&k, h->pin_tries);
    number(&k, h->pin_failed_at);
    number(&k, h->is_pin_locked);
    number(&k, h->full_at);
    text(&k, h->full_zone);
    end(&k, out);
}

void service_digest_station(const struct store_station *t, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, t->id);
    text(&k, t->name);
    text(&k, t->group);
    text(&k, t->zone);
    number(&k, t->state);
    block(&k, t->fingerprint, sizeof(t->fingerprint));
    block(&k, t->next, sizeof(t->next));
    block(&k, t->code, sizeof(t->code));
    number(&k, t->code_expires);
    number(&k, t->cert_expires);
    number(&k, t->created_at);
    number(&k, t->changed_at);
    end(&k, out);
}

void service_digest_person(const struct store_person *p, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, p->id);
    text(&k, p->name);
    number(&k, p->roles);
    number(&k, p->state);
    block(&k, p->fingerprint, sizeof(p->fingerprint));
    block(&k, p->key, sizeof(p->key));
    number(&k, p->cert_expires);
    number(&k, p->created_at);
    number(&k, p->changed_at);
    end(&k, out);
}

void service_digest_generation(const struct store_generation *g, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, g->role);
    number(&k, g->generation);
    number(&k, g->state);
    text(&k, g->kcv_method);
    block(&k, g->kcv, sizeof(g->kcv));
    number(&k, g->created_at);
    if (g->compromised_at != 0) /* so that digests of those that never were stay what they are */
        number(&k, g->compromised_at);
    end(&k, out);
}

void service_digest_intent(const struct store_intent *i, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, i->id);
    block(&k, i->uid, sizeof(i->uid));
    block(&k, i->plan_digest, sizeof(i->plan_digest));
    number(&k, i->step);
    text(&k, i->action);
    number(&k, i->aid);
    number(&k, i->no);
    number(&k, i->from_generation);
    number(&k, i->to_generation);
    number(&k, i->at);
    number(&k, i->is_effective);
    end(&k, out);
}

void service_digest_campaign(const struct store_campaign *c, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, c->id);
    number(&k, c->role);
    number(&k, c->generation);
    number(&k, c->state);
    number(&k, c->pace);
    number(&k, c->pause_percent);
    number(&k, (int64_t)c->window);
    number(&k, c->window_count);
    number(&k, (int64_t)c->done);
    number(&k, (int64_t)c->failed);
    text(&k, c->why);
    number(&k, c->tries_from);
    number(&k, c->started_at);
    number(&k, c->changed_at);
    end(&k, out);
}

void service_digest_rekey(const struct store_rekey *v, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, v->badge_id);
    number(&k, v->roles);
    text(&k, v->outcome);
    number(&k, v->tries);
    number(&k, v->station_id);
    number(&k, v->at);
    end(&k, out);
}

/* A long field goes in as its own digest. */
static void long_block(struct record *k, const void *p, size_t n)
{
    uint8_t digest[32];
    crypto_sha256(p, n, digest);
    number(k, (int64_t)n);
    block(k, digest, sizeof(digest));
}

void service_digest_reply(const struct store_reply *r, uint8_t out[static 32])
{
    struct record k;
    begin(&k, r->salt, sizeof(r->salt));
    number(&k, r->id);
    text(&k, r->caller);
    text(&k, r->key);
    block(&k, r->request, sizeof(r->request));
    number(&k, r->status);
    number(&k, r->at);
    long_block(&k, r->body, strlen(r->body));
    end(&k, out);
}

void service_digest_proposal(const struct store_proposal *p, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, p->id);
    text(&k, p->action);
    long_block(&k, p->text, strlen(p->text));
    number(&k, p->proposer);
    number(&k, p->state);
    number(&k, p->created_at);
    number(&k, p->expires_at);
    end(&k, out);
}

void service_digest_approval(const struct store_approval *a, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, a->id);
    number(&k, a->proposal);
    number(&k, a->person);
    block(&k, a->signature, sizeof(a->signature));
    end(&k, out);
}

void service_digest_setting(const struct store_setting *v, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, v->id);
    text(&k, v->name);
    long_block(&k, v->value, v->n);
    end(&k, out);
}

void service_digest_establishment(const struct store_establishment *e, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    text(&k, e->finess);
    text(&k, e->name);
    block(&k, e->system, e->system_len);
    text(&k, e->profile_id);
    end(&k, out);
}

void service_digest_finding(const struct store_finding *f, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, f->id);
    block(&k, f->uid, sizeof(f->uid));
    number(&k, f->found);
    number(&k, f->ev);
    number(&k, f->at);
    end(&k, out);
}

void service_digest_stored(const struct store_stored *v, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, v->id);
    block(&k, v->badge, v->badge_len);
    number(&k, v->role);
    number(&k, v->generation);
    block(&k, v->wrapped, sizeof(v->wrapped));
    number(&k, v->at);
    end(&k, out);
}

void service_digest_given(const struct store_given *v, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, v->id);
    text(&k, v->name);
    text(&k, v->type);
    text(&k, v->kcv_method);
    block(&k, v->kcv, sizeof(v->kcv));
    block(&k, v->wrapped, v->wrapped_len);
    text(&k, v->by);
    number(&k, v->at);
    number(&k, v->forgotten_at);
    end(&k, out);
}

void service_digest_batch(const struct store_batch *b, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, b->id);
    text(&k, b->name);
    text(&k, b->supplier);
    text(&k, b->transport_key);
    number(&k, b->count);
    number(&k, b->at);
    end(&k, out);
}

void service_digest_card_event(const struct store_card_event *e, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, e->id);
    number(&k, e->kind);
    number(&k, e->batch_id);
    number(&k, e->badge_id);
    number(&k, e->count);
    text(&k, e->reason);
    number(&k, e->at);
    end(&k, out);
}

void service_digest_signing_key(const struct store_signing_key *s, uint8_t out[static 32])
{
    struct record k;
    begin(&k, NULL, 0);
    number(&k, s->id);
    text(&k, s->kid);
    number(&k, s->alg);
    number(&k, s->state);
    long_block(&k, s->public_key, s->public_len);
    long_block(&k, s->wrapped, s->wrapped_len);
    number(&k, s->created_at);
    number(&k, s->activated_at);
    number(&k, s->retired_at);
    end(&k, out);
}

static bool add_foreign(void *ctx, const struct store_foreign *f)
{
    uint8_t *digest = ctx;
    struct record k;
    begin(&k, digest, 32);
    number(&k, f->id);
    number(&k, f->import);
    number(&k, f->line);
    block(&k, f->uid, sizeof(f->uid));
    text(&k, f->ref);
    text(&k, f->name);
    number(&k, f->status);
    text(&k, f->note);
    end(&k, digest);
    return true;
}

enum b_code service_digest_fleet_import(struct store *s, const struct store_fleet_import *i,
                                        uint8_t out[static 32], struct b_err *err)
{
    struct record k;
    begin(&k, i->salt, sizeof(i->salt));
    number(&k, i->id);
    text(&k, i->name);
    number(&k, i->count);
    number(&k, i->at);
    end(&k, out);
    return store_foreign_each(s, i->id, add_foreign, out, err);
}

/* --- rows that wait for an entry ---------------------------------------------------------------
 */

static uint8_t *vouch(struct service_change *c, const char *what, int64_t id)
{
    b_check(c->vouched_count < SERVICE_VOUCHED_MAX);
    struct service_vouched *v = &c->vouched[c->vouched_count++];
    v->what = what;
    v->id = id;
    return v->digest;
}

void service_vouch_intent(struct service_change *c, const struct store_intent *i)
{
    service_digest_intent(i, vouch(c, "intent", i->id));
}

void service_vouch_campaign(struct service_change *c, const struct store_campaign *k)
{
    service_digest_campaign(k, vouch(c, "campaign", k->id));
}

void service_vouch_rekey(struct service_change *c, const struct store_rekey *k)
{
    service_digest_rekey(k, vouch(c, "rekey", k->badge_id));
}

void service_vouch_reply(struct service_change *c, const struct store_reply *r)
{
    service_digest_reply(r, vouch(c, "reply", r->id));
}

void service_vouch_proposal(struct service_change *c, const struct store_proposal *p)
{
    service_digest_proposal(p, vouch(c, "proposal", p->id));
}

void service_vouch_approval(struct service_change *c, const struct store_approval *a)
{
    service_digest_approval(a, vouch(c, "approval", a->id));
}

enum b_code service_vouch_fleet_import(struct service_change *c, const struct store_fleet_import *i,
                                       struct b_err *err)
{
    return service_digest_fleet_import(c->store, i, vouch(c, "fleet-import", i->id), err);
}

void service_vouch_batch(struct service_change *c, const struct store_batch *b)
{
    service_digest_batch(b, vouch(c, "batch", b->id));
}

void service_vouch_card_event(struct service_change *c, const struct store_card_event *e)
{
    service_digest_card_event(e, vouch(c, "card-event", e->id));
}

void service_vouch_signing_key(struct service_change *c, const struct store_signing_key *k)
{
    service_digest_signing_key(k, vouch(c, "signing-key", k->id));
}

void service_vouch_stored(struct service_change *c, const struct store_stored *k)
{
    service_digest_stored(k, vouch(c, "stored-key", k->id));
}

void service_vouch_given(struct service_change *c, const struct store_given *k)
{
    service_digest_given(k, vouch(c, "given-key", k->id));
}

void service_vouch_finding(struct service_change *c, const struct store_finding *f)
{
    service_digest_finding(f, vouch(c, "finding", f->id));
}

void service_vouch_establishment(struct service_change *c, const struct store_establishment *e)
{
    service_digest_establishment(e, vouch(c, "establishment", 1));
}

void service_vouch_user(struct service_change *c, const struct store_user *u)
{
    service_digest_user(u, vouch(c, "staff", u->id));
}

void service_vouch_token(struct service_change *c, const struct store_token *t)
{
    service_digest_token(t, vouch(c, "scim-token", t->id));
}

enum b_code service_vouch_team(struct service_change *c, const struct store_team *t,
                               struct b_err *err)
{
    return service_digest_team(c->store, t, vouch(c, "team", t->id), err);
}

enum b_code service_setting_put(struct service_change *c, const char *name, const void *p, size_t n,
                                struct b_err *err)
{
    struct store_setting v = {.value = p, .n = n};
    (void)snprintf(v.name, sizeof(v.name), "%s", name);
    enum b_code r = store_setting_put(c->store, name, p, n, err);
    if (r == B_OK)
        r = store_setting_id(c->store, name, &v.id, err);
    if (r == B_OK)
        service_digest_setting(&v, vouch(c, "setting", v.id));
    return r;
}

/* --- the entry ---------------------------------------------------------------------------------
 */

static void put_digest(json_t *to, const char *name, const uint8_t digest[static 32])
{
    char encoded[48];
    b_check(b_base64(encoded, sizeof(encoded), digest, 32));
    (void)json_object_set_new(to, name, json_string(encoded));
}

static void put_state(json_t *state, const char *what, int64_t id, const uint8_t digest[static 32])
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%s:%lld", what, (long long)id);
    put_digest(state, name, digest);
}

static json_t *states(const struct service_change *c, const struct service_entry *e)
{
    json_t *state = json_object();
    uint8_t digest[32];
    for (size_t i = 0; i < c->vouched_count; i++)
        put_state(state, c->vouched[i].what, c->vouched[i].id, c->vouched[i].digest);
    if (e->badge != NULL) {
        service_digest_badge(e->badge, digest);
        put_state(state, "badge", e->badge->id, digest);
    }
    if (e->holder != NULL) {
        service_digest_holder(e->holder, digest);
        put_state(state, "holder", e->holder->id, digest);
    }
    if (e->station != NULL) {
        service_digest_station(e->station, digest);
        put_state(state, "station", e->station->id, digest);
    }
    if (e->person != NULL) {
        service_digest_person(e->person, digest);
        put_state(state, "person", e->person->id, digest);
    }
    if (e->generation != NULL) {
        char what[32];
        (void)snprintf(what, sizeof(what), "key:%s", key_role_name(e->generation->role));
        service_digest_generation(e->generation, digest);
        put_state(state, what, e->generation->generation, digest);
    }
    return state;
}

/* Personal data stands beside the tree; the tree holds a salted digest of it. */
static void put_personal(json_t *body, json_t *personal, struct store_entry *row,
                         uint8_t salt[static 16], char **ret_text)
{
    uint8_t digest[32];
    *ret_text = json_dumps(personal, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(personal);
    if (*ret_text == NULL)
        return;
    crypto_random(salt, 16);
    crypto_sha256_two(salt, 16, *ret_text, strlen(*ret_text), digest);
    put_digest(body, "personal", digest);
    row->personal = *ret_text;
    row->salt = salt;
}

static json_t *describe(const struct service_change *c, const struct service_entry *e)
{
    int64_t badge = e->badge != NULL ? e->badge->id : e->badge_id;
    int64_t station = e->station != NULL ? e->station->id : e->station_id;
    json_t *body = json_pack("{s:s, s:I, s:s, s:s}", "actor", c->actor, "at", (json_int_t)c->now,
                             "kind", e->kind, "outcome", b_code_name(e->outcome));
    json_t *state = states(c, e);
    if (json_object_size(state) > 0)
        (void)json_object_set(body, "state", state);
    json_decref(state);
    if (badge != 0)
        (void)json_object_set_new(body, "badge", json_integer(badge));
    if (station != 0)
        (void)json_object_set_new(body, "station", json_integer(station));
    if (c->request[0] != '\0')
        (void)json_object_set_new(body, "request", json_string(c->request));
    if (e->detail != NULL)
        (void)json_object_set_new(body, "detail", e->detail);
    return body;
}

static enum b_code append(struct service_change *c, struct store_entry *row, struct b_err *err)
{
    uint8_t leaf[JOURNAL_HASH];
    uint8_t hashes[JOURNAL_LEVELS][JOURNAL_HASH];
    uint64_t id = journal_hash_count(c->edge->size);
    row->index = c->edge->size;
    enum b_code r = store_entry_add(c->store, row, err);
    journal_leaf_hash(row->body, row->body_len, leaf);
    size_t count = journal_edge_append(c->edge, leaf, hashes);
    for (size_t i = 0; r == B_OK && i < count; i++)
        r = store_hash_add(c->store, id + i, hashes[i], err);
    return r;
}

enum b_code service_log(struct service_change *c, struct service_entry e, struct b_err *err)
{
    struct store_entry row = {.badge_id = e.badge != NULL ? e.badge->id : e.badge_id,
                              .subject = e.subject != NULL ? e.subject : ""};
    uint8_t salt[16];
    char *beside = NULL;
    json_t *body = describe(c, &e);
    c->vouched_count = 0;
    if (e.personal != NULL)
        put_personal(body, e.personal, &row, salt, &beside);
    char *leaf = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(body);
    enum b_code r = B_OK;
    row.body = leaf;
    row.body_len = leaf != NULL ? strlen(leaf) : 0;
    if (leaf == NULL || (e.personal != NULL && beside == NULL))
        r = b_err_set(err, B_E_NO_MEMORY, 0, "writing the journal");
    else if (row.body_len > STORE_ENTRY_MAX)
        r = b_err_set(err, B_E_INTERNAL, 0, "an entry of %zu bytes", row.body_len);
    if (r == B_OK)
        r = append(c, &row, err);
    if (r == B_OK)
        r = service_outbox_note(c, &e, row.index, err);
    free(leaf);
    free(beside);
    return r == B_OK ? service_signon_stopped(c, &e, err) : r;
}
