#include "service/verify.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/sign.h"
#include "service/change.h"

/* What the journal said last of the records of one kind, by their number. */
struct last {
    uint8_t (*digests)[32];
    bool *is_there;
    int64_t (*tapped)[2]; /* badges only: when, and at which station */
    size_t cap;
};

enum kind {
    BADGE,
    HOLDER,
    STATION,
    PERSON,
    GENERATION,
    INTENT,
    CAMPAIGN,
    REKEY,
    REPLY,
    PROPOSAL,
    APPROVAL,
    SETTING,
    ESTABLISHMENT,
    FLEET_IMPORT,
    FINDING,
    BATCH,
    CARD_EVENT,
    SIGNING_KEY,
    STORED,
    GIVEN,
    USER,
    TOKEN,
    TEAM,
    KINDS
};

static const char *const kind_names[KINDS] = {
    "badge",         "holder",       "station", "person",     "key",        "intent",
    "campaign",      "rekey",        "reply",   "proposal",   "approval",   "setting",
    "establishment", "fleet-import", "finding", "batch",      "card-event", "signing-key",
    "stored-key",    "given-key",    "staff",   "scim-token", "team"};

struct replay {
    struct store *store;
    const struct journal_signer *signer;
    struct journal_edge edge;
    struct last last[KINDS];
    uint64_t next, checkpoints_told;
    uint64_t erased_before;         /* data of entries up to here may be gone */
    uint64_t missing, missing_last; /* entries without the data that they commit to */
    int64_t listed;                 /* rows of lists that were verified */
    struct service_verified *found;
    struct b_err *err;
    enum b_code code;
};

static enum b_code broken(struct replay *k, uint64_t entry, const char *what)
{
    return k->code = b_err_set(k->err, B_E_JOURNAL_BROKEN, 0, "entry %" PRIu64 ": %s", entry,
                               b_err_word(what));
}

/* --- what the journal says ---------------------------------------------------------------------
 */

static bool reserve(struct last *l, size_t id)
{
    if (id < l->cap)
        return true;
    if (id > 100 * 1000 * 1000)
        return false;
    size_t cap = l->cap == 0 ? 1024 : l->cap;
    while (cap <= id)
        cap *= 2;
    uint8_t(*digests)[32] = realloc(l->digests, cap * sizeof(*digests));
    l->digests = digests != NULL ? digests : l->digests;
    bool *is_there = realloc(l->is_there, cap * sizeof(*is_there));
    l->is_there = is_there != NULL ? is_there : l->is_there;
    int64_t(*tapped)[2] = realloc(l->tapped, cap * sizeof(*tapped));
    l->tapped = tapped != NULL ? tapped : l->tapped;
    if (digests == NULL || is_there == NULL || tapped == NULL)
        return false;
    memset(l->is_there + l->cap, 0, (cap - l->cap) * sizeof(*is_there));
    memset(l->tapped + l->cap, 0, (cap - l->cap) * sizeof(*tapped));
    l->cap = cap;
    return true;
}

/* "badge:12", "key:auth:1": the kind and the number. Keys are numbered role * 256 + generation. */
static bool parse_object(const char *name, enum kind *kind, size_t *id)
{
    for (size_t i = 0; i < KINDS; i++) {
        size_t n = strlen(kind_names[i]);
        if (strncmp(name, kind_names[i], n) != 0 || name[n] != ':')
            continue;
        const char *rest = name + n + 1;
        size_t base = 0;
        if (i == GENERATION) {
            size_t role = 0;
            size_t length = strcspn(rest, ":");
            while (role < KEY_ROLE_ALL &&
                   (strlen(key_role_name((enum key_role)role)) != length ||
                    strncmp(key_role_name((enum key_role)role), rest, length) != 0))
                role++;
            if (role == KEY_ROLE_ALL || rest[length] != ':')
                return false;
            base = role * 256;
            rest += length + 1;
        }
        char *end = NULL;
        unsigned long long v = strtoull(rest, &end, 10);
        *kind = (enum kind)i;
        *id = base + (size_t)v;
        return *end == '\0' && end != rest;
    }
    return false;
}

