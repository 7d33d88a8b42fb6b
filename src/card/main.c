/* tessere-card: a software DESFire card on a virtual reader. See tessere-card(1). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/about.h"
#include "card/vpcd.h"
#include "crypto/crypto.h"

static const char usage[] =
    "usage: tessere-card new [--ev ev1|ev2|ev3] [--memory 2k|4k|8k] [--uid HEX] [--random-uid]\n"
    "                        [--signature HEX] IMAGE\n"
    "       tessere-card run [--port PORT] [--host ADDRESS] [--wait SECONDS] [--pace]\n"
    "                        [--tear before:N[:INS]|after:N[:INS]] [--back MS] IMAGE\n"
    "       tessere-card show IMAGE\n"
    "       tessere-card --help|--version\n"
    "\n"
    "A software DESFire card, kept in the file IMAGE, on the virtual reader of vpcd: "
    "tessere-card(1).\n";

enum option_id {
    OPT_EV = 256,
    OPT_MEMORY,
    OPT_UID,
    OPT_RANDOM_UID,
    OPT_SIGNATURE,
    OPT_PORT,
    OPT_HOST,
    OPT_WAIT,
    OPT_PACE,
    OPT_TEAR,
    OPT_BACK
};

static const struct option options[] = {
    {"ev", required_argument, NULL, OPT_EV},
    {"memory", required_argument, NULL, OPT_MEMORY},
    {"uid", required_argument, NULL, OPT_UID},
    {"random-uid", no_argument, NULL, OPT_RANDOM_UID},
    {"signature", required_argument, NULL, OPT_SIGNATURE},
    {"port", required_argument, NULL, OPT_PORT},
    {"host", required_argument, NULL, OPT_HOST},
    {"wait", required_argument, NULL, OPT_WAIT},
    {"pace", no_argument, NULL, OPT_PACE},
    {"tear", required_argument, NULL, OPT_TEAR},
    {"back", required_argument, NULL, OPT_BACK},
    {NULL, 0, NULL, 0},
};

struct wanted {
    struct df_personality personality;
    bool has_uid;
    struct vpcd_place place;
    bool keeps_pace;
    struct card_tear tear;
    long back_ms; /* -1: a torn card does not come back */
};

static bool read_number(const char *text, int base, long max, long *ret)
{
    char *end = NULL;
    long v = strtol(text, &end, base);
    if (end == text || *end != '\0' || v < 0 || v > max)
        return false;
    *ret = v;
    return true;
}

static bool read_hex(const char *text, uint8_t *p, size_t n)
{
    struct b_wr w = b_wr_from(p, n);
    return b_unhex(&w, text) && w.len == n;
}

static bool read_ev(const char *text, struct df_personality *p)
{
    static const char *const names[] = {"ev1", "ev2", "ev3"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            p->ev = (enum df_ev)(DF_EV1 + i);
            return true;
        }
    }
    return false;
}

static bool read_memory(const char *text, struct df_personality *p)
{
    static const struct {
        const char *name;
        uint32_t bytes;
    } sizes[] = {{"2k", 2048}, {"4k", 4096}, {"8k", 8192}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcmp(text, sizes[i].name) == 0) {
            p->memory = sizes[i].bytes;
            return true;
        }
    }
    return false;
}

/* "before:N", "after:N", with ":INS" in hex to count only that command */
static bool read_tear(const char *text, struct card_tear *tear)
{
    char copy[64];
    if (strlen(text) >= sizeof(copy))
        return false;
    memcpy(copy, text, strlen(text) + 1);
    char *rest = NULL;
    const char *when = strtok_r(copy, ":", &rest);
    const char *at = strtok_r(NULL, ":", &rest);
    const char *ins = strtok_r(NULL, ":", &rest);
    long n = 0, value = -1;
    if (when == NULL || at == NULL || !read_number(at, 10, 1000000, &n) || n == 0)
        return false;
    if (ins != NULL && !read_number(ins, 16, 0xFF, &value))
        return false;
    tear->at = (unsigned)n;
    tear->ins = (int)value;
    tear->after_effect = strcmp(when, "after") == 0;
    return tear->after_effect || strcmp(when, "before") == 0;
}

