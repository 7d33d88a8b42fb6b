/*
 * ISO/IEC 7816-4 commands (class 00): select, read and write files in plain, and the three-pass
 * authentication. What an ISO command answers is an ISO status.
 */
#include <string.h>

#include "desfire/picc_int.h"

enum {
    ISO_OK = 0x9000,
    ISO_SECURITY = 0x6982,
    ISO_CONDITIONS = 0x6985,
    ISO_DATA = 0x6A80,
    ISO_NOT_FOUND = 0x6A82,
    ISO_RECORD_NOT_FOUND = 0x6A83,
    ISO_P1P2 = 0x6A86,
    ISO_LENGTH = 0x6700,
    ISO_OFFSET = 0x6B00,
    ISO_INS = 0x6D00,
};
enum { FID_MASTER = 0x3F00 };

/* The DF name of the card level, and of the NDEF application it may be asked for by. */
static const uint8_t card_name[] = {0xD2, 0x76, 0x00, 0x00, 0x85, 0x01, 0x00};

static struct picc_app *find_by_name(struct df_picc *p, struct b_rd name)
{
    for (size_t i = 0; i < PICC_APPS; i++) {
        struct picc_app *a = &p->mem.apps[i];
        if (a->is_used && a->df_name_len > 0 && a->df_name_len == name.left &&
            b_ct_eq(a->df_name, name.p, name.left))
            return a;
    }
    return NULL;
}

static uint16_t select_name(struct df_picc *p, struct b_rd name)
{
    bool is_card = name.left == sizeof(card_name) && b_ct_eq(name.p, card_name, name.left);
    struct picc_app *app = is_card ? NULL : find_by_name(p, name);
    if (!is_card && app == NULL)
        return ISO_NOT_FOUND;
    picc_select(p, app);
    return ISO_OK;
}

static uint16_t select_fid(struct df_picc *p, struct b_rd data, bool only_file)
{
    uint16_t fid = data.left == 0 ? FID_MASTER : b_rd_be16(&data);
    if (!b_rd_end(&data))
        return ISO_LENGTH;
    if (fid == FID_MASTER && !only_file) {
        picc_select(p, NULL);
        return ISO_OK;
    }
    for (size_t i = 0; p->app != NULL && i < PICC_FILES; i++) {
        struct picc_file *f = &p->app->files[i];
        if (f->is_used && f->settings.has_iso && f->settings.iso_fid == fid) {
            p->iso_file = f;
            return ISO_OK;
        }
    }
    for (size_t i = 0; !only_file && i < PICC_APPS; i++) {
        struct picc_app *a = &p->mem.apps[i];
        if (a->is_used && a->has_iso_fid && a->iso_fid == fid) {
            picc_select(p, a);
            return ISO_OK;
        }
    }
    return ISO_NOT_FOUND;
}

static uint16_t iso_select(struct df_picc *p, const struct df_capdu *c)
{
    if (c->p2 != 0x00 && c->p2 != 0x0C)
        return ISO_P1P2;
    if (c->p1 == 0x04)
        return select_name(p, c->data);
    if (c->p1 == 0x00 || c->p1 == 0x02)
        return select_fid(p, c->data, c->p1 == 0x02);
    return ISO_P1P2;
}

/* P1 b7: short file id in b4..0, P2 the offset; else P1 P2 is the offset in the selected file. */
static struct picc_file *addressed(struct df_picc *p, const struct df_capdu *c, uint32_t *ret)
{
    if ((c->p1 & 0x80) == 0) {
        *ret = (uint32_t)(c->p1 << 8 | c->p2);
        return p->iso_file;
    }
    *ret = c->p2;
    return picc_find_file(p, c->p1 & 0x1F);
}

static uint16_t iso_status(uint8_t sw)
{
    static const struct {
        uint8_t native;
        uint16_t iso;
    } map[] = {{DF_SW_OK, ISO_OK},
               {DF_SW_BOUNDARY_ERROR, ISO_OFFSET},
               {DF_SW_AUTHENTICATION_ERROR, ISO_SECURITY},
               {DF_SW_PERMISSION_DENIED, ISO_CONDITIONS},
               {DF_SW_LENGTH_ERROR, ISO_LENGTH}};
    for (size_t i = 0; i < B_COUNT(map); i++) {
        if (map[i].native == sw)
            return map[i].iso;
    }
    return ISO_CONDITIONS;
}

