/*
 * The card image.
 *
 *   offset  size  meaning
 *   0       8     "TESSCARD"
 *   8       2     version, 1
 *   10      4     length of the body
 *   14      32    SHA-256 of the body
 *   46      n     body: the fields of struct picc_memory in the order of walk_memory below, little
 *                 endian; only used applications, files, keys and data
 *
 * One walk serves both directions: a field that is written is read at the same place. load refuses
 * whatever save could not have written: ranges, counts and memory sums are checked.
 */
#include <string.h>

#include "desfire/picc_int.h"

enum { HEADER = 46, VERSION = 1 };
static const uint8_t magic[8] = {'T', 'E', 'S', 'S', 'C', 'A', 'R', 'D'};

static void walk_key(struct b_walk *k, struct picc_key *key)
{
    B_WALK(k, key->version, 255);
    b_walk_bytes(k, key->bytes, sizeof(key->bytes));
}

static void walk_settings(struct b_walk *k, struct df_file_settings *s)
{
    uint32_t rights = df_rights_pack(s->rights);
    B_WALK(k, s->type, DF_FILE_CYCLIC);
    B_WALK(k, s->option, 3);
    B_WALK(k, s->comm, DF_COMM_FULL);
    B_WALK(k, rights, 0xFFFF);
    s->rights = df_rights_unpack((uint16_t)rights);
    B_WALK(k, s->has_iso, 1);
    B_WALK(k, s->iso_fid, 0xFFFF);
    B_WALK(k, s->size, PICC_DATA);
    B_WALK(k, s->lower, UINT32_MAX);
    B_WALK(k, s->upper, UINT32_MAX);
    B_WALK(k, s->value, UINT32_MAX);
    B_WALK(k, s->limited_credit, 3);
    B_WALK(k, s->record_size, PICC_DATA);
    B_WALK(k, s->record_max, PICC_DATA);
    B_WALK(k, s->record_count, PICC_DATA);
}

static bool is_file_good(const struct picc_memory *m, const struct picc_file *f)
{
    const struct df_file_settings *s = &f->settings;
    uint64_t need = 0;
    enum df_comm comm = (s->option & 1) == 0 ? DF_COMM_PLAIN
                        : (s->option & 2)    ? DF_COMM_FULL
                                             : DF_COMM_MAC;
    if (f->data_at + f->data_len > m->data_used || s->comm != comm)
        return false;
    switch (s->type) {
    case DF_FILE_STANDARD:
        need = s->size;
        break;
    case DF_FILE_BACKUP:
        need = 2 * (uint64_t)s->size;
        break;
    case DF_FILE_LINEAR:
    case DF_FILE_CYCLIC:
        need = (uint64_t)s->record_size * s->record_max;
        if (s->record_size == 0 || s->record_max < (s->type == DF_FILE_CYCLIC ? 2u : 1u) ||
            s->record_count > s->record_max - (s->type == DF_FILE_CYCLIC) ||
            f->first_record >= s->record_max)
            return false;
        break;
    case DF_FILE_VALUE:
        return s->lower <= s->value && s->value <= s->upper && f->limited >= 0 && f->data_len == 0;
    case DF_FILE_TMAC:
        return false;
    }
    return need > 0 && need == f->data_len;
}

static void walk_file(struct b_walk *k, struct picc_memory *m, struct picc_file *f, uint8_t no)
{
    B_WALK(k, f->is_used, 1);
    if (!f->is_used)
        return;
    f->no = no;
    walk_settings(k, &f->settings);
    B_WALK(k, f->first_record, 0xFFFF);
    B_WALK(k, f->limited, UINT32_MAX);
    B_WALK(k, f->data_at, PICC_DATA);
    B_WALK(k, f->data_len, PICC_DATA);
    if (b_walk_is_loading(k) && !is_file_good(m, f))
        k->is_bad = true;
}

static bool is_type(enum df_key_type t)
{
    return t == DF_KEY_2K3DES || t == DF_KEY_3K3DES || t == DF_KEY_AES;
}

static bool is_app_good(const struct picc_memory *m, const struct picc_app *a)
{
    if (!is_type(a->type) || a->aid == 0 || a->key_sets < 1 || a->active_set >= a->key_sets ||
        a->first_key + a->key_sets * a->key_count > m->keys_used)
        return false;
    for (size_t i = 0; i < a->key_sets; i++) {
        bool is_none = a->set_type[i] == 0xFF && i != a->active_set;
        if (!is_none && !is_type((enum df_key_type)a->set_type[i]))
            return false;
    }
    return true;
}

