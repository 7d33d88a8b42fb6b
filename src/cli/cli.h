/*
 * cli: the command line `tessere`. One file per family of subcommands, one table (cli.def) from
 * which dispatch, usage, completion and the manual's check are made. Exit statuses are those of
 * err.def. Only this folder knows the person's language: it translates its own texts, and
 * lends errors their words (b_err_speak).
 */
#ifndef TESSERE_CLI_CLI_H
#define TESSERE_CLI_CLI_H

#include <jansson.h>
#include <libintl.h>
#include <stdio.h>

#include "desfire/trace.h"
#include "service/desk.h"
#include "service/home.h"
#include "service/service.h"
#include "service/sheet.h"

#define _(text) gettext(text)

enum cli_option {
    CLI_OPT_HOME,
    CLI_OPT_JSON,
    CLI_OPT_READER,
    CLI_OPT_WAIT,
    CLI_OPT_PIN_FILE, /* these three are about the PIN, and in this order */
    CLI_OPT_ASK_PIN,
    CLI_OPT_LAST_TRY,
    CLI_OPT_TRACE,
    CLI_OPT_RECORD,
    CLI_OPT_NO_COLOR,
    CLI_OPT_FINESS,
    CLI_OPT_NAME,
    CLI_OPT_PROFILE,
    CLI_OPT_TOKEN,
    CLI_OPT_VAULT,
    CLI_OPT_IN_TOKEN,
    CLI_OPT_STORED,
    CLI_OPT_REF,
    CLI_OPT_YES,
    CLI_OPT_REASON,
    CLI_OPT_HOLDER,
    CLI_OPT_KEYS_FILE,
    CLI_OPT_HOSTS,
    CLI_OPT_ADDRESS,
    CLI_OPT_PORT,
    CLI_OPT_QUORUM,
    CLI_OPT_SERVER,
    CLI_OPT_IDENTITY,
    CLI_OPT_CA,
    CLI_OPT_FILE,
    CLI_OPT_ROLES,
    CLI_OPT_OUT,
    CLI_OPT_CERTIFICATE,
    CLI_OPT_GROUP,
    CLI_OPT_ZONE,
    CLI_OPT_KEY,
    CLI_OPT_CHECKPOINT,
    CLI_OPT_COUNT,
    CLI_OPT_STATION,
    CLI_OPT_ONCE,
    CLI_OPT_FROM,
    CLI_OPT_UNTIL,
    CLI_OPT_TEMPORARY,
    CLI_OPT_CEREMONY,
    CLI_OPT_CUSTODIANS,
    CLI_OPT_CONFIRMED_BY,
    CLI_OPT_BACKUP,
    CLI_OPT_SHEETS,
    CLI_OPT_CARD,
    CLI_OPT_REHEARSAL,
    CLI_OPT_PACE,
    CLI_OPT_PAUSE_AT,
    CLI_OPT_KCV,
    CLI_OPT_TYPE,
    CLI_OPT_BLOCK,
    CLI_OPT_RECIPIENTS,
    CLI_OPT_CUSTODIAN,
    CLI_OPT_TO,
    CLI_OPT_COPY_TO,
    CLI_OPT_KEEP,
    CLI_OPT_OLDER,
    CLI_OPT_WITHOUT_MASTERS,
    CLI_OPT_FULL,
    CLI_OPT_ENCODING,
    CLI_OPT_FLEET,
    CLI_OPT_READERS,
    CLI_OPT_BATCH,
    CLI_OPT_BADGE,
    CLI_OPT_SUPPLIER,
    CLI_OPT_TRANSPORT_KEY,
    CLI_OPT_RIGHTS,
    CLI_OPT_EXPIRES,
    CLI_OPT_CSV,
    CLI_OPT_DRY_RUN,
    CLI_OPT_WRITE_OFF,
    CLI_OPT_KIND,
    CLI_OPT_COUNT_OF,
};

enum { CLI_PATH_MAX = SERVICE_PATH_MAX };

struct cli {
    const char *options[CLI_OPT_COUNT_OF]; /* NULL: not given; "" for a switch */
    const char *operand;
    const char *second; /* of two */
    char topic[64];     /* the words after `help`, or before --help */
    char home[CLI_PATH_MAX];
    struct service_config config;
    struct service service;
    struct profile_fleet fleet;                   /* --fleet */
    struct df_key others[PROFILE_GIVEN_KEYS_MAX]; /* --keys-file; wiped by cli_close */
    json_t *out; /* what a command answers with --json; NULL otherwise */
    bool has_colors;
    FILE *record;
    struct df_trace trace;
    uint8_t awaited[10]; /* work goes on with this card and no other; length 0: any card */
    uint8_t awaited_len;
    /* The command encodes no card: keys of roles that are in-token need not leave the token. Who
     * encodes must put the key on the card, so the vault of the desk has it for that long. */
    bool keeps_in_token;
    unsigned threads; /* that change the store and speak to the vault at once; 0: this one alone */
};

typedef enum b_code cli_fn(struct cli *c, struct b_err *err);
#define CLI(words, operands, options, function, help) cli_fn function;
#include "cli/cli.def"
#undef CLI

struct cli_command {
    const char *words, *operands, *options, *help;
    cli_fn *fn;
};
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
struct cli_option_row {
    const char *name, *argument, *help;
    bool is_global;
};
extern const struct cli_option_row cli_options[CLI_OPT_COUNT_OF];

static inline bool cli_has(const struct cli *c, enum cli_option o)
{
    return c->options[o] != NULL;
}