/* Only plain files: ISO commands carry no secure messaging here. */
static uint16_t may_use(const struct df_picc *p, const struct picc_file *f, enum picc_use use)
{
    bool is_free;
    if (f == NULL)
        return ISO_NOT_FOUND;
    uint8_t sw = picc_may(p, f, use, &is_free);
    if (sw == DF_SW_OK && !is_free && f->settings.comm != DF_COMM_PLAIN)
        return ISO_SECURITY;
    return iso_status(sw);
}

static uint16_t read_binary(struct df_picc *p, const struct df_capdu *c, struct b_wr *out)
{
    uint32_t offset;
    struct picc_file *f = addressed(p, c, &offset);
    uint16_t sw = may_use(p, f, PICC_USE_READ);
    if (sw != ISO_OK)
        return sw;
    if (f->settings.type != DF_FILE_STANDARD && f->settings.type != DF_FILE_BACKUP)
        return ISO_CONDITIONS;
    if (offset >= f->settings.size)
        return ISO_OFFSET;
    uint32_t n = c->le == 0 ? 256 : c->le;
    if (n > f->settings.size - offset)
        n = f->settings.size - offset;
    return iso_status(picc_read_range(p, f, offset, n, out));
}

static uint16_t update_binary(struct df_picc *p, const struct df_capdu *c)
{
    uint32_t offset;
    struct picc_file *f = addressed(p, c, &offset);
    uint16_t sw = may_use(p, f, PICC_USE_WRITE);
    if (sw != ISO_OK)
        return sw;
    if (c->data.left == 0)
        return ISO_LENGTH;
    if (f->settings.type != DF_FILE_STANDARD && f->settings.type != DF_FILE_BACKUP)
        return ISO_CONDITIONS;
    return iso_status(picc_write_range(p, f, offset, c->data));
}

/* P1: record number, 1 the newest; P2 b2..0 = 4: this one, 5: this and all older ones. */
static uint16_t read_records(struct df_picc *p, const struct df_capdu *c, struct b_wr *out)
{
    struct picc_file *f = (c->p2 >> 3) != 0 ? picc_find_file(p, c->p2 >> 3) : p->iso_file;
    uint16_t sw = may_use(p, f, PICC_USE_READ);
    if (sw != ISO_OK)
        return sw;
    uint8_t head[7] = {f->no};
    uint8_t first = c->p1 == 0 ? 0 : (uint8_t)(c->p1 - 1);
    head[1] = first;
    head[4] = (c->p2 & 7) == 4 ? 1 : 0;
    if (first >= f->settings.record_count)
        return ISO_RECORD_NOT_FOUND;
    uint32_t count = head[4] == 1 ? 1 : f->settings.record_count - first;
    if (count * f->settings.record_size > out->cap - 2)
        return ISO_LENGTH;
    struct picc_call call = {.cmd = DF_CMD_READ_RECORDS, .head = b_rd_from(head, 7), .out = out};
    return iso_status(picc_read_records(p, &call));
}

static uint16_t append_record(struct df_picc *p, const struct df_capdu *c)
{
    struct picc_file *f = (c->p2 >> 3) != 0 ? picc_find_file(p, c->p2 >> 3) : p->iso_file;
    uint16_t sw = may_use(p, f, PICC_USE_WRITE);
    if (sw != ISO_OK)
        return sw;
    if (c->p1 != 0 || c->data.left > f->settings.record_size)
        return c->p1 != 0 ? ISO_P1P2 : ISO_LENGTH;
    uint8_t head[7] = {f->no, 0, 0, 0, (uint8_t)c->data.left, 0, 0};
    struct picc_call call = {
        .cmd = DF_CMD_WRITE_RECORD, .head = b_rd_from(head, 7), .data = c->data};
    uint8_t native = picc_write_record(p, &call);
    if (native == DF_SW_OK) {
        /* ISO has no commit: an appended record is there at once. */
        struct picc_call commit = {.cmd = DF_CMD_COMMIT_TRANSACTION};
        native = picc_commit(p, &commit);
    }
    return iso_status(native);
}

/* --- three passes
 * ------------------------------------------------------------------------------------ */

static uint16_t get_challenge(struct df_picc *p, const struct df_capdu *c, struct b_wr *out)
{
    if (c->le != 8 && c->le != 16)
        return ISO_LENGTH;
    p->random.fill(p->random.ctx, p->iso_challenge, c->le);
    p->iso_step = (uint8_t)c->le;
    b_wr_bytes(out, p->iso_challenge, c->le);
    return ISO_OK;
}

