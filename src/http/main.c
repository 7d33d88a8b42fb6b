/* tessered: opens the home, starts the vault, listens, and stops in order. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/about.h"
#include "http/http.h"
#include "http/reload.h"
#include "http/signon.h"
#include "http/syslog.h"
#include "service/home.h"
#include "service/journal.h"
#include "service/policy.h"
#include "service/signer.h"

static struct http_server server = {.readers_lock = PTHREAD_MUTEX_INITIALIZER,
                                    .reader_freed = PTHREAD_COND_INITIALIZER};

static int fail(const struct b_err *err)
{
    (void)fprintf(stderr, "tessered: %s: %s\n  %s\n", b_code_text(err->code), err->msg,
                  b_code_remedy(err->code));
    return b_code_exit(err->code);
}

/* JSON may hold what people typed: what jansson gives back is wiped. */
static void wipe_free(void *p)
{
    if (p != NULL)
        b_wipe(p, malloc_usable_size(p));
    free(p);
}

static enum b_code start_vault(const struct service_config *conf, struct b_err *err)
{
    enum { DESK_WORKERS = 2 };
    static const struct key_stay nothing;
    struct vault_config config = {.service = conf->vault[0] != '\0' ? conf->vault : NULL,
                                  .token_uri = conf->token_uri,
                                  .softhsm_conf =
                                      conf->softhsm_conf[0] != '\0' ? conf->softhsm_conf : NULL,
                                  .establishment = conf->finess,
                                  .pin_file = conf->pin_file[0] != '\0' ? conf->pin_file : NULL,
                                  .pin_fd = -1,
                                  .workers = server.config.vault_workers,
                                  .in_token = conf->in_token,
                                  .stored = conf->stored,
                                  .auth_cache = server.config.auth_key_cache,
                                  .signs_journal = true};
    enum b_code r = vault_spawn(&config, &server.service.vault, err);
    if (r != B_OK || memcmp(&config.in_token, &nothing, sizeof(nothing)) == 0)
        return r;
    /* The one that meets the cards of all stations never has such a key; the desk's must. */
    config.in_token = nothing;
    config.auth_cache = 0;
    config.signs_journal = false;
    config.workers = DESK_WORKERS;
    return vault_spawn(&config, &server.service.desk_vault, err);
}

static enum b_code open_ca(const char *home, struct b_err *err)
{
    char cert[SERVICE_PATH_MAX];
    char key[SERVICE_PATH_MAX];
    if (server.config.ca_key[0] == '\0')
        return B_OK;
    enum b_code r = service_home_path(home, server.config.ca_certificate, cert, sizeof(cert), err);
    if (r == B_OK)
        r = service_home_path(home, server.config.ca_key, key, sizeof(key), err);
    return r == B_OK ? pki_ca_open(cert, key, &server.ca, err) : r;
}

static enum b_code open_syslog(struct b_err *err)
{
    uint64_t next = 0;
    if (server.config.syslog[0] == '\0')
        return B_OK;
    enum b_code r = store_entry_count(server.service.store, &next, err);
    if (r == B_OK)
        r = http_syslog_open(server.config.syslog, next, &server.syslog, err);
    if (r != B_E_SYSTEM)
        return r;
    (void)fprintf(stderr, "tessered: %s; no SIEM is told until the next start\n", err->msg);
    return B_OK; /* taps go on */
}

/* Two servers would share the port and each other's taps, and each remember a history of its own.
 * The lock ends with the process, however it ends; its children do not inherit it. */
