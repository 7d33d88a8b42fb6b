#include "service/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "service/control.h"
#include "service/relay.h"

static enum b_code read_hash(void *ctx, uint64_t id, uint8_t out[static JOURNAL_HASH],
                             struct b_err *err)
{
    return store_hash_get(ctx, id, out, err);
}

static struct journal_reader reader_of(const struct service *sv)
{
    return (struct journal_reader){read_hash, sv->store};
}

enum b_code service_journal_signer(struct service *sv, struct journal_signer *ret,
                                   struct b_err *err)
{
    struct vault_identity id;
    enum b_code r = vault_identity(sv->vault, &id, err);
    if (r != B_OK)
        return r;
    *ret = (struct journal_signer){.algorithm = JOURNAL_ALGORITHM_ED25519};
    (void)snprintf(ret->name, sizeof(ret->name), "tessere/%s", sv->establishment.finess);
    memcpy(ret->key, id.journal, sizeof(ret->key));
    return B_OK;
}

/* --- checkpoints -------------------------------------------------------------------------------
 */

/* The next entry tells of it: a checkpoint that was removed is missed. */
enum b_code service_note_checkpoint(struct service_change *c, uint64_t size, const char *note,
                                    struct b_err *err)
{
    static char there[STORE_NOTE_MAX]; /* only one thread writes */
    uint64_t newest = 0;
    enum b_code r = store_checkpoint_get(c->store, size, &newest, there, sizeof(there), err);
    if (r == B_OK && newest == size)
        return B_OK; /* desk and server signed at the same moment: one of them is told of */
    if (r == B_OK || r == B_E_NOT_FOUND)
        r = store_checkpoint_put(c->store, size, note, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "checkpoint",
                               .detail = json_pack("{s:I}", "size", (json_int_t)size)},
        err);
}

struct note {
    uint64_t size;
    char text[JOURNAL_NOTE_MAX];
};

static enum b_code keep_note(struct service_change *c, void *ctx, struct b_err *err)
{
    const struct note *n = ctx;
    return service_note_checkpoint(c, n->size, n->text, err);
}

/* Beside the store: who puts an older store in its place is found out by it. */
static enum b_code write_file(const char *home, const char *text, struct b_err *err)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/checkpoint", home);
    return b_file_replace(path, text, strlen(text), 0644, err);
}

/* None where there is nothing to grow from, or it is no growth: the vault says what it is. */
static enum b_code prove_growth(struct service *sv, uint64_t from, uint64_t to,
                                struct journal_proof *ret, struct b_err *err)
{
    ret->count = 0;
    return from != 0 && from <= to ? journal_prove_consistency(from, to, reader_of(sv), ret, err)
                                   : B_OK;
}

static enum b_code sign(struct service *sv, struct note *note, struct b_err *err)
{
    static _Thread_local struct journal_edge edge;
    static _Thread_local struct journal_proof proof;
    static _Thread_local struct journal_proof other;
    struct journal_checkpoint c = {.size = note->size};
    struct journal_signer signer;
    uint8_t signature[64];
    struct vault_seen seen = {.size = 0};
    enum b_code r = service_journal_signer(sv, &signer, err);
    if (r == B_OK)
        r = vault_journal_seen(sv->vault, &seen, err);
    if (r == B_OK)
        r = journal_edge_load(&edge, note->size, reader_of(sv), err);
    if (r == B_OK)
        r = prove_growth(sv, seen.size, note->size, &proof, err);
    if (r == B_OK)
        r = prove_growth(sv, seen.other, note->size, &other, err);
    if (r != B_OK)
        return r;
    journal_edge_root(&edge, c.root);
    (void)snprintf(c.origin, sizeof(c.origin), "%s", signer.name);
    const struct vault_tree tree = {.origin = c.origin,
                                    .size = c.size,
                                    .root = c.root,
                                    .proof = b_rd_from(proof.hashes, proof.count * JOURNAL_HASH),
                                    .other = b_rd_from(other.hashes, other.count * JOURNAL_HASH)};
    r = vault_checkpoint(sv->vault, &tree, signature, err);
    if (r != B_OK)
        return r;
    bool fits = journal_checkpoint_print(&c, note->text, sizeof(note->text)) &&
                journal_note_add(note->text, sizeof(note->text), &signer, signature, 64);
    return fits ? B_OK : b_err_set(err, B_E_INTERNAL, 0, "a checkpoint that does not fit");
}

