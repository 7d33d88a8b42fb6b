/*
 * Minutes (procès-verbal): one line of JSON, signed as it is, and two pages for people made of it.
 *
 *   {"format":"tessere-minutes/v1","rehearsal":false,"kind":"init","ceremony":"…",…}
 *
 * docs/ceremonies.md shows how anyone checks them with openssl and the journal's proof.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "journal/line.h"
#include "service/ceremony.h"
#include "service/journal.h"

enum { PATH_CAP = 1024 };

/* --- the record --------------------------------------------------------------------------------
 */

static json_t *key_json(const struct vault_backup *k)
{
    char kcv[7];
    char digest[65];
    uint8_t bytes[32];
    b_hex(kcv, k->kcv, sizeof(k->kcv));
    crypto_sha256(k->wrapped, sizeof(k->wrapped), bytes);
    b_hex(digest, bytes, sizeof(bytes));
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "role", key_role_name(k->role), "generation",
                     (int)k->generation, "kcv", kcv, "kcv_method", k->kcv_method, "made",
                     k->is_inside ? "token" : "beside", "backup_sha256", digest);
}

static json_t *given_json(const struct store_given *k)
{
    char kcv[7];
    char digest[65];
    uint8_t bytes[32];
    b_hex(kcv, k->kcv, sizeof(k->kcv));
    crypto_sha256(k->wrapped, k->wrapped_len, bytes);
    b_hex(digest, bytes, sizeof(bytes));
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", k->name, "type", k->type, "kcv", kcv,
                     "kcv_method", k->kcv_method, "wrapped_sha256", digest);
}

static json_t *people_json(const struct service_ceremony *k, json_t **ret_custodians)
{
    json_t *confirmers = json_array();
    *ret_custodians = json_array();
    for (size_t i = 0; i < k->backup->ceremony.shares; i++) {
        const struct service_custodian *who = &k->backup->custodians[i];
        (void)json_array_append_new(
            *ret_custodians, json_pack("{s:i, s:s, s:s}", "share", (int)i + 1, "name", who->name,
                                       "how", who->is_sealed ? "certificate" : "words"));
    }
    for (size_t i = 0; i < SERVICE_CONFIRMERS; i++)
        if (k->confirmers[i] != NULL)
            (void)json_array_append_new(confirmers, json_string(k->confirmers[i]));
    return confirmers;
}

static json_t *journal_json(struct service *sv, const struct service_ceremony *k, struct b_err *err)
{
    static char note[STORE_NOTE_MAX];
    struct journal_signer signer;
    char public_key[160];
    uint64_t size = 0;
    if (service_journal_signer(sv, &signer, err) != B_OK ||
        store_checkpoint_get(sv->store, UINT64_MAX, &size, note, sizeof(note), err) != B_OK)
        return NULL;
    if (size <= k->entry || !journal_signer_print(&signer, public_key, sizeof(public_key))) {
        (void)b_err_set(err, B_E_INTERNAL, 0, "the checkpoint does not cover the ceremony");
        return NULL;
    }
    return json_pack("{s:I, s:s, s:s}", "entry", (json_int_t)k->entry, "checkpoint", note, "key",
                     public_key);
}

static enum b_code write_record(struct service *sv, const struct service_ceremony *k, char *text,
                                struct b_err *err)
{
    char id[SERVICE_CEREMONY_HEX];
    char date[32];
    time_t at = (time_t)k->at;
    struct tm tm;
    const struct service_backup *b = k->backup;
    json_t *keys = json_array();
    json_t *custodians = NULL;
    json_t *journal = journal_json(sv, k, err);
    if (journal == NULL) {
        json_decref(keys);
        return err->code;
    }
    for (size_t i = 0; i < b->count; i++)
        (void)json_array_append_new(keys, key_json(&b->keys[i]));
    json_t *confirmers = people_json(k, &custodians);
    b_hex(id, b->ceremony.id, sizeof(b->ceremony.id));
    b_check(gmtime_r(&at, &tm) != NULL && strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm));
    json_t *o = json_pack(
        "{s:s, s:b, s:s, s:s, s:{s:s, s:s}, s:I, s:s, s:i, s:i, s:o, s:o, s:o, s:s, s:o}", "format",
        "tessere-minutes/v1", "rehearsal", b->ceremony.is_rehearsal, "kind", k->kind, "ceremony",
        id, "establishment", "finess", sv->establishment.finess, "name", sv->establishment.name,
        "at", (json_int_t)k->at, "date", date, "threshold", (int)b->ceremony.threshold, "shares",
        (int)b->ceremony.shares, "custodians", custodians, "confirmed_by", confirmers, "keys", keys,
        "backup_sha256", k->digest, "journal", journal);
    service_ceremony_key(k, o);
    if (k->given != NULL)
        (void)json_object_set_new(o, "given", given_json(k->given));
    size_t n = o != NULL ? json_dumpb(o, text, SERVICE_MINUTES_MAX - 1, JSON_COMPACT) : 0;
    json_decref(o);
    if (n == 0 || n >= SERVICE_MINUTES_MAX - 1)
        return b_err_set(err, B_E_TOO_LARGE, 0, "the minutes");
    text[n] = '\0';
    return B_OK;
}

