/* Keys, key settings and key sets. */
#include <string.h>

#include "desfire/picc_int.h"

/* Card level: key 0, and on EV2 the proximity key 21. */
enum { KEY_PROXIMITY = 0x21 };

uint8_t picc_pool_index(const struct picc_app *app, uint8_t set)
{
    /* Set 0 is always what is active; rolling changes which part of the pool that is. */
    return (uint8_t)((set + app->active_set) % app->key_sets);
}

static struct picc_key *app_key(struct df_picc *p, const struct picc_app *app, uint8_t set,
                                uint8_t no)
{
    return &p->mem.keys[app->first_key + picc_pool_index(app, set) * app->key_count + no];
}

bool picc_key_at(const struct df_picc *p, uint8_t no, struct df_key *ret)
{
    const struct picc_key *from;
    if (p->app == NULL) {
        if (no != 0)
            return false;
        ret->type = p->mem.key_type;
        from = &p->mem.master;
    } else {
        if (no >= p->app->key_count)
            return false;
        uint8_t index = picc_pool_index(p->app, 0);
        ret->type = (enum df_key_type)p->app->set_type[index];
        from = &p->mem.keys[p->app->first_key + index * p->app->key_count + no];
    }
    ret->version = from->version;
    memcpy(ret->bytes, from->bytes, sizeof(ret->bytes));
    return true;
}

uint8_t picc_get_key_settings(struct df_picc *p, struct picc_call *call)
{
    if (p->app == NULL) {
        b_wr_u8(call->out, p->mem.settings);
        b_wr_u8(call->out, (uint8_t)(p->mem.key_type | 1));
        return DF_SW_OK;
    }
    const struct picc_app *a = p->app;
    uint8_t index = picc_pool_index(a, 0);
    b_wr_u8(call->out, a->settings);
    b_wr_u8(call->out, (uint8_t)(a->set_type[index] | (a->has_iso_files ? 0x20 : 0) |
                                 (a->has_key_sets ? 0x10 : 0) | a->key_count));
    if (a->has_key_sets) {
        b_wr_u8(call->out, a->set_version[index]);
        b_wr_u8(call->out, a->key_sets);
        b_wr_u8(call->out, a->max_key_size);
        b_wr_u8(call->out, a->set_settings);
    }
    return DF_SW_OK;
}

uint8_t picc_change_key_settings(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->data;
    uint8_t *settings = p->app == NULL ? &p->mem.settings : &p->app->settings;
    if ((*settings & 0x08) == 0)
        return DF_SW_PERMISSION_DENIED;
    uint8_t wanted = b_rd_u8(&r);
    *settings = p->app == NULL ? wanted & 0x0F : wanted;
    p->is_dirty = true;
    return DF_SW_OK;
}

uint8_t picc_get_key_version(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    uint8_t no = b_rd_u8(&r);
    bool has_set = r.left > 0;
    uint8_t set = b_rd_u8(&r);
    if (p->app == NULL) {
        if (no == KEY_PROXIMITY && p->mem.personality.ev >= DF_EV2)
            b_wr_u8(call->out, p->mem.proximity.version);
        else if (no == 0)
            b_wr_u8(call->out, p->mem.master.version);
        else
            return DF_SW_NO_SUCH_KEY;
        return DF_SW_OK;
    }
    const struct picc_app *a = p->app;
    if (has_set && !a->has_key_sets)
        return DF_SW_LENGTH_ERROR;
    if (has_set && (set & 0x80)) {
        for (uint8_t i = 0; i < a->key_sets; i++)
            b_wr_u8(call->out, a->set_version[picc_pool_index(a, i)]);
        return DF_SW_OK;
    }
    if (!has_set)
        set = 0;
    if ((no & 0x3F) >= a->key_count || set >= a->key_sets)
        return DF_SW_NO_SUCH_KEY;
    b_wr_u8(call->out, app_key(p, a, set, no & 0x3F)->version);
    return DF_SW_OK;
}

/* --- ChangeKey -------------------------------------------------------------------------------- */

/* Who may change key `no` of the application, by KeySett1 b7..4. */
static uint8_t may_change(const struct df_picc *p, const struct picc_app *a, uint8_t no)
{
    uint8_t right = a->settings >> 4;
    if (no == 0 && (a->settings & 0x01) == 0)
        return DF_SW_PERMISSION_DENIED; /* the master key is frozen */
    if (right == 0xF && no != 0)
        return DF_SW_PERMISSION_DENIED;
    uint8_t needed = right == 0xE ? no : right;
    if (no == 0 || (right < 0xE && no == right))
        needed = 0;
    return p->sm.key_no == needed ? DF_SW_OK : DF_SW_AUTHENTICATION_ERROR;
}