enum b_code service_journal_checkpoint(struct service *sv, const char *home, struct b_err *err)
{
    static _Thread_local struct note note;
    uint64_t old = 0;
    uint64_t size = 0;
    enum b_code r =
        store_checkpoint_get(sv->store, UINT64_MAX, &old, note.text, sizeof(note.text), err);
    if (r == B_OK || r == B_E_NOT_FOUND)
        r = store_entry_count(sv->store, &size, err);
    /* The entry that tells of the last checkpoint asks for none of its own. */
    if (r != B_OK || size == 0 || (old != 0 && size <= old + 1))
        return r;
    note.size = size;
    r = sign(sv, &note, err);
    if (r == B_E_VAULT_BUSY) /* another vault signed between our asking and this one's looking */
        r = sign(sv, &note, err);
    if (r == B_OK)
        r = service_change(sv, keep_note, &note, err);
    return r == B_OK && home != NULL ? write_file(home, note.text, err) : r;
}

static enum b_code note_acceptance(struct service_change *c, void *ctx, struct b_err *err)
{
    return service_log(
        c,
        (struct service_entry){.kind = "journal-accept",
                               .detail = json_pack("{s:I}", "signed", *(const json_int_t *)ctx)},
        err);
}

enum b_code service_journal_tree(struct service *sv, uint64_t *size,
                                 uint8_t root[static JOURNAL_HASH], struct b_err *err)
{
    static _Thread_local struct journal_edge edge;
    enum b_code r = store_entry_count(sv->store, size, err);
    if (r == B_OK)
        r = journal_edge_load(&edge, *size, reader_of(sv), err);
    if (r == B_OK)
        journal_edge_root(&edge, root);
    return r;
}

enum b_code service_journal_accept(struct service *sv, const char *home, struct b_err *err)
{
    uint8_t root[JOURNAL_HASH];
    struct vault_seen seen = {.size = 0};
    uint64_t size = 0;
    enum b_code r = vault_journal_seen(sv->vault, &seen, err);
    json_int_t told = (json_int_t)seen.size;
    if (r == B_OK)
        r = service_change(sv, note_acceptance, &told, err);
    if (r == B_OK)
        r = service_journal_tree(sv, &size, root, err);
    if (r == B_OK)
        r = vault_journal_accept(sv->vault, size, root, err);
    return r == B_OK ? service_journal_checkpoint(sv, home, err) : r;
}

/* --- proofs ------------------------------------------------------------------------------------
 */

static enum b_code choose_size(struct service *sv, uint64_t *size, struct b_err *err)
{
    static _Thread_local char note[JOURNAL_NOTE_MAX];
    uint64_t entries = 0;
    if (*size == 0) {
        enum b_code r = store_checkpoint_get(sv->store, UINT64_MAX, size, note, sizeof(note), err);
        return r == B_E_NOT_FOUND ? b_err_set(err, r, 0, "no checkpoint was signed yet") : r;
    }
    enum b_code r = store_entry_count(sv->store, &entries, err);
    if (r == B_OK && *size > entries)
        r = b_err_set(err, B_E_BAD_INPUT, 0, "the journal has %llu entries",
                      (unsigned long long)entries);
    return r;
}

enum b_code service_journal_inclusion(struct service *sv, uint64_t index, uint64_t *size,
                                      struct journal_proof *ret, struct b_err *err)
{
    enum b_code r = choose_size(sv, size, err);
    return r == B_OK ? journal_prove_inclusion(index, *size, reader_of(sv), ret, err) : r;
}

enum b_code service_journal_consistency(struct service *sv, uint64_t old, uint64_t *size,
                                        struct journal_proof *ret, struct b_err *err)
{
    enum b_code r = choose_size(sv, size, err);
    return r == B_OK ? journal_prove_consistency(old, *size, reader_of(sv), ret, err) : r;
}

static bool take_body(void *ctx, const struct store_entry *e)
{
    struct journal_inclusion *p = ctx;
    struct b_wr w = b_wr_from(p->extra, sizeof(p->extra));
    b_wr_bytes(&w, e->body, e->body_len);
    p->extra_len = w.len;
    return true;
}