/* --- the pages ---------------------------------------------------------------------------------
 */

enum phrase {
    TITLE,
    REHEARSAL,
    KIND,
    CEREMONY,
    ESTABLISHMENT,
    DATE,
    SHARES,
    CUSTODIANS,
    CERTIFICATE,
    WORDS,
    CONFIRMED,
    GIVEN,
    GIVEN_HEAD,
    KEYS,
    KEYS_HEAD,
    IN_TOKEN,
    BESIDE,
    BACKUP,
    JOURNAL,
    CHECK,
    SIGN,
    PHRASES
};
static const char *const phrases[2][PHRASES] = {
    {
        [TITLE] = "Minutes of a key ceremony",
        [REHEARSAL] = "REHEARSAL: nothing in these minutes is in use",
        [KIND] = "What was done",
        [CEREMONY] = "Ceremony",
        [ESTABLISHMENT] = "Establishment",
        [DATE] = "Date (UTC)",
        [SHARES] = "Shares needed, of all",
        [CUSTODIANS] = "Custodians",
        [CERTIFICATE] = "sealed for a certificate",
        [WORDS] = "on paper, in words",
        [CONFIRMED] = "Check values read aloud and confirmed by:",
        [GIVEN] = "Key of another system",
        [GIVEN_HEAD] = "<th>Name<th>Type<th>Check value<th>SHA-256 of the wrapped key",
        [KEYS] = "Master keys",
        [KEYS_HEAD] = "<th>Role<th>Generation<th>Check value<th>Made<th>SHA-256 of the backup",
        [IN_TOKEN] = "in the token",
        [BESIDE] = "beside the token",
        [BACKUP] = "SHA-256 of backup.json",
        [JOURNAL] = "Entry of the journal",
        [CHECK] = "This page is made from the .json file beside it; that file is what is signed.",
        [SIGN] = "Signatures of those present",
    },
    {
        [TITLE] = "Procès-verbal de cérémonie de clés",
        [REHEARSAL] = "RÉPÉTITION : rien de ce procès-verbal n'est en service",
        [KIND] = "Acte",
        [CEREMONY] = "Cérémonie",
        [ESTABLISHMENT] = "Établissement",
        [DATE] = "Date (UTC)",
        [SHARES] = "Parts nécessaires, sur le total",
        [CUSTODIANS] = "Porteurs de secret",
        [CERTIFICATE] = "scellée pour un certificat",
        [WORDS] = "sur papier, en mots",
        [CONFIRMED] = "Valeurs de contrôle lues à voix haute et confirmées par :",
        [GIVEN] = "Clé d'un autre système",
        [GIVEN_HEAD] = "<th>Nom<th>Type<th>Valeur de contrôle<th>SHA-256 de la clé enveloppée",
        [KEYS] = "Clés maîtresses",
        [KEYS_HEAD] =
            "<th>Rôle<th>Génération<th>Valeur de contrôle<th>Créée<th>SHA-256 de la sauvegarde",
        [IN_TOKEN] = "dans le jeton",
        [BESIDE] = "à côté du jeton",
        [BACKUP] = "SHA-256 de backup.json",
        [JOURNAL] = "Entrée du journal",
        [CHECK] = "Cette page est tirée du fichier .json voisin ; c'est lui qui est signé.",
        [SIGN] = "Signatures des personnes présentes",
    },
};

static void put_escaped(FILE *f, const char *s)
{
    for (; s != NULL && *s != '\0'; s++) {
        if (*s == '<' || *s == '>' || *s == '&' || *s == '"')
            (void)fprintf(f, "&#%d;", *s);
        else
            (void)fputc(*s, f);
    }
}

static const char *text_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

static void put_row(FILE *f, const char *name, const char *value)
{
    (void)fprintf(f, "<tr><th>%s<td>", name);
    put_escaped(f, value);
    (void)fputc('\n', f);
}