/* Where the key goes, its new type, and whether it is the session's own. */
static uint8_t find_target(struct df_picc *p, struct picc_call *call, struct picc_key **ret_key,
                           enum df_key_type *ret_type, bool *ret_is_own)
{
    struct b_rd head = call->head;
    uint8_t set = call->cmd == DF_CMD_CHANGE_KEY_EV2 ? b_rd_u8(&head) : 0;
    uint8_t no = b_rd_u8(&head);
    if (!picc_is_authenticated(p))
        return DF_SW_AUTHENTICATION_ERROR;
    if (p->app == NULL) {
        *ret_type = (enum df_key_type)(no & 0xC0);
        bool is_proximity = (no & 0x3F) == KEY_PROXIMITY && p->mem.personality.ev >= DF_EV2;
        if (((no & 0x3F) != 0 && !is_proximity) || (no & 0xC0) == 0xC0 || set != 0)
            return DF_SW_NO_SUCH_KEY;
        if (is_proximity && *ret_type != DF_KEY_AES)
            return DF_SW_PARAMETER_ERROR;
        if (!is_proximity && (p->mem.settings & 0x01) == 0)
            return DF_SW_PERMISSION_DENIED;
        *ret_key = is_proximity ? &p->mem.proximity : &p->mem.master;
        *ret_is_own = !is_proximity;
        return p->sm.key_no == 0 ? DF_SW_OK : DF_SW_AUTHENTICATION_ERROR;
    }
    struct picc_app *a = p->app;
    if ((no & 0x3F) >= a->key_count || set >= a->key_sets)
        return DF_SW_NO_SUCH_KEY;
    uint8_t index = picc_pool_index(a, set);
    if (set != 0 && (a->set_type[index] == 0xFF || (a->set_state >> index & 1)))
        return DF_SW_PERMISSION_DENIED; /* not initialised, or finalised already */
    *ret_type = (enum df_key_type)a->set_type[index];
    *ret_key = app_key(p, a, set, no & 0x3F);
    *ret_is_own = set == 0 && p->sm.key_no == (no & 0x3F);
    if (set != 0)
        return p->sm.key_no == 0 ? DF_SW_OK : DF_SW_AUTHENTICATION_ERROR;
    return may_change(p, a, no & 0x3F);
}

uint8_t picc_change_key(struct df_picc *p, struct picc_call *call)
{
    struct picc_key *key = NULL;
    struct df_key got = {0}, old = {0};
    bool is_own = false;
    uint8_t sw = find_target(p, call, &key, &got.type, &is_own);
    if (sw != DF_SW_OK)
        return sw;
    old.type = got.type;
    memcpy(old.bytes, key->bytes, sizeof(old.bytes));
    struct df_sm_key_change change = {.ins = df_cmd_row(call->cmd)->ins,
                                      .head_len = (uint8_t)call->head.left,
                                      .old = is_own ? NULL : &old};
    memcpy(change.head, call->head.p, call->head.left);
    bool is_good = df_sm_unwrap_key(&p->sm, &change, got.type, call->body, call->body_len, &got);
    b_wipe(&old, sizeof(old));
    if (!is_good)
        return DF_SW_INTEGRITY_ERROR;
    memcpy(key->bytes, got.bytes, sizeof(key->bytes));
    key->version = got.version;
    if (p->app == NULL && key == &p->mem.master)
        p->mem.key_type = got.type;
    b_wipe(&got, sizeof(got));
    p->is_dirty = true;
    /* The session's own key is gone: the answer is bare and the session ends (picc.c). */
    if (is_own)
        df_sm_drop(&p->sm);
    return DF_SW_OK;
}

/* --- key sets (EV2) --------------------------------------------------------------------------- */

uint8_t picc_initialize_key_set(struct df_picc *p, struct picc_call *call)
{
    static const uint8_t types[] = {DF_KEY_2K3DES, DF_KEY_3K3DES, DF_KEY_AES};
    struct b_rd r = call->head;
    uint8_t set = b_rd_u8(&r);
    uint8_t type = b_rd_u8(&r);
    struct picc_app *a = p->app;
    if (!a->has_key_sets || set == 0 || set >= a->key_sets || type >= sizeof(types))
        return DF_SW_PARAMETER_ERROR;
    if (df_key_size((enum df_key_type)types[type]) > a->max_key_size)
        return DF_SW_PARAMETER_ERROR;
    uint8_t index = picc_pool_index(a, set);
    a->set_type[index] = types[type];
    a->set_state = (uint16_t)(a->set_state & ~(1u << index));
    a->set_version[index] = 0;
    for (uint8_t i = 0; i < a->key_count; i++)
        *app_key(p, a, set, i) = p->mem.default_key;
    p->is_dirty = true;
    return DF_SW_OK;
}

uint8_t picc_finalize_key_set(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    uint8_t set = b_rd_u8(&r);
    uint8_t version = b_rd_u8(&r);
    struct picc_app *a = p->app;
    if (!a->has_key_sets || set == 0 || set >= a->key_sets)
        return DF_SW_PARAMETER_ERROR;
    uint8_t index = picc_pool_index(a, set);
    if (a->set_type[index] == 0xFF)
        return DF_SW_PERMISSION_DENIED;
    a->set_state = (uint16_t)(a->set_state | 1u << index);
    a->set_version[index] = version;
    p->is_dirty = true;
    return DF_SW_OK;
}

uint8_t picc_roll_key_set(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    uint8_t set = b_rd_u8(&r);
    struct picc_app *a = p->app;
    if (!a->has_key_sets || set == 0 || set >= a->key_sets)
        return DF_SW_PARAMETER_ERROR;
    uint8_t index = picc_pool_index(a, set);
    if ((a->set_state >> index & 1) == 0)
        return DF_SW_PERMISSION_DENIED;
    if (!picc_is_authenticated(p) || p->sm.key_no != (a->set_settings & 0x0F))
        return DF_SW_AUTHENTICATION_ERROR;
    a->active_set = index;
    p->is_dirty = true;
    df_sm_drop(&p->sm);
    return DF_SW_OK;
}