static enum b_code take_states(struct replay *k, uint64_t index, const json_t *body)
{
    const char *name = NULL;
    json_t *v = NULL;
    json_object_foreach(json_object_get(body, "state"), name, v)
    {
        enum kind kind = BADGE;
        size_t id = 0;
        const char *text = json_string_value(v);
        uint8_t digest[32];
        struct b_wr w = b_wr_from(digest, sizeof(digest));
        if (text == NULL || strlen(text) != 44 || !b_unbase64(&w, text, 44) || w.len != 32 ||
            !parse_object(name, &kind, &id))
            return broken(k, index, "a record's digest cannot be read");
        if (!reserve(&k->last[kind], id))
            return k->code = b_err_set(k->err, B_E_NO_MEMORY, 0, "verifying the journal");
        memcpy(k->last[kind].digests[id], digest, sizeof(digest));
        k->last[kind].is_there[id] = true;
    }
    return B_OK;
}

static bool is_text(const json_t *o, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL && strcmp(text, wanted) == 0;
}

/* Personal data is what the entry commits to, or was erased by a later entry. */
static enum b_code take_personal(struct replay *k, const struct store_entry *e, const json_t *body)
{
    const char *text = json_string_value(json_object_get(body, "personal"));
    if (text == NULL)
        return e->personal == NULL ? B_OK
                                   : broken(k, e->index, "personal data that it does not name");
    if (e->personal == NULL) {
        k->missing++;
        k->missing_last = e->index;
        return B_OK;
    }
    uint8_t digest[32];
    char encoded[48];
    crypto_sha256_two(e->salt, 16, e->personal, strlen(e->personal), digest);
    if (!b_base64(encoded, sizeof(encoded), digest, sizeof(digest)) || strcmp(encoded, text) != 0)
        return broken(k, e->index, "its personal data was changed");
    json_t *personal = json_loads(e->personal, 0, NULL);
    const char *holder = json_string_value(json_object_get(personal, "holder"));
    bool is_subject = strcmp(e->subject, holder != NULL ? holder : "") == 0;
    json_decref(personal);
    k->found->personal++;
    return is_subject ? B_OK : broken(k, e->index, "its personal data is filed under another name");
}

static bool has_checkpoint(struct replay *k, json_int_t wanted)
{
    static char note[STORE_NOTE_MAX];
    uint64_t size = 0;
    return wanted >= 0 &&
           store_checkpoint_get(k->store, (uint64_t)wanted, &size, note, sizeof(note), k->err) ==
               B_OK &&
           size == (uint64_t)wanted;
}

/* Answers kept for repeated requests are forgotten after a day, up to one of them. */
static void take_forgotten(struct replay *k, const json_t *body)
{
    struct last *l = &k->last[REPLY];
    json_int_t up_to =
        json_integer_value(json_object_get(json_object_get(body, "detail"), "up_to"));
    for (size_t id = 0; id < l->cap && (json_int_t)id <= up_to; id++)
        l->is_there[id] = false;
}

/* A list that was taken back, a group that was deleted, is there no more. */
static void take_gone(struct replay *k, const json_t *body, enum kind kind, const char *name)
{
    json_int_t id = json_integer_value(json_object_get(json_object_get(body, "detail"), name));
    if (id >= 0 && (size_t)id < k->last[kind].cap)
        k->last[kind].is_there[id] = false;
}

/* What was carried out was witnessed by the vault, which saw the quorum's signatures. */
static enum b_code take_receipt(struct replay *k, uint64_t index, const json_t *body)
{
    static const char head[] = "tessere-receipt/v1\n";
    static struct store_proposal p;
    static char message[sizeof(head) + STORE_PROPOSAL_MAX];
    const json_t *detail = json_object_get(body, "detail");
    const char *hex = json_string_value(json_object_get(detail, "receipt"));
    uint8_t receipt[64];
    struct b_wr w = b_wr_from(receipt, sizeof(receipt));
    if (k->signer == NULL)
        return B_OK;
    if (store_proposal_by_id(k->store, json_integer_value(json_object_get(detail, "proposal")), &p,
                             k->err) != B_OK)
        return broken(k, index, "the proposal that was carried out is missing");
    int n = snprintf(message, sizeof(message), "%s%s", head, p.text);
    if (hex == NULL || !b_unhex(&w, hex) || w.len != sizeof(receipt) ||
        !crypto_ed25519_verify(k->signer->key, message, (size_t)n, receipt))
        return broken(k, index, "the vault's receipt is not for this proposal");
    return B_OK;
}