static void put_people(FILE *f, const json_t *o, const char *const *t)
{
    size_t i = 0;
    const json_t *who = NULL;
    (void)fprintf(f, "<h2>%s</h2>\n<ol>\n", t[CUSTODIANS]);
    json_array_foreach(json_object_get(o, "custodians"), i, who)
    {
        (void)fputs("<li>", f);
        put_escaped(f, text_of(who, "name"));
        (void)fprintf(f, " (%s)\n",
                      t[strcmp(text_of(who, "how"), "words") == 0 ? WORDS : CERTIFICATE]);
    }
    (void)fprintf(f, "</ol>\n<p>%s", t[CONFIRMED]);
    json_array_foreach(json_object_get(o, "confirmed_by"), i, who)
    {
        (void)fputs(i == 0 ? " " : ", ", f);
        put_escaped(f, json_string_value(who));
    }
    (void)fputc('\n', f);
}

static void put_given(FILE *f, const json_t *k, const char *const *t)
{
    if (k == NULL)
        return;
    (void)fprintf(f, "<h2>%s</h2>\n<table>\n<tr>%s\n<tr><td>", t[GIVEN], t[GIVEN_HEAD]);
    put_escaped(f, text_of(k, "name"));
    (void)fputs("<td>", f);
    put_escaped(f, text_of(k, "type"));
    (void)fputs("<td><b>", f);
    put_escaped(f, text_of(k, "kcv"));
    (void)fputs("</b> ", f);
    put_escaped(f, text_of(k, "kcv_method"));
    (void)fputs("<td><code>", f);
    put_escaped(f, text_of(k, "wrapped_sha256"));
    (void)fputs("</code>\n</table>\n", f);
}

static void put_keys(FILE *f, const json_t *o, const char *const *t)
{
    size_t i = 0;
    const json_t *k = NULL;
    (void)fprintf(f, "<h2>%s</h2>\n<table>\n<tr>%s\n", t[KEYS], t[KEYS_HEAD]);
    json_array_foreach(json_object_get(o, "keys"), i, k)
    {
        (void)fputs("<tr><td>", f);
        put_escaped(f, text_of(k, "role"));
        (void)fprintf(f, "<td>%lld<td><b>",
                      (long long)json_integer_value(json_object_get(k, "generation")));
        put_escaped(f, text_of(k, "kcv"));
        (void)fputs("</b> ", f);
        put_escaped(f, text_of(k, "kcv_method"));
        (void)fprintf(f, "<td>%s<td><code>",
                      t[strcmp(text_of(k, "made"), "token") == 0 ? IN_TOKEN : BESIDE]);
        put_escaped(f, text_of(k, "backup_sha256"));
        (void)fputs("</code>\n", f);
    }
    (void)fputs("</table>\n", f);
}

static const struct {
    const char *kind;
    const char *names[2]; /* English, French */
} acts[] = {
    {"init", {"master keys were made", "création des clés maîtresses"}},
    {"share", {"custodians received shares of a new backup key", "remise de nouvelles parts"}},
    {"rotate", {"a new generation was made", "nouvelle génération"}},
    {"restore", {"master keys were put in a token", "restauration dans un jeton"}},
    {"import", {"a master key from elsewhere was taken in", "import d'une clé maîtresse"}},
    {"export", {"a master key was given out", "export d'une clé maîtresse"}},
    {"give", {"a key of another system was given", "remise d'une clé d'un autre système"}},
};

/* What was done, in words, as the command calls it, and to which key. */
static void put_act(FILE *f, const json_t *o, bool is_french)
{
    char text[160];
    const char *kind = text_of(o, "kind");
    const char *name = "";
    for (size_t i = 0; i < B_COUNT(acts); i++)
        if (strcmp(acts[i].kind, kind) == 0)
            name = acts[i].names[is_french ? 1 : 0];
    (void)snprintf(text, sizeof(text), "%s (%.20s%s%.40s)", name, kind,
                   text_of(o, "key")[0] != '\0' ? " " : "", text_of(o, "key"));
    put_row(f, phrases[is_french ? 1 : 0][KIND], text);
}