static bool read_option(int id, const char *arg, struct wanted *w)
{
    long v = 0;
    switch (id) {
    case OPT_EV:
        return read_ev(arg, &w->personality);
    case OPT_MEMORY:
        return read_memory(arg, &w->personality);
    case OPT_UID:
        w->has_uid = true;
        return read_hex(arg, w->personality.uid, sizeof(w->personality.uid));
    case OPT_RANDOM_UID:
        w->personality.random_uid = true;
        return true;
    case OPT_SIGNATURE:
        w->personality.has_signature = true;
        return read_hex(arg, w->personality.signature, sizeof(w->personality.signature));
    case OPT_PORT:
        if (!read_number(arg, 10, 65535, &v))
            return false;
        w->place.port = (uint16_t)v;
        return true;
    case OPT_HOST:
        w->place.host = arg;
        return true;
    case OPT_WAIT:
        if (!read_number(arg, 10, 3600, &v))
            return false;
        w->place.wait_ms = (unsigned)v * 1000;
        return true;
    case OPT_PACE:
        w->keeps_pace = true;
        return true;
    case OPT_TEAR:
        return read_tear(arg, &w->tear);
    case OPT_BACK:
        return read_number(arg, 10, 3600000, &w->back_ms);
    default:
        return false;
    }
}

/* Larger than a stack frame should be. */
static struct card card;

static int fail(const struct b_err *err)
{
    (void)fprintf(stderr, "tessere-card: %s\n", err->msg);
    return b_code_exit(err->code);
}

static void show(void)
{
    const struct df_personality *p = &card.picc.mem.personality;
    char uid[2 * sizeof(p->uid) + 1];
    b_hex(uid, p->uid, sizeof(p->uid));
    printf("%s %uK, UID %s%s, %u bytes free\n", df_ev_name(p->ev), p->memory / 1024, uid,
           p->random_uid ? " (shown: random)" : "", df_picc_free_memory(&card.picc));
}

static int do_new(struct wanted *w, const char *path)
{
    struct b_err err;
    if (!w->has_uid) {
        crypto_random(w->personality.uid, sizeof(w->personality.uid));
        w->personality.uid[0] = 0x04; /* NXP, ISO/IEC 7816-6 */
    }
    if (card_new(&w->personality, path, &card, &err) != B_OK)
        return fail(&err);
    show();
    card_close(&card);
    return 0;
}

static int do_show(const char *path)
{
    struct b_err err;
    if (card_open(path, &card, &err) != B_OK)
        return fail(&err);
    show();
    card_close(&card);
    return 0;
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&t, NULL);
}

static int do_run(const struct wanted *w, const char *path)
{
    struct b_err err;
    int fd = -1;
    if (card_open(path, &card, &err) != B_OK)
        return fail(&err);
    card.keeps_pace = w->keeps_pace;
    card.tear = w->tear;
    enum b_code code = B_OK;
    do {
        code = vpcd_connect(&w->place, &fd, &err);
        if (code != B_OK)
            break;
        printf("on the reader\n");
        (void)fflush(stdout);
        code = vpcd_serve(fd, &card, &err);
        if (code != B_E_CARD_REMOVED || w->back_ms < 0)
            break;
        (void)fprintf(stderr, "tessere-card: %s\n", err.msg);
        card.tear.at = 0;
        pause_ms(w->back_ms);
    } while (true);
    card_close(&card);
    return code == B_OK ? 0 : fail(&err);
}

int main(int argc, char **argv)
{
    struct wanted w = {.personality = {.ev = DF_EV2, .memory = 8192},
                       .place = {.host = "127.0.0.1", .port = 35963, .wait_ms = 10000},
                       .tear = {.ins = -1},
                       .back_ms = -1};
    int id = 0;
    if (b_about(argc, argv, "tessere-card", usage, &id))
        return id;
    while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!read_option(id, optarg, &w)) {
            if (id != '?')
                (void)fprintf(stderr, "tessere-card: --%s: not understood: %s\n",
                              options[id - OPT_EV].name, optarg);
            (void)fputs(usage, stderr);
            return 2;
        }
    }
    const char *verb = argc - optind == 2 ? argv[optind] : "";
    const char *path = argc - optind == 2 ? argv[optind + 1] : NULL;
    if (strcmp(verb, "new") == 0)
        return do_new(&w, path);
    if (strcmp(verb, "run") == 0)
        return do_run(&w, path);
    if (strcmp(verb, "show") == 0)
        return do_show(path);
    (void)fputs(usage, stderr);
    return 2;
}
