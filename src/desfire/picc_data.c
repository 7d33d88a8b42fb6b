/*
 * Data, values, records, and the transaction over them.
 *
 * Standard files are written at once. Backup, value and record files are written to a shadow that
 * CommitTransaction makes true for all of them together; whatever ends the session's use of the
 * application (select, abort, a failed command, the field going) drops it. Reads see what is
 * committed.
 */
#include <string.h>

#include "desfire/picc_int.h"

static size_t index_of(const struct df_picc *p, const struct picc_file *f)
{
    return (size_t)(f - p->app->files);
}

/* --- rights
 * --------------------------------------------------------------------------------------- */

static bool has_right(const struct df_picc *p, uint8_t right, bool *is_free)
{
    if (right == DF_RIGHT_FREE)
        *is_free = true;
    return right < DF_RIGHT_FREE && picc_is_authenticated(p) && p->sm.key_no == right;
}

uint8_t picc_may(const struct df_picc *p, const struct picc_file *f, enum picc_use use,
                 bool *ret_free)
{
    struct df_rights r = f->settings.rights;
    /* Which of read, write, read-write and change serve each use (short data sheet, table 7). */
    const uint8_t never = DF_RIGHT_NEVER;
    const uint8_t serving[][3] = {
        [PICC_USE_READ] = {r.read, r.read_write, never},
        [PICC_USE_WRITE] = {r.write, r.read_write, never},
        [PICC_USE_VALUE] = {r.read, r.write, r.read_write},
        [PICC_USE_LIMITED] = {r.write, r.read_write, never},
        [PICC_USE_CREDIT] = {r.read_write, never, never},
        [PICC_USE_CHANGE] = {r.change, never, never},
    };
    bool is_free = false, by_key = false, is_possible = false;
    for (size_t i = 0; i < 3; i++) {
        by_key |= has_right(p, serving[use][i], &is_free);
        is_possible |= serving[use][i] != DF_RIGHT_NEVER;
    }
    *ret_free = is_free && !by_key;
    if (by_key || is_free)
        return DF_SW_OK;
    return is_possible ? DF_SW_AUTHENTICATION_ERROR : DF_SW_PERMISSION_DENIED;
}

/* --- transaction
 * ----------------------------------------------------------------------------------- */

void picc_drop_transaction(struct df_picc *p)
{
    p->has_transaction = false;
}

/* The shadow of a file, made when a transaction first touches it. */
static struct picc_file *shadow_of(struct df_picc *p, const struct picc_file *f)
{
    if (!p->has_transaction) {
        memset(p->is_touched, 0, sizeof(p->is_touched));
        memset(p->has_record, 0, sizeof(p->has_record));
        memset(p->is_cleared, 0, sizeof(p->is_cleared));
        p->has_transaction = true;
    }
    size_t i = index_of(p, f);
    if (!p->is_touched[i]) {
        p->shadow_files[i] = *f;
        memcpy(p->shadow + f->data_at, p->mem.data + f->data_at, f->data_len);
        p->is_touched[i] = true;
    }
    return &p->shadow_files[i];
}

uint8_t picc_commit(struct df_picc *p, struct picc_call *call)
{
    if (call->head.left > 0 && p->mem.personality.ev < DF_EV2)
        return DF_SW_LENGTH_ERROR;
    if (!p->has_transaction)
        return DF_SW_NO_CHANGES;
    for (size_t i = 0; i < PICC_FILES; i++) {
        struct picc_file *f = &p->app->files[i];
        if (!p->is_touched[i] || !f->is_used)
            continue;
        *f = p->shadow_files[i];
        memcpy(p->mem.data + f->data_at, p->shadow + f->data_at, f->data_len);
    }
    p->has_transaction = false;
    p->is_dirty = true;
    return DF_SW_OK;
}

uint8_t picc_abort(struct df_picc *p, struct picc_call *call)
{
    (void)call;
    if (!p->has_transaction)
        return DF_SW_NO_CHANGES;
    picc_drop_transaction(p);
    return DF_SW_OK;
}

/* --- data files
 * ------------------------------------------------------------------------------------ */

static bool is_data(const struct picc_file *f)
{
    return f->settings.type == DF_FILE_STANDARD || f->settings.type == DF_FILE_BACKUP;
}

