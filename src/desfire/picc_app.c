/* The card itself and its applications: version, directory, creation, configuration. */
#include <string.h>

#include "desfire/picc_int.h"

/* --- memory ---------------------------------------------------------------------------------
 * NXP does not publish how an application's memory is counted. Assumed here: blocks of 32 bytes;
 * an application takes one, one more for a DF name, and its keys; a file takes one and its data,
 * twice for backup files. EV1 gives memory back only when it is formatted, later cards at once. */

static uint32_t in_blocks(size_t bytes)
{
    return (uint32_t)((bytes + PICC_BLOCK - 1) / PICC_BLOCK * PICC_BLOCK);
}

uint32_t df_picc_free_memory(const struct df_picc *p)
{
    return p->mem.personality.memory - 256 - p->mem.used;
}

bool picc_take_memory(struct df_picc *p, size_t bytes)
{
    if (in_blocks(bytes) > df_picc_free_memory(p))
        return false;
    p->mem.used += in_blocks(bytes);
    return true;
}

void picc_give_memory(struct df_picc *p, size_t bytes)
{
    if (p->mem.personality.ev != DF_EV1)
        p->mem.used -= in_blocks(bytes);
}

size_t picc_app_bytes(const struct picc_app *app)
{
    size_t key = app->type == DF_KEY_3K3DES ? 24 : 16;
    size_t blocks = app->df_name_len > 0 ? 2 : 1;
    return blocks * PICC_BLOCK + in_blocks(key * app->key_count * app->key_sets);
}

/* --- selection ------------------------------------------------------------------------------- */

struct picc_app *picc_find_app(struct df_picc *p, df_aid aid)
{
    for (size_t i = 0; i < PICC_APPS; i++) {
        if (p->mem.apps[i].is_used && p->mem.apps[i].aid == aid)
            return &p->mem.apps[i];
    }
    return NULL;
}

void picc_select(struct df_picc *p, struct picc_app *app)
{
    picc_drop_transaction(p);
    df_sm_drop(&p->sm);
    p->app = app;
    p->second = NULL;
    p->iso_file = NULL;
}

uint8_t picc_select_application(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    if (r.left != 3 && (r.left != 6 || p->mem.personality.ev < DF_EV2))
        return DF_SW_LENGTH_ERROR;
    df_aid aid = b_rd_le24(&r);
    bool has_second = r.left > 0;
    struct picc_app *app = aid == 0 ? NULL : picc_find_app(p, aid);
    struct picc_app *second = has_second ? picc_find_app(p, b_rd_le24(&r)) : NULL;
    /* Whatever the outcome, what was selected before is left (the authentication with it). */
    picc_select(p, NULL);
    if ((aid != 0 && app == NULL) || (has_second && (second == NULL || app == NULL)))
        return DF_SW_APPLICATION_NOT_FOUND;
    p->app = app;
    p->second = second;
    return DF_SW_OK;
}

/* --- creation and deletion ----------------------------------------------------------------------
 */

/* KeySett1 of the card: b2 set lets anyone create. The guard row says so to picc_need. */
static bool parse_application(struct df_picc *p, struct b_rd r, struct picc_app *app)
{
    bool is_ev2 = p->mem.personality.ev >= DF_EV2;
    *app = (struct picc_app){.is_used = true, .key_sets = 1};
    app->aid = b_rd_le24(&r);
    app->settings = b_rd_u8(&r);
    uint8_t ks2 = b_rd_u8(&r);
    app->type = (enum df_key_type)(ks2 & 0xC0);
    app->key_count = ks2 & 0x0F;
    app->has_iso_files = (ks2 & 0x20) != 0;
    if (ks2 & 0x10) {
        if (!is_ev2)
            return false;
        uint8_t ks3 = b_rd_u8(&r);
        if (ks3 & 0x01) {
            app->has_key_sets = true;
            app->set_version[0] = b_rd_u8(&r);
            app->key_sets = b_rd_u8(&r);
            app->max_key_size = b_rd_u8(&r);
            app->set_settings = b_rd_u8(&r);
        }
    }
    if (r.left > 0) {
        app->has_iso_fid = true;
        app->iso_fid = b_rd_le16(&r);
        app->df_name_len = (uint8_t)r.left;
        if (r.left > DF_DF_NAME_MAX)
            return false;
        b_rd_bytes(&r, app->df_name, app->df_name_len);
    }
    if (app->key_count > PICC_KEYS || (ks2 & 0xC0) == 0xC0 || app->key_sets < 1 ||
        app->key_sets > 16)
        return false;
    if (app->has_key_sets &&
        (app->key_sets < 2 || (app->max_key_size != 16 && app->max_key_size != 24)))
        return false;
    return b_rd_end(&r);
}