static enum b_code claim_home(const char *home, struct b_err *err)
{
    char path[SERVICE_PATH_MAX];
    enum b_code r = service_home_path(home, "server.lock", path, sizeof(path), err);
    if (r != B_OK)
        return r;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return b_err_set(err, B_E_STORE_READ_ONLY, (uint32_t)errno, "%s: %s", path,
                         strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return B_OK; /* fd stays open for the life of the process */
    int cause = errno;
    (void)close(fd);
    return b_err_set(err, cause == EWOULDBLOCK ? B_E_SERVER_RUNS : B_E_SYSTEM, (uint32_t)cause,
                     "%s: %s", path, strerror(cause));
}

/* Relying parties, and how long sessions last. */
static enum b_code open_signon(struct b_err *err)
{
    enum { HOUR = 3600 };
    struct http_book *book = NULL;
    const struct http_signon_config *c = &server.config.signon;
    enum b_code r = http_book_read(&server, &server.config, &book, err);
    if (r != B_OK || book == NULL)
        return r;
    http_book_set(&server, book);
    server.signon_rules = (struct service_signon_rules){
        .session_seconds = c->session_hours * HOUR, .keeps_on_second_tap = c->keeps_on_second_tap};
    server.service.signon = &server.signon_rules;
    return B_OK;
}

static enum b_code open_all(const char *home, struct b_err *err)
{
    static struct service_config conf;
    char path[SERVICE_PATH_MAX];
    struct service *sv = &server.service;
    (void)snprintf(server.home, sizeof(server.home), "%s", home);
    enum b_code r = service_home_path(home, "server.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = http_config_read(path, &server.config, err);
    if (r == B_OK)
        r = service_home_path(home, "tessere.yaml", path, sizeof(path), err);
    if (r == B_OK)
        r = service_config_read(path, &conf, err);
    if (r == B_OK)
        r = claim_home(home, err);
    if (r == B_OK)
        r = service_home_path(home, "store.db", path, sizeof(path), err);
    if (r == B_OK)
        r = service_home_open_store(path, false, true, sv, err);
    if (r == B_OK)
        r = service_home_load(home, sv, err);
    for (size_t i = 0; r == B_OK && i < HTTP_READERS; i++)
        r = store_open(path, false, &server.readers[i], err);
    if (r == B_OK && (server.desk = service_desk_new(path)) == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "starting the server");
    if (r == B_OK)
        r = http_reload_others(&server, err);
    if (r == B_OK)
        r = open_signon(err);
    if (r == B_OK)
        r = open_ca(home, err);
    if (r == B_OK)
        r = open_syslog(err);
    if (r == B_OK && (server.service.bells = service_bells_new()) == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "waits for taps");
    if (r == B_OK && (server.taps = service_taps_new()) == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "starting the server");
    if (r == B_OK)
        r = start_vault(&conf, err);
    if (r == B_OK && (sv->policies = service_policies_new()) == NULL)
        r = b_err_set(err, B_E_NO_MEMORY, 0, "starting the server");
    sv->stock_needs_two = conf.stock_needs_two;
    sv->asker = (struct service_asker){.actor = "server", .request = ""};
    if (r == B_OK)
        r = http_reload_policy(&server, err);
    server.signer = http_token_signer(&server);
    return r == B_OK ? http_reload_events(&server, err) : r;
}

static void tell_siem(void)
{
    while (server.syslog != NULL && http_syslog_follow(server.syslog, server.service.store))
        continue;
}

static void close_all(void)
{
    service_desk_stop(server.desk);
    if (server.service.bells != NULL)
        service_bells_stop(server.service.bells);
    http_server_stop(&server);
    events_deliverer_stop(&server.events);
    service_desk_free(&server.desk);
    service_writer_close(&server.service.writer);
    tell_siem();
    http_syslog_free(&server.syslog);
    vault_free(&server.service.vault);
    vault_free(&server.service.desk_vault);
    for (size_t i = 0; i < HTTP_READERS; i++)
        store_free(&server.readers[i]);
    store_free(&server.service.store);
    service_taps_free(&server.taps);
    service_policies_free(&server.service.policies);
    service_bells_free(&server.service.bells);
    http_book_set(&server, NULL);
    pki_ca_free(&server.ca);
}

/* A policy that was changed at the desk, or by another server, is followed within a second. */
static void follow_policy(void)
{
    static enum b_code told;
    struct b_err err = {0};
    if (vault_is_gone(server.service.vault))
        return;
    enum b_code r = service_policy_follow(&server.service, &err);
    if (r != told && r != B_OK)
        (void)fprintf(stderr, "tessered: the policy cannot be changed: %s\n", err.msg);
    told = r;
}

/* Once an hour, what was kept for repeated requests is forgotten after a day. */
static void forget_answers(time_t now)
{
    enum { HOUR = 3600, DAY = 24 * HOUR };
    static time_t next;
    struct b_err ignored;
    if (now < next)
        return;
    next = now + HOUR;
    (void)!service_forget_answers(&server.service, now - DAY, &ignored);
}

/* Once a minute, sessions whose time is over end. */
static void end_sessions(struct service *sv, time_t now)
{
    static time_t next;
    struct b_err ignored;
    if (now < next)
        return;
    next = now + 60;
    (void)!service_signon_sweep(sv, &ignored);
}

/* Keys that sign tokens, where there are any, follow each other: a step at a time, since making one
 * takes a second. */
static void keep_signers(time_t now)
{
    enum { HOUR = 3600 };
    static time_t next;
    static enum b_code told;
    struct b_err err = {0};
    bool is_done = true;
    if (now < next)
        return;
    enum b_code r = service_signer_keep(&server.service, false, &is_done, &err);
    if (r != told && r != B_OK)
        (void)fprintf(stderr, "tessered: the keys that sign tokens: %s\n", err.msg);
    told = r;
    next = is_done || r != B_OK ? now + HOUR : now;
}

/* Whose grace is over has left: looked at once a minute, and at the start. */
static void end_leavers(time_t now)
{
    enum { MINUTE = 60 };
    static time_t next;
    static struct service sv;
    struct b_err err = {0};
    if (now < next)
        return;
    next = now + MINUTE;
    sv = server.service;
    sv.asker = (struct service_asker){.actor = "server", .request = ""};
    if (service_directory_tick(&sv, &err) != B_OK)
        (void)fprintf(stderr, "tessered: who left stays suspended: %s\n", err.msg);
}

/* Once a second the store is tidied, and, when something was added, the journal is signed as it is.
 */
static void keep_checkpoint(time_t now)
{
    static time_t last;
    static struct b_err told;
    struct b_err err = {0};
    static struct service sv;
    if (now == last)
        return;
    last = now;
    store_tidy(server.service.store);
    if (vault_is_gone(server.service.vault))
        return;
    follow_policy();
    forget_answers(now);
    keep_signers(now);
    end_leavers(now);
    sv = server.service;
    sv.asker = (struct service_asker){.actor = "server", .request = ""};
    end_sessions(&sv, now);
    enum b_code r = service_journal_checkpoint(&sv, server.home, &err);
    if (r != told.code && r != B_OK)
        (void)fprintf(stderr, "tessered: the journal cannot be signed: %s\n", err.msg);
    told.code = r;
}

/* Only this loop says that the server lives: one that hangs here is started again. */
static void tell_manager(time_t now, bool is_vault_gone)
{
    static time_t last;
    static bool was_gone;
    if (now != last)
        (void)sd_notify(0, "WATCHDOG=1");
    last = now;
    if (is_vault_gone != was_gone)
        (void)sd_notify(0, is_vault_gone ? "STATUS=no vault: starting it again"
                                         : "STATUS=ready, the vault runs again");
    was_gone = is_vault_gone;
}

/* A vault that has ended is started again, more slowly each time. */
struct attended {
    struct vault *vault;
    time_t pause, not_before;
};

static void keep_alive(struct attended *a, time_t now)
{
    enum { PAUSE_MAX_S = 30 };
    if (a->vault == NULL)
        return;
    vault_look(a->vault);
    bool is_gone = vault_is_gone(a->vault);
    if ((!is_gone && !vault_has_lost_token(a->vault)) || now < a->not_before)
        return;
    struct b_err err;
    /* One that remembers badges serves them until another has a token that answers. */
    enum b_code r = is_gone ? vault_restart(a->vault, &err) : vault_renew(a->vault, &err);
    (void)fprintf(stderr, "tessered: the vault had %s; %s\n",
                  is_gone ? "ended" : "lost its token's process",
                  r == B_OK ? "it runs again" : err.msg);
    a->pause = r == B_OK ? 0 : a->pause * 2 + 1;
    a->not_before = now + (a->pause < PAUSE_MAX_S ? a->pause : PAUSE_MAX_S);
}

static void reload(void)
{
    char note[128] = "";
    struct b_err err = {0};
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
                     (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    enum b_code r = http_reload(&server, note, sizeof(note), &err);
    if (r != B_OK)
        (void)fprintf(stderr, "tessered: the configuration stays as it was: %s\n", err.msg);
    else
        (void)fprintf(stderr, "tessered: configuration taken up%s%s\n",
                      note[0] != '\0' ? "; at the next start only: " : "", note);
    if (r == B_OK)
        http_tell_issuer(&server);
    (void)sd_notify(0, "READY=1");
}

/* Waits for the signal to stop. */
static void attend(const sigset_t *signals)
{
    struct attended vaults[] = {{.vault = server.service.vault},
                                {.vault = server.service.desk_vault}};
    for (;;) {
        struct timespec second = {.tv_nsec = 200 * 1000 * 1000};
        int got = sigtimedwait(signals, NULL, &second);
        if (got == SIGTERM || got == SIGINT)
            return;
        if (got == SIGHUP)
            reload();
        http_server_sweep(&server);
        time_t now = time(NULL);
        keep_checkpoint(now);
        tell_siem();
        vault_look(server.service.vault);
        tell_manager(now, vault_is_gone(server.service.vault));
        for (size_t i = 0; i < B_COUNT(vaults); i++)
            keep_alive(&vaults[i], now);
    }
}

static const char usage[] =
    "usage: tessered [--home DIR]\n"
    "       tessered --help|--version\n"
    "\n"
    "Serves the establishment in DIR (else $TESSERE_HOME, else /var/lib/tessere) over HTTPS, as "
    "its\n"
    "server.yaml says: tessered(8). `tessere server setup` makes that file.\n";

/* NULL: what was typed cannot be understood. */
static const char *read_home(int argc, char **argv)
{
    static const struct option options[] = {{"home", required_argument, NULL, 'h'}, {0}};
    const char *home = getenv("TESSERE_HOME");
    for (int o = 0; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o != 'h')
            return NULL;
        home = optarg;
    }
    if (optind != argc)
        return NULL;
    return home != NULL ? home : "/var/lib/tessere";
}

int main(int argc, char **argv)
{
    int status = 0;
    if (b_about(argc, argv, "tessered", usage, &status))
        return status;
    const char *home = read_home(argc, argv);
    if (home == NULL) {
        (void)fputs(usage, stderr);
        return 2;
    }
    struct b_err err = {0};
    struct rlimit files = {0};
    sigset_t signals;
    (void)umask(077);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core holds what passes through */
    (void)signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    json_set_alloc_funcs(malloc, wipe_free);
    enum b_code r = open_all(home, &err);
    if (r == B_OK && (http_has_signon(&server.config) || server.config.events[0] != '\0'))
        r = service_signer_begin(&server.service, &err);
    if (r == B_OK)
        r = http_server_start(&server, &err);
    if (r == B_OK) {
        (void)fprintf(stderr, "tessered: ready on %s port %u\n", server.config.address,
                      http_server_port(&server));
        if (http_has_signon(&server.config))
            (void)fprintf(stderr, "tessered: sign-on ready on %s port %u, as %s\n",
                          server.config.signon.address, server.config.signon.port,
                          server.config.signon.issuer);
        http_tell_issuer(&server);
        (void)sd_notifyf(0, "READY=1\nSTATUS=ready on %s port %u", server.config.address,
                         http_server_port(&server));
        attend(&signals);
        (void)sd_notify(0, "STOPPING=1\nSTATUS=calls under way get their answers");
    }
    close_all();
    return r == B_OK ? 0 : fail(&err);
}