/* P1: 02 2K3DES, 04 3K3DES, 09 AES, 00 whatever the key is; P2: b7 application, b4..0 key. */
static bool begin_iso(struct df_picc *p, const struct df_capdu *c, struct df_key *key)
{
    bool is_app = (c->p2 & 0x80) != 0;
    if ((p->mem.messaging & 0x02) != 0) /* EV1 secure messaging is switched off */
        return false;
    if (is_app != (p->app != NULL) || !picc_key_at(p, c->p2 & 0x1F, key))
        return false;
    uint8_t algorithm = key->type == DF_KEY_AES ? 0x09 : key->type == DF_KEY_3K3DES ? 0x04 : 0x02;
    if (c->p1 != 0x00 && c->p1 != algorithm)
        return false;
    enum df_auth how = key->type == DF_KEY_AES ? DF_AUTH_AES : DF_AUTH_ISO;
    return df_hs_begin(&p->handshake, how, c->p2 & 0x1F, key);
}

static uint16_t external_authenticate(struct df_picc *p, const struct df_capdu *c)
{
    struct df_key key;
    uint8_t plain[32], iv[16] = {0};
    uint8_t step = p->iso_step;
    p->iso_step = 0;
    if (step == 0)
        return ISO_CONDITIONS;
    df_sm_drop(&p->sm); /* as a native authentication does when it begins */
    bool can = begin_iso(p, c, &key);
    b_wipe(&key, sizeof(key));
    size_t n = p->handshake.size;
    if (!can || step != n || c->data.left != 2 * n)
        return can ? ISO_LENGTH : ISO_P1P2;
    crypto_cbc_decrypt(&p->handshake.key, iv, c->data.p, plain, 2 * n);
    bool is_good = b_ct_eq(plain + n, p->iso_challenge, n);
    memcpy(p->handshake.a, plain, n);
    b_wipe(plain, sizeof(plain));
    if (!is_good)
        return ISO_SECURITY;
    memcpy(p->handshake.b, p->iso_challenge, n);
    p->iso_step = 0x80;
    return ISO_OK;
}

static uint16_t internal_authenticate(struct df_picc *p, const struct df_capdu *c, struct b_wr *out)
{
    struct df_handshake *hs = &p->handshake;
    size_t n = hs->size;
    uint8_t plain[32], iv[16] = {0};
    uint8_t step = p->iso_step;
    p->iso_step = 0;
    if (step != 0x80)
        return ISO_CONDITIONS;
    if (c->data.left != n)
        return ISO_LENGTH;
    p->random.fill(p->random.ctx, plain, n);
    memcpy(plain + n, c->data.p, n);
    uint8_t *to = b_wr_reserve(out, 2 * n);
    if (to == NULL)
        return ISO_LENGTH;
    uint8_t b[16];
    memcpy(b, plain, n);
    crypto_cbc_encrypt(&hs->key, iv, plain, to, 2 * n);
    /* The session key is made of RPCD1 and RPICC2 (see sm.h); the card keeps it from here on. */
    df_hs_open_ev1(hs, &p->sm, hs->a, b);
    df_hs_drop(hs);
    b_wipe(plain, sizeof(plain));
    b_wipe(b, sizeof(b));
    return ISO_OK;
}

void picc_iso_step(struct df_picc *p, const struct df_capdu *c, struct b_wr *rapdu)
{
    enum df_cmd cmd = df_cmd_find(true, c->ins, c->p1);
    uint16_t sw = ISO_INS;
    /* Anything between its passes ends the three-pass authentication. */
    if (cmd != DF_CMD_ISO_EXTERNAL_AUTHENTICATE && cmd != DF_CMD_ISO_INTERNAL_AUTHENTICATE)
        p->iso_step = 0;
    if (cmd == DF_CMD_ISO_SELECT_NAME || cmd == DF_CMD_ISO_SELECT_FILE)
        sw = iso_select(p, c);
    else if (cmd == DF_CMD_ISO_READ_BINARY)
        sw = read_binary(p, c, rapdu);
    else if (cmd == DF_CMD_ISO_UPDATE_BINARY)
        sw = update_binary(p, c);
    else if (cmd == DF_CMD_ISO_READ_RECORDS)
        sw = read_records(p, c, rapdu);
    else if (cmd == DF_CMD_ISO_APPEND_RECORD)
        sw = append_record(p, c);
    else if (cmd == DF_CMD_ISO_GET_CHALLENGE)
        sw = get_challenge(p, c, rapdu);
    else if (cmd == DF_CMD_ISO_EXTERNAL_AUTHENTICATE)
        sw = external_authenticate(p, c);
    else if (cmd == DF_CMD_ISO_INTERNAL_AUTHENTICATE)
        sw = internal_authenticate(p, c, rapdu);
    if (sw != ISO_OK)
        rapdu->len = 0;
    b_wr_be16(rapdu, sw);
}