static bool is_taken(const struct df_picc *p, const struct picc_app *app)
{
    for (size_t i = 0; i < PICC_APPS; i++) {
        const struct picc_app *other = &p->mem.apps[i];
        if (!other->is_used)
            continue;
        if (other->aid == app->aid)
            return true;
        if (app->has_iso_fid && other->has_iso_fid && other->iso_fid == app->iso_fid)
            return true;
        if (app->df_name_len > 0 && app->df_name_len == other->df_name_len &&
            b_ct_eq(app->df_name, other->df_name, app->df_name_len))
            return true;
    }
    return false;
}

uint8_t picc_create_application(struct df_picc *p, struct picc_call *call)
{
    struct picc_app app;
    if (!parse_application(p, call->head, &app))
        return DF_SW_PARAMETER_ERROR;
    if (app.aid == 0 || is_taken(p, &app))
        return app.aid == 0 ? DF_SW_PARAMETER_ERROR : DF_SW_DUPLICATE_ERROR;
    size_t limit = p->mem.personality.ev == DF_EV1 ? PICC_APPS_EV1 : PICC_APPS;
    size_t slot = 0;
    while (slot < limit && p->mem.apps[slot].is_used)
        slot++;
    size_t keys = (size_t)app.key_sets * app.key_count;
    if (slot == limit)
        return DF_SW_COUNT_ERROR;
    if (p->mem.keys_used + keys > PICC_KEY_POOL || !picc_take_memory(p, picc_app_bytes(&app)))
        return DF_SW_OUT_OF_EEPROM;
    app.first_key = p->mem.keys_used;
    p->mem.keys_used = (uint16_t)(p->mem.keys_used + keys);
    memset(app.set_type, 0xFF, sizeof(app.set_type));
    app.set_type[0] = (uint8_t)app.type;
    app.set_state = 1;
    for (size_t i = 0; i < keys; i++)
        p->mem.keys[app.first_key + i] =
            i < app.key_count ? p->mem.default_key : (struct picc_key){0};
    p->mem.apps[slot] = app;
    p->is_dirty = true;
    return DF_SW_OK;
}

/* Closes the gap that removed keys or data leave, so that the rest stays in one piece. */
static void remove_keys(struct picc_memory *m, uint16_t at, size_t n)
{
    memmove(m->keys + at, m->keys + at + n, ((size_t)m->keys_used - at - n) * sizeof(m->keys[0]));
    m->keys_used = (uint16_t)(m->keys_used - n);
    b_wipe(m->keys + m->keys_used, n * sizeof(m->keys[0]));
    for (size_t i = 0; i < PICC_APPS; i++) {
        if (m->apps[i].is_used && m->apps[i].first_key > at)
            m->apps[i].first_key = (uint16_t)(m->apps[i].first_key - n);
    }
}

void picc_remove_data(struct df_picc *p, struct picc_file *f)
{
    struct picc_memory *m = &p->mem;
    uint16_t at = f->data_at, n = f->data_len;
    memmove(m->data + at, m->data + at + n, (size_t)(m->data_used - at - n));
    m->data_used = (uint16_t)(m->data_used - n);
    memset(m->data + m->data_used, 0, n);
    for (size_t a = 0; a < PICC_APPS; a++) {
        for (size_t i = 0; i < PICC_FILES; i++) {
            struct picc_file *other = &m->apps[a].files[i];
            if (other->is_used && other->data_at > at)
                other->data_at = (uint16_t)(other->data_at - n);
        }
    }
    f->is_used = false;
}