static enum b_code take_body(struct replay *k, const struct store_entry *e, const json_t *body)
{
    json_int_t badge = json_integer_value(json_object_get(body, "badge"));
    if (badge != e->badge_id)
        return broken(k, e->index, "it is filed under another badge");
    if (is_text(body, "kind", "erase")) {
        k->erased_before = e->index;
        k->found->erased +=
            (uint64_t)json_integer_value(json_object_get(json_object_get(body, "detail"), "count"));
    }
    if (is_text(body, "kind", "checkpoint")) {
        json_int_t size =
            json_integer_value(json_object_get(json_object_get(body, "detail"), "size"));
        if (!has_checkpoint(k, size))
            return broken(k, e->index, "the checkpoint that it tells of is missing");
        k->checkpoints_told++;
    }
    if (is_text(body, "kind", "forget-answers"))
        take_forgotten(k, body);
    if (is_text(body, "kind", "fleet-forget"))
        take_gone(k, body, FLEET_IMPORT, "list");
    if (is_text(body, "kind", "group-delete"))
        take_gone(k, body, TEAM, "group");
    if (is_text(body, "kind", "carry-out") && take_receipt(k, e->index, body) != B_OK)
        return k->code;
    bool is_tap = is_text(body, "kind", "tap") && is_text(body, "outcome", "ok");
    /* The card has another holder from then on, who has not tapped. */
    bool is_anew = is_text(body, "kind", "enrol-begin");
    if ((is_tap || is_anew) && badge > 0) {
        if (!reserve(&k->last[BADGE], (size_t)badge))
            return k->code = b_err_set(k->err, B_E_NO_MEMORY, 0, "verifying the journal");
        int64_t *tapped = k->last[BADGE].tapped[badge];
        tapped[0] = is_tap ? json_integer_value(json_object_get(body, "at")) : 0;
        tapped[1] = is_tap ? json_integer_value(json_object_get(body, "station")) : 0;
    }
    enum b_code r = take_states(k, e->index, body);
    return r == B_OK ? take_personal(k, e, body) : r;
}

static enum b_code check_hashes(struct replay *k, const struct store_entry *e)
{
    static uint8_t hashes[JOURNAL_LEVELS][JOURNAL_HASH];
    uint8_t leaf[JOURNAL_HASH];
    uint8_t stored[JOURNAL_HASH];
    uint64_t id = journal_hash_count(k->edge.size);
    journal_leaf_hash(e->body, e->body_len, leaf);
    size_t count = journal_edge_append(&k->edge, leaf, hashes);
    for (size_t i = 0; i < count; i++) {
        if (store_hash_get(k->store, id + i, stored, k->err) != B_OK ||
            !b_ct_eq(stored, hashes[i], sizeof(stored)))
            return broken(k, e->index, "it does not have the hash that was kept of it");
    }
    k->found->hashes += count;
    return B_OK;
}

static bool take_entry(void *ctx, const struct store_entry *e)
{
    struct replay *k = ctx;
    if (e->index != k->next)
        return broken(k, k->next, "it is missing") == B_OK;
    if (check_hashes(k, e) != B_OK)
        return false;
    json_t *body = json_loadb(e->body, e->body_len, JSON_REJECT_DUPLICATES, NULL);
    if (body == NULL)
        (void)broken(k, e->index, "it cannot be read");
    else
        k->code = take_body(k, e, body);
    json_decref(body);
    k->next++;
    k->found->entries++;
    return k->code == B_OK;
}

