/* The manifest of a copy: one line of JSON, in clear. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "service/backup.h"

static const char format[] = "tessere-copy/v1";

void service_manifest_name(const struct service_manifest *m, char ret[static SERVICE_COPY_NAME])
{
    struct tm tm;
    char at[20];
    const time_t t = (time_t)m->at;
    b_check(gmtime_r(&t, &tm) != NULL && strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &tm) > 0);
    (void)snprintf(ret, SERVICE_COPY_NAME, "tessere-%.9s-%s", m->finess, at);
}

bool service_member_is_name(const char *name)
{
    for (const char *part = name;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || strncmp(part, "..", n) == 0) /* "." too */
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)part[i] < ' ' || part[i] == 0x7F)
                return false;
        part += n;
        if (*part == '\0')
            return (size_t)(part - name) < SERVICE_MEMBER_NAME;
    }
}

/* --- writing -----------------------------------------------------------------------------------
 */

static json_t *hex_json(const uint8_t digest[static 32])
{
    char hex[65];
    b_hex(hex, digest, 32);
    return json_string(hex);
}

enum b_code service_manifest_write(const struct service_manifest *m, char *text, struct b_err *err)
{
    json_t *recipients = json_array();
    json_t *members = json_array();
    for (size_t i = 0; i < m->recipient_count; i++)
        (void)json_array_append_new(recipients, json_pack("{s:s, s:o}", "name",
                                                          m->recipients[i].name, "certificate",
                                                          hex_json(m->recipients[i].fingerprint)));
    for (size_t i = 0; i < m->count; i++)
        (void)json_array_append_new(members,
                                    json_pack("{s:s, s:I, s:o}", "name", m->members[i].name, "size",
                                              (json_int_t)m->members[i].size, "sha256",
                                              hex_json(m->members[i].sha256)));
    json_t *journal = json_pack("{s:I, s:o, s:s}", "entries", (json_int_t)m->entries, "root",
                                hex_json(m->root), "checkpoint", m->checkpoint);
    json_t *o =
        json_pack("{s:s, s:s, s:I, s:I, s:o, s:i, s:b, s:o, s:o, s:o}", "format", format,
                  "establishment", m->finess, "at", (json_int_t)m->at, "size", (json_int_t)m->size,
                  "sha256", hex_json(m->sha256), "schema", m->schema, "masters", m->has_masters,
                  "journal", journal, "recipients", recipients, "members", members);
    if (o != NULL && m->base[0] != '\0')
        (void)json_object_set_new(
            o, "base",
            json_pack("{s:s, s:o}", "name", m->base, "sha256", hex_json(m->base_sha256)));
    size_t n = o != NULL ? json_dumpb(o, text, SERVICE_MANIFEST_MAX - 2, JSON_COMPACT) : 0;
    json_decref(o);
    if (n == 0 || n > SERVICE_MANIFEST_MAX - 2)
        return b_err_set(err, B_E_TOO_LARGE, 0, "the manifest of a backup");
    text[n] = '\n';
    text[n + 1] = '\0';
    return B_OK;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static bool take_text(const json_t *o, const char *name, char *to, size_t cap)
{
    const char *text = json_string_value(json_object_get(o, name));
    if (text == NULL || strlen(text) >= cap)
        return false;
    memcpy(to, text, strlen(text) + 1);
    return true;
}

static bool take_number(const json_t *o, const char *name, uint64_t *ret)
{
    const json_t *v = json_object_get(o, name);
    *ret = (uint64_t)json_integer_value(v);
    return json_is_integer(v) && json_integer_value(v) >= 0;
}

static bool take_digest(const json_t *o, const char *name, uint8_t to[static 32])
{
    const char *text = json_string_value(json_object_get(o, name));
    struct b_wr w = b_wr_from(to, 32);
    return text != NULL && strlen(text) == 64 && b_unhex(&w, text) && w.len == 32;
}

static bool is_finess(const char *text)
{
    return strlen(text) == 9 && strspn(text, "0123456789AB") == 9;
}

static bool read_base(const json_t *o, struct service_manifest *m)
{
    return o == NULL ||
           (take_text(o, "name", m->base, sizeof(m->base)) && service_copy_time(m->base) != 0 &&
            take_digest(o, "sha256", m->base_sha256));
}

static const char *read_head(const json_t *o, struct service_manifest *m)
{
    const int64_t year_9999 = 253402300799;
    const json_t *journal = json_object_get(o, "journal");
    const json_t *masters = json_object_get(o, "masters");
    char name[32];
    uint64_t at = 0;
    uint64_t schema = 0;
    if (!take_text(o, "format", name, sizeof(name)) || strcmp(name, format) != 0)
        return "format";
    if (!take_text(o, "establishment", m->finess, sizeof(m->finess)) || !is_finess(m->finess))
        return "establishment";
    if (!take_number(o, "at", &at) || at > (uint64_t)year_9999)
        return "at";
    if (!take_number(o, "size", &m->size) || !take_digest(o, "sha256", m->sha256))
        return "size";
    if (!take_number(o, "schema", &schema) || schema > 1000000)
        return "schema";
    if (!json_is_boolean(masters))
        return "masters";
    if (!take_number(journal, "entries", &m->entries) || !take_digest(journal, "root", m->root) ||
        !take_text(journal, "checkpoint", m->checkpoint, sizeof(m->checkpoint)))
        return "journal";
    if (!read_base(json_object_get(o, "base"), m))
        return "base";
    m->at = (int64_t)at;
    m->schema = (int)schema;
    m->has_masters = json_is_true(masters);
    return NULL;
}

static bool read_member(const json_t *o, struct service_manifest *m)
{
    struct service_member *k = &m->members[m->count];
    if (!take_text(o, "name", k->name, sizeof(k->name)) || !service_member_is_name(k->name) ||
        !take_number(o, "size", &k->size) || !take_digest(o, "sha256", k->sha256))
        return false;
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->members[i].name, k->name) == 0)
            return false;
    m->count++;
    return true;
}

static const char *read_lists(const json_t *all, struct service_manifest *m)
{
    const json_t *recipients = json_object_get(all, "recipients");
    const json_t *members = json_object_get(all, "members");
    size_t count = json_array_size(members);
    m->recipient_count = json_array_size(recipients);
    if (m->recipient_count == 0 || m->recipient_count > SERVICE_RECIPIENTS_MAX)
        return "recipients";
    for (size_t i = 0; i < m->recipient_count; i++) {
        const json_t *o = json_array_get(recipients, i);
        struct service_sealed_for *to = &m->recipients[i];
        if (!take_text(o, "name", to->name, sizeof(to->name)) ||
            !take_digest(o, "certificate", to->fingerprint))
            return "recipients";
    }
    if (count == 0 || count > SERVICE_MEMBERS_MAX)
        return "members";
    for (size_t i = 0; i < count; i++)
        if (!read_member(json_array_get(members, i), m))
            return "members";
    return NULL;
}

enum b_code service_manifest_read(const char *text, size_t n, struct service_manifest *ret,
                                  struct b_err *err)
{
    json_error_t where;
    json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    memset(ret, 0, sizeof(*ret));
    if (o == NULL)
        return b_err_set(err, B_E_BACKUP_ALTERED, (uint32_t)where.line, "the manifest: %.80s",
                         where.text);
    const char *wrong = read_head(o, ret);
    if (wrong == NULL)
        wrong = read_lists(o, ret);
    json_decref(o);
    return wrong == NULL
               ? B_OK
               : b_err_set(err, B_E_BACKUP_ALTERED, 0, "the manifest: \"%s\" is not right", wrong);
}