static void remove_app(struct df_picc *p, struct picc_app *app)
{
    for (size_t i = 0; i < PICC_FILES; i++) {
        if (app->files[i].is_used) {
            picc_give_memory(p, picc_file_bytes(&app->files[i]));
            picc_remove_data(p, &app->files[i]);
        }
    }
    picc_give_memory(p, picc_app_bytes(app));
    remove_keys(&p->mem, app->first_key, (size_t)(app->key_sets * app->key_count));
    *app = (struct picc_app){0};
    p->is_dirty = true;
}

/* The card's master key may delete any application; its own master key may where the card's
 * settings let anyone create and delete (b2). */
uint8_t picc_delete_application(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    struct picc_app *app = picc_find_app(p, b_rd_le24(&r));
    if (app == NULL)
        return DF_SW_APPLICATION_NOT_FOUND;
    bool is_card_master = p->app == NULL && picc_is_master(p);
    bool is_own_master = p->app == app && picc_is_master(p) && (p->mem.settings & 0x04) != 0;
    if (!is_card_master && !is_own_master)
        return DF_SW_AUTHENTICATION_ERROR;
    bool was_selected = p->app == app;
    remove_app(p, app);
    if (was_selected)
        picc_select(p, NULL);
    return DF_SW_OK;
}

uint8_t picc_format(struct df_picc *p, struct picc_call *call)
{
    (void)call;
    if (p->mem.config & 0x01)
        return DF_SW_PERMISSION_DENIED;
    memset(p->mem.apps, 0, sizeof(p->mem.apps));
    b_wipe(p->mem.keys, sizeof(p->mem.keys));
    b_wipe(p->mem.data, sizeof(p->mem.data));
    p->mem.used = 0;
    p->mem.keys_used = 0;
    p->mem.data_used = 0;
    p->is_dirty = true;
    return DF_SW_OK;
}

/* --- what the card says of itself ------------------------------------------------------------- */

static uint8_t storage_code(uint32_t bytes)
{
    return bytes == 2048 ? 0x16 : bytes == 4096 ? 0x18 : 0x1A;
}

/* HW 7, SW 7, then UID 7, batch 5, week, year; the frames are cut by picc.c. */
uint8_t picc_get_version(struct df_picc *p, struct picc_call *call)
{
    static const uint8_t hw_major[] = {[DF_EV1] = 0x01, [DF_EV2] = 0x12, [DF_EV3] = 0x33};
    uint8_t code = storage_code(p->mem.personality.memory);
    uint8_t major = hw_major[p->mem.personality.ev];
    b_wr_bytes(call->out, (const uint8_t[]){0x04, 0x01, 0x01, major, 0x00, code, 0x05}, 7);
    b_wr_bytes(call->out,
               (const uint8_t[]){0x04, 0x01, 0x01, p->mem.sw_major, p->mem.sw_minor, code, 0x05},
               7);
    /* With a random UID the true one is only for who is authenticated. */
    static const uint8_t hidden[7];
    bool is_hidden = (p->mem.config & 0x02) != 0 && !picc_is_authenticated(p);
    b_wr_bytes(call->out, is_hidden ? hidden : p->mem.personality.uid, 7);
    b_wr_bytes(call->out, p->mem.batch, sizeof(p->mem.batch));
    b_wr_u8(call->out, p->mem.week);
    b_wr_u8(call->out, p->mem.year);
    return DF_SW_OK;
}

uint8_t picc_get_application_ids(struct df_picc *p, struct picc_call *call)
{
    for (size_t i = 0; i < PICC_APPS; i++) {
        if (p->mem.apps[i].is_used)
            b_wr_le24(call->out, p->mem.apps[i].aid);
    }
    return DF_SW_OK;
}