static void put_page(FILE *f, const json_t *o, bool is_french)
{
    const char *const *t = phrases[is_french ? 1 : 0];
    char figures[64];
    const json_t *establishment = json_object_get(o, "establishment");
    (void)fprintf(
        f,
        "<!doctype html>\n<html lang=\"%s\">\n<meta charset=\"utf-8\">\n<title>%s</title>\n"
        "<style>body{font-family:sans-serif;max-width:60em;margin:2em auto}"
        "td,th{text-align:left;padding:.2em 1em .2em 0}code{font-size:70%%}"
        ".r{border:3px solid;padding:.5em;font-weight:bold}</style>\n<h1>%s</h1>\n",
        is_french ? "fr" : "en", t[TITLE], t[TITLE]);
    if (!json_is_false(json_object_get(o, "rehearsal")))
        (void)fprintf(f, "<p class=\"r\">%s\n", t[REHEARSAL]);
    (void)fputs("<table>\n", f);
    put_act(f, o, is_french);
    put_row(f, t[CEREMONY], text_of(o, "ceremony"));
    put_row(f, t[ESTABLISHMENT], text_of(establishment, "name"));
    put_row(f, "FINESS", text_of(establishment, "finess"));
    put_row(f, t[DATE], text_of(o, "date"));
    (void)snprintf(figures, sizeof(figures), "%lld / %lld",
                   (long long)json_integer_value(json_object_get(o, "threshold")),
                   (long long)json_integer_value(json_object_get(o, "shares")));
    put_row(f, t[SHARES], figures);
    put_row(f, t[BACKUP], text_of(o, "backup_sha256"));
    (void)snprintf(
        figures, sizeof(figures), "%lld",
        (long long)json_integer_value(json_object_get(json_object_get(o, "journal"), "entry")));
    put_row(f, t[JOURNAL], figures);
    (void)fputs("</table>\n", f);
    put_people(f, o, t);
    put_given(f, json_object_get(o, "given"), t);
    put_keys(f, o, t);
    (void)fputs("<pre>", f);
    put_escaped(f, text_of(json_object_get(o, "journal"), "checkpoint"));
    (void)fprintf(f, "</pre>\n<p>%s\n<h2>%s</h2>\n</html>\n", t[CHECK], t[SIGN]);
}

char *service_minutes_page(const char *json, size_t n, const char *language)
{
    json_t *o = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
    char *page = NULL;
    size_t size = 0;
    bool is_minutes = strcmp(text_of(o, "format"), "tessere-minutes/v1") == 0;
    FILE *f = is_minutes ? open_memstream(&page, &size) : NULL;
    if (f != NULL) {
        put_page(f, o, strcmp(language, "fr") == 0);
        if (fclose(f) != 0) {
            free(page);
            page = NULL;
        }
    }
    json_decref(o);
    return page;
}

/* --- the files ---------------------------------------------------------------------------------
 */

static enum b_code write_page(const char *stem, const char *language, const char *json,
                              struct b_err *err)
{
    char path[PATH_CAP];
    char *page = service_minutes_page(json, strlen(json), language);
    if (page == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "the minutes' page");
    (void)snprintf(path, sizeof(path), "%.900s.%s.html", stem, language);
    enum b_code r = b_file_replace(path, page, strlen(page), 0644, err);
    free(page);
    return r;
}

/* After the time of the act; of two of a kind in one second the second is named a second later. */
static void choose_stem(const struct service_ceremony *k, const char *dir, char *stem)
{
    char path[PATH_CAP];
    int64_t at = k->at;
    do {
        (void)snprintf(stem, PATH_CAP, "%.800s/minutes-%s-%lld", dir, k->kind, (long long)at++);
        (void)snprintf(path, sizeof(path), "%.900s.json", stem);
    } while (access(path, F_OK) == 0);
}

enum b_code service_minutes(struct service *sv, const struct service_ceremony *k, const char *dir,
                            struct b_err *err)
{
    static char text[SERVICE_MINUTES_MAX];
    char stem[PATH_CAP];
    char path[PATH_CAP];
    uint8_t signature[64];
    enum b_code r = write_record(sv, k, text, err);
    if (r == B_OK)
        r = vault_minutes_sign(sv->vault, text, signature, err);
    choose_stem(k, dir, stem);
    (void)snprintf(path, sizeof(path), "%.900s.sig", stem);
    if (r == B_OK)
        r = b_file_replace(path, signature, sizeof(signature), 0644, err);
    if (r == B_OK)
        r = write_page(stem, "fr", text, err);
    if (r == B_OK)
        r = write_page(stem, "en", text, err);
    (void)snprintf(path, sizeof(path), "%.900s.json", stem);
    return r == B_OK ? b_file_replace(path, text, strlen(text), 0644, err)
                     : r; /* last: it is whole */
}