/* --- records -----------------------------------------------------------------------------------
 */

static bool compare(struct replay *k, enum kind kind, size_t id, const uint8_t digest[static 32])
{
    struct last *l = &k->last[kind];
    bool is_right = id < l->cap && l->is_there[id] && b_ct_eq(l->digests[id], digest, 32);
    if (is_right) {
        l->is_there[id] = false; /* seen: what is left over at the end was removed */
        k->found->records++;
    } else {
        k->code = b_err_set(k->err, B_E_JOURNAL_BROKEN, 0,
                            "%s %zu is not what the journal says of it", kind_names[kind], id);
    }
    return is_right;
}

static bool take_badge(void *ctx, const struct store_badge *b)
{
    struct replay *k = ctx;
    uint8_t digest[32];
    service_digest_badge(b, digest);
    if (!compare(k, BADGE, (size_t)b->id, digest))
        return false;
    const int64_t *tapped = k->last[BADGE].tapped[b->id];
    if (tapped[0] != b->tapped_at || tapped[1] != b->tapped_station)
        k->code = b_err_set(k->err, B_E_JOURNAL_BROKEN, 0,
                            "badge %lld: its last tap is not the journal's", (long long)b->id);
    return k->code == B_OK;
}

/* A record whose digest is all that the journal says of it. */
#define TAKE(record, kind, number)                                       \
    static bool take_##record(void *ctx, const struct store_##record *v) \
    {                                                                    \
        uint8_t digest[32];                                              \
        service_digest_##record(v, digest);                              \
        return compare(ctx, kind, (size_t)v->number, digest);            \
    }
TAKE(holder, HOLDER, id)
TAKE(station, STATION, id)
TAKE(person, PERSON, id)
TAKE(proposal, PROPOSAL, id)
TAKE(finding, FINDING, id)
TAKE(user, USER, id)
TAKE(token, TOKEN, id)
/* And all of them. */
#define EACH(record, kind, number)                                        \
    TAKE(record, kind, number)                                            \
    static enum b_code check_##record(struct replay *k)                   \
    {                                                                     \
        return store_##record##_each(k->store, take_##record, k, k->err); \
    }
EACH(intent, INTENT, id)
EACH(campaign, CAMPAIGN, id)
EACH(rekey, REKEY, badge_id)
EACH(reply, REPLY, id)
EACH(approval, APPROVAL, id)
EACH(setting, SETTING, id)
EACH(batch, BATCH, id)
EACH(card_event, CARD_EVENT, id)
EACH(signing_key, SIGNING_KEY, id)
EACH(stored, STORED, id)
EACH(given, GIVEN, id)
#undef EACH
#undef TAKE

static enum b_code check_generations(struct replay *k)
{
    static struct store_generation gs[256];
    size_t count = 0;
    enum b_code r = store_generation_list(k->store, gs, B_COUNT(gs), &count, k->err);
    for (size_t i = 0; r == B_OK && i < count; i++) {
        uint8_t digest[32];
        service_digest_generation(&gs[i], digest);
        if (!compare(k, GENERATION, (size_t)gs[i].role * 256 + gs[i].generation, digest))
            r = k->code;
    }
    return r;
}

static enum b_code check_establishment(struct replay *k)
{
    struct store_establishment e;
    struct b_err none;
    uint8_t digest[32];
    if (store_establishment_get(k->store, &e, &none) != B_OK)
        return B_OK; /* one that was removed is missed below */
    service_digest_establishment(&e, digest);
    return compare(k, ESTABLISHMENT, 1, digest) ? B_OK : k->code;
}

static bool take_list(void *ctx, const struct store_fleet_import *i)
{
    struct replay *k = ctx;
    uint8_t digest[32];
    k->listed += i->count;
    k->code = service_digest_fleet_import(k->store, i, digest, k->err);
    return k->code == B_OK && compare(k, FLEET_IMPORT, (size_t)i->id, digest);
}

