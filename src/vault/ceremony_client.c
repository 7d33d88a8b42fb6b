/* The client's calls of ceremonies. A lane that carried a share is wiped. */
#include <string.h>

#include "vault/event.h"
#include "vault/lane.h"

static enum b_code take_key(struct lane *k, struct wire_in *in, const char *name,
                            struct vault_ceremony *c, struct b_err *err)
{
    struct b_rd id = wire_get_bytes(in);
    struct b_rd check = wire_get_bytes(in);
    b_rd_bytes(&id, c->id, sizeof(c->id));
    b_rd_bytes(&check, c->check, sizeof(c->check));
    bool is_read = wire_in_end(in) && b_rd_end(&id) && b_rd_end(&check);
    return is_read ? B_OK : vault_lane_misread(k, name, err);
}

enum b_code vault_ceremony_begin(struct vault *v, struct vault_ceremony *c, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_BEGIN);
    struct wire_in in;
    wire_put_u8(&o, c->threshold);
    wire_put_u8(&o, c->shares);
    wire_put_u8(&o, c->is_rehearsal ? 1 : 0);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    return r == B_OK ? take_key(k, &in, "ceremony_begin", c, err) : r;
}

enum b_code vault_ceremony_resume(struct vault *v, const struct vault_ceremony *c,
                                  struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_RESUME);
    wire_put_bytes(&o, c->id, sizeof(c->id));
    wire_put_u8(&o, c->threshold);
    wire_put_u8(&o, c->is_rehearsal ? 1 : 0);
    wire_put_bytes(&o, c->check, sizeof(c->check));
    return vault_lane_call_void(k, &o, "ceremony_resume", err);
}

enum b_code vault_ceremony_renew(struct vault *v, struct vault_ceremony *c, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_RENEW);
    struct wire_in in;
    wire_put_u8(&o, c->threshold);
    wire_put_u8(&o, c->shares);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    return r == B_OK ? take_key(k, &in, "ceremony_renew", c, err) : r;
}

enum b_code vault_ceremony_seal(struct vault *v, uint8_t share, struct b_rd certificate,
                                uint8_t *out, size_t *ret_n, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_SEAL);
    struct wire_in in;
    if (certificate.left > VAULT_SEALED_MAX)
        return b_err_set(err, B_E_CERT_BAD, 0, "the certificate is too large");
    wire_put_u8(&o, share);
    wire_put_bytes(&o, certificate.p, certificate.left);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd sealed = wire_get_bytes(&in);
    if (!wire_in_end(&in) || sealed.left > VAULT_SEALED_MAX)
        return vault_lane_misread(k, "ceremony_seal", err);
    *ret_n = sealed.left;
    b_rd_bytes(&sealed, out, sealed.left);
    return B_OK;
}

enum b_code vault_ceremony_words(struct vault *v, uint8_t share, char *words, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_WORDS);
    struct wire_in in;
    wire_put_u8(&o, share);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    size_t n = bytes.left;
    bool is_read = wire_in_end(&in) && n < VAULT_WORDS_MAX;
    if (is_read) {
        b_rd_bytes(&bytes, words, n);
        words[n] = '\0';
    }
    b_wipe(k->buf, sizeof(k->buf));
    return is_read ? B_OK : vault_lane_misread(k, "ceremony_words", err);
}

enum b_code vault_ceremony_give(struct vault *v, struct b_rd words, unsigned *ret_given,
                                struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_GIVE);
    struct wire_in in;
    if (words.left > VAULT_STRING_MAX)
        return b_err_set(err, B_E_SHARE_TYPED, 0, "it is too long");
    wire_put_bytes(&o, words.p, words.left);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r == B_OK) {
        *ret_given = wire_get_u8(&in);
        if (!wire_in_end(&in))
            r = vault_lane_misread(k, "ceremony_give", err);
    }
    b_wipe(k->buf, sizeof(k->buf));
    return r;
}

enum b_code vault_ceremony_make(struct vault *v, struct vault_backup *b, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_MAKE);
    struct wire_in in;
    wire_put_u8(&o, (uint8_t)b->role);
    wire_put_u8(&o, b->generation);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd wrapped = wire_get_bytes(&in);
    wire_get_string(&in, b->kcv_method, sizeof(b->kcv_method));
    struct b_rd kcv = wire_get_bytes(&in);
    b->is_inside = wire_get_bool(&in);
    b_rd_bytes(&wrapped, b->wrapped, sizeof(b->wrapped));
    b_rd_bytes(&kcv, b->kcv, sizeof(b->kcv));
    bool is_read = wire_in_end(&in) && b_rd_end(&wrapped) && b_rd_end(&kcv);
    return is_read ? B_OK : vault_lane_misread(k, "ceremony_make", err);
}

enum b_code vault_ceremony_bring(struct vault *v, const struct vault_backup *b, bool keeps,
                                 struct vault_key *ret, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_BRING);
    struct wire_in in;
    wire_put_u8(&o, (uint8_t)b->role);
    wire_put_u8(&o, b->generation);
    wire_put_bytes(&o, b->wrapped, sizeof(b->wrapped));
    wire_put_bytes(&o, b->kcv, sizeof(b->kcv));
    wire_put_u8(&o, keeps ? 1 : 0);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    bool is_read = wire_in_end(&in) && vault_key_decode(&bytes, ret) && b_rd_end(&bytes);
    return is_read ? B_OK : vault_lane_misread(k, "ceremony_bring", err);
}