static void walk_app(struct b_walk *k, struct picc_memory *m, struct picc_app *a)
{
    B_WALK(k, a->is_used, 1);
    if (!a->is_used)
        return;
    B_WALK(k, a->aid, 0xFFFFFF);
    B_WALK(k, a->settings, 255);
    B_WALK(k, a->type, DF_KEY_AES);
    B_WALK(k, a->key_count, PICC_KEYS);
    B_WALK(k, a->has_iso_files, 1);
    B_WALK(k, a->has_iso_fid, 1);
    B_WALK(k, a->iso_fid, 0xFFFF);
    B_WALK(k, a->df_name_len, DF_DF_NAME_MAX);
    b_walk_bytes(k, a->df_name, sizeof(a->df_name));
    B_WALK(k, a->has_key_sets, 1);
    B_WALK(k, a->key_sets, 16);
    B_WALK(k, a->active_set, 15);
    B_WALK(k, a->max_key_size, 24);
    B_WALK(k, a->set_settings, 255);
    b_walk_bytes(k, a->set_version, sizeof(a->set_version));
    b_walk_bytes(k, a->set_type, sizeof(a->set_type));
    B_WALK(k, a->set_state, 0xFFFF);
    B_WALK(k, a->first_key, PICC_KEY_POOL);
    if (b_walk_is_loading(k) && !is_app_good(m, a))
        k->is_bad = true;
    for (uint8_t i = 0; i < PICC_FILES; i++)
        walk_file(k, m, &a->files[i], i);
}

static void walk_personality(struct b_walk *k, struct df_personality *p)
{
    B_WALK(k, p->ev, DF_EV3);
    B_WALK(k, p->memory, PICC_DATA);
    b_walk_bytes(k, p->uid, sizeof(p->uid));
    B_WALK(k, p->random_uid, 1);
    B_WALK(k, p->has_signature, 1);
    b_walk_bytes(k, p->signature, sizeof(p->signature));
}

static void walk_memory(struct b_walk *k, struct picc_memory *m)
{
    walk_personality(k, &m->personality);
    b_walk_bytes(k, m->batch, sizeof(m->batch));
    B_WALK(k, m->week, 255);
    B_WALK(k, m->year, 255);
    B_WALK(k, m->sw_major, 255);
    B_WALK(k, m->sw_minor, 255);
    B_WALK(k, m->settings, 0x0F);
    B_WALK(k, m->key_type, DF_KEY_AES);
    walk_key(k, &m->master);
    walk_key(k, &m->default_key);
    walk_key(k, &m->proximity);
    B_WALK(k, m->config, 0x0F);
    B_WALK(k, m->messaging, 0x07);
    B_WALK(k, m->ats_len, PICC_ATS_MAX);
    b_walk_bytes(k, m->ats, sizeof(m->ats));
    B_WALK(k, m->used, PICC_DATA);
    B_WALK(k, m->data_used, PICC_DATA);
    B_WALK(k, m->keys_used, PICC_KEY_POOL);
    for (size_t i = 0; i < PICC_APPS; i++)
        walk_app(k, m, &m->apps[i]);
    for (size_t i = 0; i < m->keys_used; i++)
        walk_key(k, &m->keys[i]);
    b_walk_bytes(k, m->data, m->data_used);
}

/* One file or key set in its area: false when it lies on another one. */
static bool mark(uint8_t *area, size_t at, size_t n)
{
    for (size_t i = at; i < at + n; i++) {
        if (area[i / 8] >> (i % 8) & 1)
            return false;
        area[i / 8] = (uint8_t)(area[i / 8] | 1u << (i % 8));
    }
    return true;
}

/* What takes nothing (a value file, an application without keys) lies where something else begins,
 * or behind all of it: inside, it would be moved to before the start when that is removed. */
static bool is_edge_of_data(const struct picc_memory *m, size_t at)
{
    bool is_edge = at == m->data_used;
    for (size_t i = 0; i < PICC_APPS * PICC_FILES && !is_edge; i++) {
        const struct picc_app *a = &m->apps[i / PICC_FILES];
        const struct picc_file *f = &a->files[i % PICC_FILES];
        is_edge = a->is_used && f->is_used && f->data_len > 0 && f->data_at == at;
    }
    return is_edge;
}