/* Each list vouches for its rows; there are no others. */
static enum b_code check_fleet(struct replay *k)
{
    int64_t count = 0;
    enum b_code r = store_fleet_import_each(k->store, take_list, k, k->err);
    if (r == B_OK && k->code == B_OK)
        r = store_finding_each(k->store, take_finding, k, k->err);
    if (r == B_OK && k->code == B_OK)
        r = store_foreign_count(k->store, &count, k->err);
    if (r == B_OK && k->code == B_OK && count != k->listed)
        r = b_err_set(k->err, B_E_JOURNAL_BROKEN, 0, "badges that belong to no list");
    k->found->records += (uint64_t)k->listed;
    return r;
}

static bool take_team(void *ctx, const struct store_team *t)
{
    struct replay *k = ctx;
    uint8_t digest[32];
    k->code = service_digest_team(k->store, t, digest, k->err);
    return k->code == B_OK && compare(k, TEAM, (size_t)t->id, digest);
}

static enum b_code check_directory(struct replay *k)
{
    enum b_code r = store_user_each(k->store, STORE_USER_ALL, 0, take_user, k, k->err);
    if (r == B_OK && k->code == B_OK)
        r = store_team_each(k->store, take_team, k, k->err);
    return r == B_OK && k->code == B_OK ? store_token_each(k->store, take_token, k, k->err) : r;
}

static enum b_code check_proposal(struct replay *k)
{
    return store_proposal_each(k->store, 0, take_proposal, k, k->err);
}

static enum b_code check_work(struct replay *k)
{
    static enum b_code (*const checks[])(struct replay *) = {
        check_generations,   check_intent,   check_campaign, check_rekey,
        check_reply,         check_proposal, check_approval, check_setting,
        check_establishment, check_fleet,    check_batch,    check_card_event,
        check_signing_key,   check_stored,   check_given,    check_directory};
    enum b_code r = B_OK;
    for (size_t i = 0; r == B_OK && k->code == B_OK && i < B_COUNT(checks); i++)
        r = checks[i](k);
    return r;
}

static enum b_code check_removed(struct replay *k)
{
    for (size_t kind = 0; kind < KINDS; kind++)
        for (size_t id = 0; id < k->last[kind].cap; id++)
            if (k->last[kind].is_there[id])
                return b_err_set(k->err, B_E_JOURNAL_BROKEN, 0, "%s %zu was removed from the store",
                                 kind_names[kind], id);
    return B_OK;
}

static enum b_code check_records(struct replay *k)
{
    struct store *s = k->store;
    enum b_code r = store_badge_each(s, 0, NULL, take_badge, k, k->err);
    if (r == B_OK && k->code == B_OK)
        r = store_holder_each(s, 0, NULL, take_holder, k, k->err);
    if (r == B_OK && k->code == B_OK)
        r = store_station_each(s, 0, take_station, k, k->err);
    if (r == B_OK && k->code == B_OK)
        r = store_person_each(s, 0, take_person, k, k->err);
    if (r == B_OK && k->code == B_OK)
        r = check_work(k);
    if (r == B_OK && k->code == B_OK)
        r = check_removed(k);
    return r != B_OK ? r : k->code;
}

/* --- checkpoints -------------------------------------------------------------------------------
 */

static enum b_code read_hash(void *ctx, uint64_t id, uint8_t out[static JOURNAL_HASH],
                             struct b_err *err)
{
    return store_hash_get(ctx, id, out, err);
}