bool picc_next_df_name(struct df_picc *p, struct b_wr *out)
{
    while (p->name_at < PICC_APPS) {
        const struct picc_app *app = &p->mem.apps[p->name_at++];
        if (!app->is_used || !app->has_iso_fid)
            continue;
        b_wr_le24(out, app->aid);
        b_wr_le16(out, app->iso_fid);
        b_wr_bytes(out, app->df_name, app->df_name_len);
        return true;
    }
    return false;
}

uint8_t picc_free_memory(struct df_picc *p, struct picc_call *call)
{
    b_wr_le24(call->out, df_picc_free_memory(p));
    return DF_SW_OK;
}

uint8_t picc_get_card_uid(struct df_picc *p, struct picc_call *call)
{
    if (call->head.left > 0 && p->mem.personality.ev < DF_EV3)
        return DF_SW_LENGTH_ERROR;
    b_wr_bytes(call->out, p->mem.personality.uid, 7);
    return DF_SW_OK;
}

uint8_t picc_read_signature(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    if (!p->mem.personality.has_signature)
        return DF_SW_ILLEGAL_COMMAND;
    if (b_rd_u8(&r) != 0x00)
        return DF_SW_PARAMETER_ERROR;
    b_wr_bytes(call->out, p->mem.personality.signature, sizeof(p->mem.personality.signature));
    return DF_SW_SIGNATURE;
}

/* --- configuration ------------------------------------------------------------------------------
 */

static uint8_t set_default_key(struct df_picc *p, struct b_rd r)
{
    if (r.left != 25)
        return DF_SW_LENGTH_ERROR;
    b_rd_bytes(&r, p->mem.default_key.bytes, DF_KEY_BYTES_MAX);
    p->mem.default_key.version = b_rd_u8(&r);
    return DF_SW_OK;
}

static uint8_t set_ats(struct df_picc *p, struct b_rd r)
{
    if (r.left < 2 || r.left > PICC_ATS_MAX || r.p[0] != r.left)
        return DF_SW_LENGTH_ERROR;
    p->mem.ats_len = (uint8_t)r.left;
    b_rd_bytes(&r, p->mem.ats, r.left);
    return DF_SW_OK;
}

uint8_t picc_set_configuration(struct df_picc *p, struct picc_call *call)
{
    struct b_rd head = call->head;
    struct b_rd r = call->data;
    uint8_t option = b_rd_u8(&head);
    uint8_t sw;
    if (p->app != NULL)
        return DF_SW_PERMISSION_DENIED;
    switch (option) {
    case 0x00: /* irreversible bits: what is set stays set */
        sw = r.left == 1 ? DF_SW_OK : DF_SW_LENGTH_ERROR;
        if (sw == DF_SW_OK)
            p->mem.config |= b_rd_u8(&r) & (p->mem.personality.ev == DF_EV1 ? 0x03 : 0x0F);
        break;
    case 0x01:
        sw = set_default_key(p, r);
        break;
    case 0x02:
        sw = set_ats(p, r);
        break;
    case 0x04:
        sw = p->mem.personality.ev < DF_EV2 ? DF_SW_PARAMETER_ERROR
             : r.left == 2                  ? DF_SW_OK
                                            : DF_SW_LENGTH_ERROR;
        if (sw == DF_SW_OK)
            p->mem.messaging |= r.p[1] & 0x07;
        break;
    default:
        sw = DF_SW_PARAMETER_ERROR;
    }
    if (sw == DF_SW_OK)
        p->is_dirty = true;
    return sw;
}

size_t df_picc_ats(const struct df_picc *p, uint8_t ats[static 20])
{
    memcpy(ats, p->mem.ats, p->mem.ats_len);
    return p->mem.ats_len;
}

size_t df_picc_shown_uid(const struct df_picc *p, uint8_t uid[static 7])
{
    if (p->mem.config & 0x02) {
        memcpy(uid, p->random_uid, sizeof(p->random_uid));
        return sizeof(p->random_uid);
    }
    memcpy(uid, p->mem.personality.uid, 7);
    return 7;
}