static bool is_records(const struct picc_file *f)
{
    return f->settings.type == DF_FILE_LINEAR || f->settings.type == DF_FILE_CYCLIC;
}

uint8_t picc_read_range(struct df_picc *p, const struct picc_file *f, uint32_t offset, uint32_t n,
                        struct b_wr *out)
{
    if (offset >= f->settings.size)
        return DF_SW_BOUNDARY_ERROR;
    if (n == 0)
        n = f->settings.size - offset;
    if (n > f->settings.size - offset)
        return DF_SW_BOUNDARY_ERROR;
    b_wr_bytes(out, p->mem.data + f->data_at + offset, n);
    return DF_SW_OK;
}

uint8_t picc_write_range(struct df_picc *p, struct picc_file *f, uint32_t offset, struct b_rd data)
{
    if (offset > f->settings.size || data.left > f->settings.size - offset)
        return DF_SW_BOUNDARY_ERROR;
    if (f->settings.type == DF_FILE_BACKUP) {
        (void)shadow_of(p, f);
        memcpy(p->shadow + f->data_at + offset, data.p, data.left);
    } else {
        memcpy(p->mem.data + f->data_at + offset, data.p, data.left);
        p->is_dirty = true;
    }
    return DF_SW_OK;
}

uint8_t picc_read_data(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    const struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    uint32_t offset = b_rd_le24(&r);
    uint32_t n = b_rd_le24(&r);
    if (f == NULL || !is_data(f))
        return f == NULL ? DF_SW_FILE_NOT_FOUND : DF_SW_PERMISSION_DENIED;
    return picc_read_range(p, f, offset, n, call->out);
}

uint8_t picc_write_data(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    uint32_t offset = b_rd_le24(&r);
    uint32_t n = b_rd_le24(&r);
    if (f == NULL || !is_data(f))
        return f == NULL ? DF_SW_FILE_NOT_FOUND : DF_SW_PERMISSION_DENIED;
    if (n == 0 || n != call->data.left)
        return DF_SW_LENGTH_ERROR;
    return picc_write_range(p, f, offset, call->data);
}

/* --- value files
 * ------------------------------------------------------------------------------------ */

uint8_t picc_get_value(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    const struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    if (f == NULL || f->settings.type != DF_FILE_VALUE)
        return f == NULL ? DF_SW_FILE_NOT_FOUND : DF_SW_PERMISSION_DENIED;
    b_wr_le32(call->out, (uint32_t)f->settings.value);
    return DF_SW_OK;
}

/* LimitedCredit gives back at most what was debited since; it is then used up. */
uint8_t picc_change_value(struct df_picc *p, struct picc_call *call)
{
    struct b_rd head = call->head;
    struct b_rd data = call->data;
    struct picc_file *f = picc_find_file(p, b_rd_u8(&head));
    int32_t amount = (int32_t)b_rd_le32(&data);
    if (f == NULL || f->settings.type != DF_FILE_VALUE)
        return f == NULL ? DF_SW_FILE_NOT_FOUND : DF_SW_PERMISSION_DENIED;
    if (amount < 0)
        return DF_SW_PARAMETER_ERROR;
    bool is_limited = call->cmd == DF_CMD_LIMITED_CREDIT;
    bool is_debit = call->cmd == DF_CMD_DEBIT;
    if (is_limited && (f->settings.limited_credit & 1) == 0)
        return DF_SW_PERMISSION_DENIED;
    struct picc_file now =
        p->has_transaction && p->is_touched[index_of(p, f)] ? p->shadow_files[index_of(p, f)] : *f;
    int64_t value = (int64_t)now.settings.value + (is_debit ? -(int64_t)amount : amount);
    if (value < f->settings.lower || value > f->settings.upper ||
        (is_limited && amount > now.limited))
        return DF_SW_BOUNDARY_ERROR;
    struct picc_file *s = shadow_of(p, f);
    s->settings.value = (int32_t)value;
    if (is_limited)
        s->limited = 0;
    else if (is_debit)
        s->limited =
            (int32_t)((int64_t)s->limited + amount > INT32_MAX ? INT32_MAX : s->limited + amount);
    else
        s->limited = 0;
    return DF_SW_OK;
}

/* --- record files
 * ------------------------------------------------------------------------------------ */