/* doctor.c: the token has every master key that the store names, unchanged. */
B_NODISCARD enum b_code cli_check_keys(struct cli *c, struct b_err *err);
/* doctor.c: the first certificate of a PEM file has thirty days left; pem gets the file's text. */
enum { CLI_PEM_MAX = 16384 };
B_NODISCARD enum b_code cli_check_dates(const char *path, char pem[static CLI_PEM_MAX],
                                        struct b_err *err);
/* doctor_signon.c: checks of server.yaml, and of its sign-on and events when it has those. */
bool cli_has_signon(const struct cli *c);
bool cli_has_events(const struct cli *c);
cli_fn cli_check_server, cli_check_parties, cli_check_events, cli_check_issuer, cli_check_port,
    cli_check_address, cli_check_signers;

/* policy.c: the directory has the groups that the tap policy in force names. */
cli_fn cli_check_groups;

/* init.c: the establishment that the configuration, the profile and --name tell. */
void cli_establishment(const struct cli *c, struct store_establishment *ret);

/* open.c: the establishment's directory, configuration, store, profile and vault. */
B_NODISCARD enum b_code cli_path(const struct cli *c, const char *name, char *ret, size_t cap,
                                 struct b_err *err);
B_NODISCARD enum b_code cli_open_store(struct cli *c, const char *path, bool may_create,
                                       struct b_err *err);
/* Store and profile; with_vault: the vault too. */
B_NODISCARD enum b_code cli_open(struct cli *c, bool with_vault, struct b_err *err);
B_NODISCARD enum b_code cli_open_vault(struct cli *c, struct b_err *err);
void cli_close(struct cli *c);
/* The one card on the readers, with --reader, --wait, --trace and --record heeded. default_wait_ms
 * is used without --wait. */
B_NODISCARD enum b_code cli_open_card(struct cli *c, int default_wait_ms, struct channel **ret,
                                      struct b_err *err);

/* Whether name is one of the words of a space-separated list. */
bool cli_is_listed(const char *list, const char *name);

/* print.c */
enum cli_color { CLI_PLAIN, CLI_BOLD, CLI_GREEN, CLI_YELLOW, CLI_RED };
/* What "%*s" must be told so that text takes so many columns, whatever its accents. */
int cli_width(const char *text, int columns);
/* Asks for approval; true at once with --yes. False where nobody can answer. */
bool cli_ask(const struct cli *c, const char *question);
/* printf in a colour on a terminal; nothing with --json. */
void cli_say(const struct cli *c, enum cli_color color, const char *fmt, ...) B_PRINTF(3, 4);
/* Says it of a token that keeps masters wrapped (VAULT_METHOD_WRAPPED), and nothing of another. */
void cli_say_wraps(const struct cli *c, const struct vault_token *t);
void cli_print_error(const struct cli *c, const struct b_err *err);
/* What is wrong in a list, before the error that counts it; nothing of a single mistake, which is
 * that error. */
void cli_say_mistakes(const struct cli *c, const struct service_mistakes *m);
void cli_say_plan(const struct cli *c, const struct profile_plan *plan);
json_t *cli_json_badge(const struct store_badge *b);
void cli_time(int64_t at, char *ret, size_t cap);
/* A field of a list, and what follows it. */
void cli_csv_field(const char *text, const char *after);
/* The word for a badge's state in the person's language. */
const char *cli_badge_state(enum store_badge_state st);

/* init.c: an embedded token in HOME/name, into the configuration. */
B_NODISCARD enum b_code cli_make_token(struct cli *c, const char *name, struct b_err *err);
B_NODISCARD enum b_code cli_make_home_absolute(struct cli *c, struct b_err *err);
B_NODISCARD enum b_code cli_make_dir(const char *path, struct b_err *err);

/* desk.c: carries an order out on the card of a reader here, by the vault here or, with --server,
 * by the server's. With --wait, work that is torn goes on when the card is put back. */
B_NODISCARD enum b_code cli_at_desk(struct cli *c, const struct service_order *order,
                                    struct service_done *ret, struct b_err *err);

/* badge.c: the badge that the operand numbers. */
B_NODISCARD enum b_code cli_operand_badge(const struct cli *c, int64_t *ret, struct b_err *err);
/* stock.c: --batch of cards that are encoded here; 0 without it. */
B_NODISCARD enum b_code cli_batch(const struct cli *c, int64_t *ret, struct b_err *err);
/* fleet.c: --encoding. */
B_NODISCARD enum b_code cli_encoding(const struct cli *c, enum b_csv_encoding *ret,
                                     struct b_err *err);
/* others.c: the keys of --keys-file and the description of --fleet, which stay in c. */
B_NODISCARD enum b_code cli_others(struct cli *c, struct service_others *ret, struct b_err *err);

struct remote;
/* proposal.c: the server, as the person of --identity. */
B_NODISCARD enum b_code cli_connect(const struct cli *c, struct remote **ret, struct b_err *err);

/* far.c: the same commands by the server. One call; body is taken. */
B_NODISCARD enum b_code cli_far(const struct cli *c, const char *method, const char *path,
                                json_t *body, json_t **ret, struct b_err *err);
/* For each item of a list; fn returns false when it does not understand one. */
typedef bool cli_far_item(struct cli *c, const json_t *item);
B_NODISCARD enum b_code cli_far_each(struct cli *c, const char *path, cli_far_item *fn,
                                     struct b_err *err);
/* For a part of an address (RFC 3986 §2.1). B_E_USAGE: it does not fit; what is cut would name
 * another. */
B_NODISCARD enum b_code cli_far_escape(const char *text, char *ret, size_t cap, struct b_err *err);
static inline bool cli_is_far(const struct cli *c)
{
    return cli_has(c, CLI_OPT_SERVER);
}

/* True once the person interrupted (Ctrl-C). */
bool cli_is_stopped(void *ctx);

#endif
