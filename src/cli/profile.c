/* tessere profile: check a file, show what is in use. */
#include <string.h>

#include "cli/cli.h"
#include "profile/file.h"

static void print_right(char *room, size_t cap, uint8_t right)
{
    if (right == DF_RIGHT_FREE)
        (void)snprintf(room, cap, "%s", _("free"));
    else if (right == DF_RIGHT_NEVER)
        (void)snprintf(room, cap, "%s", _("never"));
    else
        (void)snprintf(room, cap, _("key %u"), right);
}

static void say_file(const struct cli *c, const struct profile_file *f)
{
    static const char *const types[] = {N_("standard"), N_("backup"), N_("value"),
                                        N_("linear"),   N_("cyclic"), N_("transaction MAC")};
    char read[24], write[24], both[24], change[24];
    print_right(read, sizeof(read), f->settings.rights.read);
    print_right(write, sizeof(write), f->settings.rights.write);
    print_right(both, sizeof(both), f->settings.rights.read_write);
    print_right(change, sizeof(change), f->settings.rights.change);
    cli_say(c, CLI_PLAIN, _("  file %u: %s, %u bytes; read %s, write %s, both %s, change %s\n"),
            f->no, _(types[f->settings.type]), f->settings.size, read, write, both, change);
}

static void show(struct cli *c, const struct profile *p)
{
    cli_say(c, CLI_BOLD, _("Badge profile %s, revision %u\n"), p->id, p->revision);
    cli_say(c, CLI_PLAIN, _("  card: %s%s\n"), p->is_guest ? _("another issuer's") : _("ours"),
            p->wants_random_uid ? _(", random UID") : "");
    cli_say(c, CLI_PLAIN, _("  application %06X, keys diversified by %s\n"), p->aid,
            p->diversification);
    json_t *keys = json_array();
    for (uint8_t i = 0; i < p->key_count; i++) {
        cli_say(c, CLI_PLAIN, _("  key %u: %s\n"), p->keys[i].no, key_role_name(p->keys[i].role));
        (void)json_array_append_new(keys, json_string(key_role_name(p->keys[i].role)));
    }
    for (uint8_t i = 0; i < p->file_count; i++)
        say_file(c, &p->files[i]);
    if (c->out == NULL) {
        json_decref(keys);
        return;
    }
    char aid[9];
    (void)snprintf(aid, sizeof(aid), "%06X", p->aid);
    json_decref(c->out);
    c->out =
        json_pack("{s:s, s:I, s:b, s:s, s:s, s:o, s:i}", "id", p->id, "revision",
                  (json_int_t)p->revision, "guest", p->is_guest, "application", aid,
                  "diversification", p->diversification, "keys", keys, "files", (int)p->file_count);
}

enum b_code cli_profile_check(struct cli *c, struct b_err *err)
{
    static char text[65536];
    static struct profile p;
    size_t n = 0;
    enum b_code r = service_read_file(c->operand, text, sizeof(text), &n, err);
    if (r == B_OK)
        r = profile_file_read(c->operand, text, n, &p, err);
    if (r != B_OK)
        return r;
    show(c, &p);
    cli_say(c, CLI_GREEN, _("The profile is valid.\n"));
    return B_OK;
}

enum b_code cli_profile_show(struct cli *c, struct b_err *err)
{
    enum b_code r = cli_open(c, false, err);
    if (r == B_OK)
        show(c, &c->service.profile);
    return r;
}