/* A cyclic file keeps one record free for the one being written. */
static uint32_t capacity(const struct picc_file *f)
{
    return f->settings.type == DF_FILE_CYCLIC ? f->settings.record_max - 1 : f->settings.record_max;
}

static uint32_t record_at(const struct picc_file *f, uint32_t from_oldest)
{
    return f->data_at +
           (f->first_record + from_oldest) % f->settings.record_max * f->settings.record_size;
}

/* Record 0 is the newest; the answer goes from the oldest asked for to the newest. */
uint8_t picc_read_records(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    const struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    uint32_t first = b_rd_le24(&r);
    uint32_t count = b_rd_le24(&r);
    if (f == NULL || !is_records(f))
        return f == NULL ? DF_SW_FILE_NOT_FOUND : DF_SW_PERMISSION_DENIED;
    uint32_t have = f->settings.record_count;
    if (first >= have)
        return DF_SW_BOUNDARY_ERROR;
    if (count == 0)
        count = have - first;
    if (count > have - first)
        return DF_SW_BOUNDARY_ERROR;
    for (uint32_t i = have - first - count; i < have - first; i++)
        b_wr_bytes(call->out, p->mem.data + record_at(f, i), f->settings.record_size);
    return DF_SW_OK;
}

/* Makes room for the record of this transaction in the shadow; DF_SW_OK when it is there. */
static uint8_t open_record(struct df_picc *p, const struct picc_file *f)
{
    struct picc_file *s = shadow_of(p, f);
    size_t i = index_of(p, f);
    if (p->is_cleared[i])
        return DF_SW_PERMISSION_DENIED; /* cleared, not committed yet */
    if (p->has_record[i])
        return DF_SW_OK;
    if (s->settings.record_count == capacity(s)) {
        if (s->settings.type == DF_FILE_LINEAR)
            return DF_SW_BOUNDARY_ERROR;
        s->first_record = (uint16_t)((s->first_record + 1u) % s->settings.record_max);
        s->settings.record_count--;
    }
    memset(p->shadow + record_at(s, s->settings.record_count), 0, s->settings.record_size);
    s->settings.record_count++;
    p->has_record[i] = true;
    return DF_SW_OK;
}

uint8_t picc_write_record(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    uint32_t offset = b_rd_le24(&r);
    uint32_t n = b_rd_le24(&r);
    if (f == NULL || !is_records(f))
        return f == NULL ? DF_SW_FILE_NOT_FOUND : DF_SW_PERMISSION_DENIED;
    if (n == 0 || n != call->data.left)
        return DF_SW_LENGTH_ERROR;
    if (offset > f->settings.record_size || n > f->settings.record_size - offset)
        return DF_SW_BOUNDARY_ERROR;
    uint8_t sw = open_record(p, f);
    if (sw != DF_SW_OK)
        return sw;
    const struct picc_file *s = &p->shadow_files[index_of(p, f)];
    memcpy(p->shadow + record_at(s, s->settings.record_count - 1) + offset, call->data.p, n);
    return DF_SW_OK;
}

uint8_t picc_update_record(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    uint32_t record = b_rd_le24(&r);
    uint32_t offset = b_rd_le24(&r);
    uint32_t n = b_rd_le24(&r);
    if (f == NULL || !is_records(f))
        return f == NULL ? DF_SW_FILE_NOT_FOUND : DF_SW_PERMISSION_DENIED;
    if (n == 0 || n != call->data.left)
        return DF_SW_LENGTH_ERROR;
    if (record >= f->settings.record_count || offset > f->settings.record_size ||
        n > f->settings.record_size - offset)
        return DF_SW_BOUNDARY_ERROR;
    struct picc_file *s = shadow_of(p, f);
    memcpy(p->shadow + record_at(s, f->settings.record_count - 1 - record) + offset, call->data.p,
           n);
    return DF_SW_OK;
}

uint8_t picc_clear_records(struct df_picc *p, struct picc_call *call)
{
    struct b_rd r = call->head;
    struct picc_file *f = picc_find_file(p, b_rd_u8(&r));
    if (f == NULL || !is_records(f))
        return f == NULL ? DF_SW_FILE_NOT_FOUND : DF_SW_PERMISSION_DENIED;
    struct picc_file *s = shadow_of(p, f);
    s->settings.record_count = 0;
    s->first_record = 0;
    p->is_cleared[index_of(p, f)] = true;
    return DF_SW_OK;
}
