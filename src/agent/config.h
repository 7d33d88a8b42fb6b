/*
 * The agent's configuration: /etc/tessere/agent.yaml (tessere-agent(1)), and over it what the
 * command line says. It is read again at SIGHUP; one that cannot be used changes nothing.
 */
#ifndef TESSERE_AGENT_CONFIG_H
#define TESSERE_AGENT_CONFIG_H

#include <sys/types.h>

#include "base/base.h"

#define AGENT_CONFIG_FILE "/etc/tessere/agent.yaml"

enum {
    AGENT_PATH_MAX = 512,
    AGENT_PATTERNS_MAX = 16,
    AGENT_PATTERN_MAX = 128,
    AGENT_USERS_MAX = 16,
    AGENT_HOOK_DIRS_MAX = 4,
};

struct agent_socket_config {
    char path[AGENT_PATH_MAX]; /* "": no socket */
    mode_t mode;
    gid_t group; /* (gid_t)-1: the agent's own */
    uid_t users[AGENT_USERS_MAX];
    size_t
        user_count; /* 0: whoever the file's mode lets in; root and the agent's own user always */
};

struct agent_hooks_config {
    char directories[AGENT_HOOK_DIRS_MAX][AGENT_PATH_MAX];
    size_t count;
    unsigned seconds;      /* that a hook may take */
    bool tells_lifted;     /* hooks run also when a badge that was granted is lifted */
    bool tells_challenges; /* and for what comes to wait for a tap here */
};

struct agent_config {
    char state[AGENT_PATH_MAX];
    char server[AGENT_PATH_MAX];   /* "": as the enrolment left it, these three */
    char identity[AGENT_PATH_MAX]; /* without .pem and .key */
    char ca[AGENT_PATH_MAX];
    char language[8];
    char readers[AGENT_PATTERNS_MAX][AGENT_PATTERN_MAX]; /* of fnmatch(3); none: every reader */
    size_t reader_count;
    unsigned back_off_seconds; /* the longest pause between two tries to reach the server */
    struct agent_socket_config socket;
    struct agent_hooks_config hooks;
};

/* What the command line says; NULL and 0: nothing. */
struct agent_options {
    const char *config, *state, *server, *identity, *ca, *language, *socket, *hooks;
    const char *readers[AGENT_PATTERNS_MAX];
    size_t reader_count;
};

/* Defaults, then the file, then the options. A file that options.config does not name may be
 * missing. B_E_CONFIG names file, line and field. */
B_NODISCARD enum b_code agent_config_load(const struct agent_options *options,
                                          struct agent_config *ret, struct b_err *err);
/* The same, of a file's text. path: for errors. */
B_NODISCARD enum b_code agent_config_parse(const char *path, const char *text, size_t n,
                                           struct agent_config *ret, struct b_err *err);
bool agent_config_has_reader(const struct agent_config *c, const char *reader);

/* The one that holds now (live.c). The number tells one from the next. */
struct agent_live;
struct agent_live *agent_live_new(const struct agent_config *c);
void agent_live_free(struct agent_live **live);
void agent_live_set(struct agent_live *live, const struct agent_config *c);
/* A new number for the same configuration: everybody who looks at it begins again. */
void agent_live_again(struct agent_live *live);
unsigned agent_live_get(struct agent_live *live, struct agent_config *ret);
unsigned agent_live_generation(struct agent_live *live);

#endif
