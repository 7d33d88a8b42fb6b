#include "vault/wire.h"

#include <string.h>

#define ERROR_FIELDS "code:s aux:u message:s"

static const struct vault_msg_row rows[] = {
#define VAULT_MSG(id, NAME, name, request, answer, phase, once, text) \
    {id, #name, request, answer, VAULT_PHASE_##phase, once, text},
#include "vault/msg.def"
#undef VAULT_MSG
};

const struct vault_msg_row *vault_msg_row(uint8_t id)
{
    for (size_t i = 0; i < B_COUNT(rows); i++)
        if (rows[i].id == id)
            return &rows[i];
    return NULL;
}

const struct vault_msg_row *vault_msg_at(size_t i)
{
    return i < B_COUNT(rows) ? &rows[i] : NULL;
}

/* Takes the next field off the list; it must be of this kind. */
static void next_field(const char **fields, char kind)
{
    const char *colon = strchr(*fields, ':');
    b_check(colon != NULL && colon[1] == kind);
    *fields = colon + 2;
    if (**fields == ' ')
        (*fields)++;
}

struct wire_out wire_out_from(const char *fields, struct b_wr *w)
{
    return (struct wire_out){.fields = fields, .w = w};
}

void wire_put_u8(struct wire_out *o, uint8_t v)
{
    next_field(&o->fields, 'y');
    b_wr_u8(o->w, v);
}

void wire_put_u32(struct wire_out *o, uint32_t v)
{
    next_field(&o->fields, 'u');
    b_wr_le32(o->w, v);
}

static void put_block(struct b_wr *w, const void *p, size_t n)
{
    if (n > UINT16_MAX)
        w->bad = true;
    b_wr_le16(w, (uint16_t)n);
    b_wr_bytes(w, p, n);
}

void wire_put_string(struct wire_out *o, const char *s)
{
    next_field(&o->fields, 's');
    size_t n = s != NULL ? strlen(s) : 0;
    if (n >= VAULT_STRING_MAX)
        o->w->bad = true;
    put_block(o->w, s, n);
}

void wire_put_bytes(struct wire_out *o, const void *p, size_t n)
{
    next_field(&o->fields, 'b');
    put_block(o->w, p, n);
}

size_t wire_open_bytes(struct wire_out *o)
{
    next_field(&o->fields, 'b');
    size_t mark = o->w->len;
    b_wr_le16(o->w, 0);
    return mark;
}

void wire_close_bytes(struct wire_out *o, size_t mark)
{
    if (!b_wr_ok(o->w))
        return;
    size_t n = o->w->len - mark - 2;
    if (n > UINT16_MAX)
        o->w->bad = true;
    struct b_wr hole = b_wr_from(o->w->p + mark, 2);
    b_wr_le16(&hole, (uint16_t)n);
}

bool wire_out_end(const struct wire_out *o)
{
    b_check(*o->fields == '\0');
    return b_wr_ok(o->w);
}

struct wire_in wire_in_from(const char *fields, struct b_rd r)
{
    return (struct wire_in){.fields = fields, .r = r};
}

uint8_t wire_get_u8(struct wire_in *in)
{
    next_field(&in->fields, 'y');
    return b_rd_u8(&in->r);
}

bool wire_get_bool(struct wire_in *in)
{
    uint8_t v = wire_get_u8(in);
    if (v > 1)
        in->r.bad = true;
    return v == 1;
}

uint32_t wire_get_u32(struct wire_in *in)
{
    next_field(&in->fields, 'u');
    return b_rd_le32(&in->r);
}

void wire_get_string(struct wire_in *in, char *out, size_t cap)
{
    next_field(&in->fields, 's');
    size_t n = b_rd_le16(&in->r);
    const uint8_t *p = b_rd_direct(&in->r, n);
    out[0] = '\0';
    if (p == NULL)
        return;
    if (n >= cap || (n > 0 && memchr(p, '\0', n) != NULL)) {
        in->r.bad = true;
        return;
    }
    if (n > 0)
        memcpy(out, p, n);
    out[n] = '\0';
}

struct b_rd wire_get_bytes(struct wire_in *in)
{
    next_field(&in->fields, 'b');
    size_t n = b_rd_le16(&in->r);
    return b_rd_take(&in->r, n);
}

bool wire_in_end(const struct wire_in *in)
{
    b_check(*in->fields == '\0');
    return b_rd_end(&in->r);
}

void wire_put_error(struct b_wr *w, const struct b_err *e)
{
    struct wire_out o = wire_out_from(ERROR_FIELDS, w);
    wire_put_string(&o, b_code_name(e->code));
    wire_put_u32(&o, e->aux);
    wire_put_string(&o, e->msg);
}

bool wire_get_error(struct b_rd r, struct b_err *ret)
{
    char name[64];
    char text[sizeof(ret->msg)];
    struct wire_in in = wire_in_from(ERROR_FIELDS, r);
    wire_get_string(&in, name, sizeof(name));
    uint32_t aux = wire_get_u32(&in);
    wire_get_string(&in, text, sizeof(text));
    enum b_code code = b_code_of(name, B_OK);
    if (!wire_in_end(&in) || code == B_OK)
        return false;
    (void)b_err_hear(ret, code, aux, text);
    return true;
}