enum b_code service_journal_prove(struct service *sv, uint64_t index, uint64_t *ret_size,
                                  struct journal_inclusion *ret, struct b_err *err)
{
    const struct store_entry_range range = {.from = index, .count = 1};
    ret->index = index;
    ret->extra_len = 0;
    *ret_size = 0;
    enum b_code r = service_journal_inclusion(sv, index, ret_size, &ret->proof, err);
    if (r == B_OK)
        r = store_checkpoint_get(sv->store, *ret_size, ret_size, ret->note, sizeof(ret->note), err);
    return r == B_OK ? store_entry_each(sv->store, &range, take_body, ret, err) : r;
}

/* --- erasure -----------------------------------------------------------------------------------
 */

struct erasure {
    const char *ref;
    uint64_t count;
    char gone[STORE_NAME_MAX]; /* what stands for the reference from now on */
    bool is_in_use;
};

static bool find_used(void *ctx, const struct store_badge *b)
{
    bool *is_in_use = ctx;
    *is_in_use = b->state != STORE_BADGE_REVOKED && b->state != STORE_BADGE_BLANKED;
    return !*is_in_use;
}

static bool take_first(void *ctx, const struct store_badge *b)
{
    *(struct store_badge *)ctx = *b;
    return false;
}

/* Records without their person; their salts are new, so that the old digests tell nothing. */
static enum b_code erase_badges(struct service_change *c, const struct erasure *e,
                                struct b_err *err)
{
    enum b_code r = B_OK;
    while (r == B_OK) {
        struct store_badge b = {.id = 0};
        r = store_badge_of(c->store, e->ref, take_first, &b, err);
        if (r != B_OK || b.id == 0)
            return r;
        (void)snprintf(b.holder_ref, sizeof(b.holder_ref), "%s", e->gone);
        b.holder_name[0] = '\0';
        b.reason[0] = '\0';
        crypto_random(b.salt, sizeof(b.salt));
        r = store_badge_put(c->store, &b, err);
        if (r == B_OK)
            r = service_log(c, (struct service_entry){.kind = "erase-badge", .badge = &b}, err);
    }
    return r;
}

/* The lists that name the person say something else from now on; how many, goes to *ret_count. */
static enum b_code erase_from_lists(struct service_change *c, const struct erasure *e,
                                    size_t *ret_count, struct b_err *err)
{
    int64_t id = 0;
    struct store_fleet_import list;
    enum b_code r = B_OK;
    while ((r = store_foreign_import_of(c->store, e->ref, &id, err)) == B_OK) {
        r = store_foreign_erase(c->store, id, e->ref, e->gone, err);
        if (r == B_OK)
            r = store_fleet_import_by_id(c->store, id, &list, err);
        crypto_random(list.salt, sizeof(list.salt));
        if (r == B_OK)
            r = store_fleet_import_put(c->store, &list, err);
        if (r == B_OK)
            r = service_vouch_fleet_import(c, &list, err);
        if (r == B_OK)
            r = service_log(c, (struct service_entry){.kind = "erase-listed"}, err);
        if (r != B_OK)
            return r;
        ++*ret_count;
    }
    return r == B_E_NOT_FOUND ? B_OK : r;
}

static enum b_code erase_holder(struct service_change *c, const struct erasure *e,
                                struct store_holder *io, struct b_err *err)
{
    struct store_holder none = {.id = io->id, .state = STORE_PARTY_ENDED};
    (void)snprintf(none.ref, sizeof(none.ref), "%s", e->gone);
    crypto_random(none.salt, sizeof(none.salt));
    *io = none;
    return store_holder_put(c->store, io, err);
}

/* What the directory said of the person goes; the row stays, as that of somebody who is gone. */
static enum b_code erase_user(struct service_change *c, const struct erasure *e, int64_t id,
                              struct b_err *err)
{
    struct store_user u;
    enum b_code r = store_user_by_id(c->store, id, &u, err);
    if (r == B_E_NOT_FOUND)
        return B_OK;
    if (r != B_OK)
        return r;
    struct store_user none = {
        .id = id, .wish = STORE_WISH_DELETED, .created_at = u.created_at, .changed_at = c->now};
    (void)snprintf(none.user_name, sizeof(none.user_name), "%s", e->gone);
    crypto_random(none.salt, sizeof(none.salt));
    r = store_user_put(c->store, &none, err);
    if (r == B_OK)
        service_vouch_user(c, &none);
    return r;
}