static bool is_edge_of_keys(const struct picc_memory *m, size_t at)
{
    bool is_edge = at == m->keys_used;
    for (size_t i = 0; i < PICC_APPS && !is_edge; i++)
        is_edge = m->apps[i].is_used && m->apps[i].key_count > 0 && m->apps[i].first_key == at;
    return is_edge;
}

/* Files and keys fill their areas, each byte once, and what they take is what is counted: removing
 * one moves the others, and must find them where they are said to be. */
static bool is_layout_good(const struct picc_memory *m)
{
    uint8_t data[PICC_DATA / 8] = {0}, keys[PICC_KEY_POOL / 8] = {0};
    size_t data_sum = 0, key_sum = 0, used = 0;
    for (size_t i = 0; i < PICC_APPS; i++) {
        const struct picc_app *a = &m->apps[i];
        size_t n = (size_t)a->key_sets * a->key_count;
        if (!a->is_used)
            continue;
        if (!mark(keys, a->first_key, n) || (n == 0 && !is_edge_of_keys(m, a->first_key)))
            return false;
        key_sum += n;
        used += picc_app_bytes(a);
        for (size_t j = 0; j < PICC_FILES; j++) {
            const struct picc_file *f = &a->files[j];
            if (!f->is_used)
                continue;
            if (!mark(data, f->data_at, f->data_len) ||
                (f->data_len == 0 && !is_edge_of_data(m, f->data_at)))
                return false;
            data_sum += f->data_len;
            used += picc_file_bytes(f);
        }
    }
    bool keeps_deleted = m->personality.ev == DF_EV1;
    return data_sum == m->data_used && key_sum == m->keys_used &&
           (m->used == used || (keeps_deleted && m->used > used));
}

static bool is_memory_good(const struct picc_memory *m)
{
    uint32_t size = m->personality.memory;
    if ((size != 2048 && size != 4096 && size != 8192) || m->personality.ev < DF_EV1 ||
        m->personality.uid[0] != 0x04 || m->used > size - 256 || m->used % PICC_BLOCK != 0 ||
        !is_type(m->key_type) || m->ats_len < 2 || m->ats[0] != m->ats_len)
        return false;
    for (size_t i = 0; i < PICC_APPS; i++) {
        for (size_t j = 0; m->apps[i].is_used && j < i; j++) {
            if (m->apps[j].is_used && m->apps[j].aid == m->apps[i].aid)
                return false;
        }
    }
    return is_layout_good(m);
}

size_t df_picc_image_max(void)
{
    return HEADER + 2 * sizeof(struct picc_memory);
}

void df_picc_save(const struct df_picc *p, struct b_wr *out)
{
    uint8_t *header = b_wr_reserve(out, HEADER);
    size_t start = out->len;
    struct b_walk k = {.w = out};
    struct df_picc *same = (struct df_picc *)(uintptr_t)p; /* saving only reads */
    walk_memory(&k, &same->mem);
    if (header == NULL || !b_wr_ok(out))
        return;
    struct b_wr w = b_wr_from(header, HEADER);
    b_wr_bytes(&w, magic, sizeof(magic));
    b_wr_le16(&w, VERSION);
    b_wr_le32(&w, (uint32_t)(out->len - start));
    crypto_sha256(out->p + start, out->len - start, header + w.len);
}

bool df_picc_load(struct df_picc *p, struct b_rd image)
{
    uint8_t got_magic[8], want[32], got[32];
    b_rd_bytes(&image, got_magic, sizeof(got_magic));
    uint16_t version = b_rd_le16(&image);
    uint32_t n = b_rd_le32(&image);
    b_rd_bytes(&image, want, sizeof(want));
    struct b_rd body = b_rd_take(&image, n);
    if (!b_rd_end(&image) || version != VERSION || !b_ct_eq(got_magic, magic, sizeof(magic)))
        return false;
    crypto_sha256(body.p, body.left, got);
    if (!b_ct_eq(got, want, sizeof(want)))
        return false;
    memset(p, 0, sizeof(*p));
    struct b_walk k = {.r = &body};
    walk_memory(&k, &p->mem);
    if (!b_walk_ok(&k) || !b_rd_end(&body) || !is_memory_good(&p->mem)) {
        b_wipe(p, sizeof(*p));
        return false;
    }
    return true;
}