enum b_code vault_ceremony_rewrap(struct vault *v, struct vault_backup *b, struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_REWRAP);
    struct wire_in in;
    wire_put_u8(&o, (uint8_t)b->role);
    wire_put_u8(&o, b->generation);
    wire_put_bytes(&o, b->wrapped, sizeof(b->wrapped));
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd wrapped = wire_get_bytes(&in);
    b_rd_bytes(&wrapped, b->wrapped, sizeof(b->wrapped));
    bool is_read = wire_in_end(&in) && b_rd_end(&wrapped);
    return is_read ? B_OK : vault_lane_misread(k, "ceremony_rewrap", err);
}

enum b_code vault_minutes_sign(struct vault *v, const char *minutes, uint8_t signature[static 64],
                               struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_MINUTES_SIGN);
    struct wire_in in;
    if (strlen(minutes) > VAULT_MESSAGE_MAX - 64)
        return b_err_set(err, B_E_TOO_LARGE, 0, "the minutes");
    wire_put_bytes(&o, minutes, strlen(minutes));
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd bytes = wire_get_bytes(&in);
    b_rd_bytes(&bytes, signature, 64);
    return wire_in_end(&in) && b_rd_end(&bytes) ? B_OK : vault_lane_misread(k, "minutes_sign", err);
}

enum b_code vault_import_part(struct vault *v, struct b_rd part, const uint8_t kcv[static 3],
                              struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_IMPORT_PART);
    struct wire_in in;
    wire_put_bytes(&o, part.p, part.left);
    wire_put_bytes(&o, kcv, 3);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r == B_OK) {
        (void)wire_get_u8(&in);
        if (!wire_in_end(&in))
            r = vault_lane_misread(k, "import_part", err);
    }
    b_wipe(k->buf, sizeof(k->buf));
    return r;
}

enum b_code vault_import_key(struct vault *v, struct b_rd block, struct vault_backup *b,
                             struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_IMPORT_KEY);
    struct wire_in in;
    wire_put_u8(&o, (uint8_t)b->role);
    wire_put_u8(&o, b->generation);
    wire_put_bytes(&o, b->kcv, sizeof(b->kcv));
    wire_put_bytes(&o, block.p, block.left);
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd wrapped = wire_get_bytes(&in);
    struct b_rd kcv = wire_get_bytes(&in);
    b_rd_bytes(&wrapped, b->wrapped, sizeof(b->wrapped));
    b_rd_bytes(&kcv, b->kcv, sizeof(b->kcv));
    memcpy(b->kcv_method, "CMAC-0", sizeof("CMAC-0"));
    b->is_inside = false;
    bool is_read = wire_in_end(&in) && b_rd_end(&wrapped) && b_rd_end(&kcv);
    return is_read ? B_OK : vault_lane_misread(k, "import_key", err);
}

enum b_code vault_export_key(struct vault *v, const struct vault_backup *b, char *block, size_t cap,
                             struct b_err *err)
{
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_EXPORT_KEY);
    struct wire_in in;
    wire_put_u8(&o, (uint8_t)b->role);
    wire_put_u8(&o, b->generation);
    wire_put_bytes(&o, b->wrapped, sizeof(b->wrapped));
    enum b_code r = vault_lane_call(k, &o, &in, err);
    if (r != B_OK)
        return r;
    wire_get_string(&in, block, cap);
    return wire_in_end(&in) ? B_OK : vault_lane_misread(k, "export_key", err);
}

enum b_code vault_give_key(struct vault *v, const char *name, struct b_rd block, bool has_kcv,
                           struct vault_given *k, struct b_err *err)
{
    LANE *lane = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(lane, VAULT_MSG_GIVE_KEY);
    struct wire_in in;
    wire_put_string(&o, name);
    wire_put_u8(&o, (uint8_t)k->type);
    wire_put_bytes(&o, k->kcv, has_kcv ? sizeof(k->kcv) : 0);
    wire_put_bytes(&o, block.p, block.left);
    enum b_code r = vault_lane_call(lane, &o, &in, err);
    if (r != B_OK)
        return r;
    struct b_rd wrapped = wire_get_bytes(&in);
    wire_get_string(&in, k->kcv_method, sizeof(k->kcv_method));
    struct b_rd kcv = wire_get_bytes(&in);
    b_rd_bytes(&wrapped, k->wrapped, sizeof(k->wrapped));
    b_rd_bytes(&kcv, k->kcv, sizeof(k->kcv));
    bool is_read = wire_in_end(&in) && b_rd_end(&wrapped) && b_rd_end(&kcv);
    return is_read ? B_OK : vault_lane_misread(lane, "give_key", err);
}

void vault_ceremony_close(struct vault *v)
{
    if (v == NULL || vault_is_gone(v))
        return;
    LANE *k = vault_lane_take(v);
    struct wire_out o = vault_lane_begin(k, VAULT_MSG_CEREMONY_CLOSE);
    /* A vault that is gone has wiped everything; the next call tells. */
    (void)!vault_lane_call_void(k, &o, "ceremony_close", NULL);
}