/* Answers kept for repeated requests that speak of somebody. What was asked goes too: its digest
 * could be guessed. The rows stay, so that nobody's repeated request is taken for a new one. */
static enum b_code erase_answers(struct service_change *c, const char *ref, struct b_err *err)
{
    static struct store_reply reply; /* only one thread writes */
    json_t *value = json_string(ref);
    char *text = json_dumps(value, JSON_ENCODE_ANY); /* as it stands in an answer */
    enum b_code r = text != NULL ? B_OK : b_err_set(err, B_E_NO_MEMORY, 0, "erasing");
    reply.id = 0;
    while (r == B_OK && (r = store_reply_find(c->store, text, &reply, err)) == B_OK) {
        reply.status = 0;
        reply.body[0] = '\0';
        crypto_random(reply.request, sizeof(reply.request));
        crypto_random(reply.salt, sizeof(reply.salt));
        r = store_reply_erase(c->store, &reply, err);
        if (r != B_OK)
            break;
        service_vouch_reply(c, &reply);
        r = service_log(c, (struct service_entry){.kind = "erase-answer"}, err);
    }
    free(text);
    json_decref(value);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

static enum b_code note_erasure(struct service_change *c, struct erasure *e, struct b_err *err)
{
    struct store_holder h = {.id = 0};
    uint8_t random[8];
    size_t lists = 0;
    enum b_code known = store_holder_by_ref(c->store, e->ref, &h, err);
    if (known != B_OK && known != B_E_NOT_FOUND)
        return known;
    enum b_code r = store_badge_of(c->store, e->ref, find_used, &e->is_in_use, err);
    if (r != B_OK)
        return r;
    if (e->is_in_use)
        return b_err_set(
            err, B_E_BADGE_STATE, 0,
            "a badge of this holder is still in use: revoke it, or return it to blank");
    crypto_random(random, sizeof(random));
    memcpy(e->gone, "erased-", 7);
    b_hex(e->gone + 7, random, sizeof(random));
    r = erase_from_lists(c, e, &lists, err);
    if (r == B_OK && known == B_E_NOT_FOUND && lists == 0)
        return b_err_set(err, known, 0, "no holder %s", e->ref);
    if (r == B_OK)
        r = store_personal_erase(c->store, e->ref, &e->count, err);
    if (r == B_OK)
        r = erase_answers(c, e->ref, err);
    if (r == B_OK)
        r = erase_badges(c, e, err);
    if (r == B_OK && known == B_OK)
        r = erase_holder(c, e, &h, err);
    if (r == B_OK && known == B_OK)
        r = erase_user(c, e, h.id, err);
    if (r != B_OK)
        return r;
    return service_log(
        c,
        (struct service_entry){.kind = "erase",
                               .holder = known == B_OK ? &h : NULL,
                               .detail = json_pack("{s:I}", "count", (json_int_t)e->count)},
        err);
}

enum b_code service_note_erasure(struct service_change *c, const char *ref, uint64_t *ret_count,
                                 struct b_err *err)
{
    struct erasure e = {.ref = ref};
    enum b_code r = note_erasure(c, &e, err);
    *ret_count = e.count;
    return r;
}

struct alone {
    const char *ref;
    uint64_t count;
};

static enum b_code note_erasure_alone(struct service_change *c, void *ctx, struct b_err *err)
{
    struct alone *a = ctx;
    enum b_code r = service_refuse_alone(c->store, "erase REF", err);
    return r == B_OK ? service_note_erasure(c, a->ref, &a->count, err) : r;
}

enum b_code service_journal_erase(struct service *sv, const char *ref, uint64_t *ret_count,
                                  struct b_err *err)
{
    struct alone a = {.ref = ref};
    enum b_code r = service_change(sv, note_erasure_alone, &a, err);
    *ret_count = a.count;
    return r;
}