/* The stored hashes are those of the entries by now: the root at any size is read from them. */
static enum b_code check_note(struct replay *k, const struct service_verify *what, const char *note,
                              bool is_from_elsewhere)
{
    struct journal_checkpoint c;
    static struct journal_edge edge;
    uint8_t root[JOURNAL_HASH];
    char origin[JOURNAL_NAME_MAX];
    size_t n = strlen(note);
    (void)snprintf(origin, sizeof(origin), "tessere/%s", what->finess);
    if (!journal_checkpoint_parse(note, n, &c) || strcmp(c.origin, origin) != 0)
        return b_err_set(k->err, B_E_JOURNAL_BROKEN, 0, "a checkpoint that cannot be read");
    if (what->signer != NULL && !journal_note_verify(note, n, what->signer, NULL))
        return b_err_set(k->err, B_E_JOURNAL_SIGNATURE, 0, "the checkpoint of %" PRIu64 " entries",
                         c.size);
    if (c.size > k->edge.size)
        return b_err_set(k->err, B_E_JOURNAL_ROLLBACK, 0,
                         "a checkpoint was signed of %" PRIu64 " entries; here are %" PRIu64,
                         c.size, k->edge.size);
    enum b_code r =
        journal_edge_load(&edge, c.size, (struct journal_reader){read_hash, k->store}, k->err);
    if (r != B_OK)
        return r;
    journal_edge_root(&edge, root);
    if (b_ct_eq(root, c.root, sizeof(root)))
        return B_OK;
    return b_err_set(k->err, is_from_elsewhere ? B_E_JOURNAL_FORK : B_E_JOURNAL_BROKEN, 0,
                     "at %" PRIu64 " entries the journal is not the one that was signed", c.size);
}

static enum b_code check_checkpoints(struct replay *k, const struct service_verify *what)
{
    static char note[STORE_NOTE_MAX];
    uint64_t at_most = UINT64_MAX;
    uint64_t size = 0;
    enum b_code r = B_OK;
    while ((r = store_checkpoint_get(k->store, at_most, &size, note, sizeof(note), k->err)) ==
           B_OK) {
        struct journal_checkpoint c;
        r = check_note(k, what, note, false);
        if (r != B_OK)
            return r;
        if (!journal_checkpoint_parse(note, strlen(note), &c) || c.size != size)
            return b_err_set(k->err, B_E_JOURNAL_BROKEN, 0, "a checkpoint in another's place");
        k->found->checkpoints++;
        if (size == 0)
            break;
        at_most = size - 1;
    }
    if (r == B_E_NOT_FOUND && k->found->checkpoints != k->checkpoints_told)
        return b_err_set(k->err, B_E_JOURNAL_BROKEN, 0,
                         "the entry that tells of the last checkpoint is missing");
    return r == B_E_NOT_FOUND ? B_OK : r;
}

/* --- all of it ---------------------------------------------------------------------------------
 */

static enum b_code replay(struct replay *k)
{
    const struct store_entry_range all = {.count = INT64_MAX};
    uint64_t hashes = 0;
    uint64_t entries = 0;
    enum b_code r = store_entry_each(k->store, &all, take_entry, k, k->err);
    if (r == B_OK)
        r = k->code;
    if (r == B_OK)
        r = store_entry_count(k->store, &entries, k->err);
    if (r == B_OK)
        r = store_hash_count(k->store, &hashes, k->err);
    if (r != B_OK)
        return r;
    if (entries != k->next || hashes != journal_hash_count(k->next))
        return b_err_set(k->err, B_E_JOURNAL_BROKEN, 0, "hashes that belong to no entry");
    if (k->missing > k->found->erased || (k->missing > 0 && k->missing_last > k->erased_before))
        return b_err_set(k->err, B_E_JOURNAL_BROKEN, 0,
                         "personal data is missing that no entry says was erased");
    return B_OK;
}

enum b_code service_verify(struct store *s, const struct service_verify *what,
                           struct service_verified *ret, struct b_err *err)
{
    struct replay *k = calloc(1, sizeof(*k));
    *ret = (struct service_verified){.entries = 0};
    if (k == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "verifying the journal");
    k->store = s;
    k->signer = what->signer;
    k->found = ret;
    k->err = err;
    enum b_code r = replay(k);
    if (r == B_OK)
        r = check_checkpoints(k, what);
    if (r == B_OK && what->earlier != NULL)
        r = check_note(k, what, what->earlier, true);
    if (r == B_OK)
        r = check_records(k);
    journal_edge_root(&k->edge, ret->root);
    for (size_t i = 0; i < KINDS; i++) {
        free(k->last[i].digests);
        free(k->last[i].is_there);
        free(k->last[i].tapped);
    }
    free(k);
    return r;
}
