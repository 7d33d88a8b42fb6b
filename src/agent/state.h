/* What local.c and waiting.c, the two halves of the agent's socket, share. All of it is behind the
 * lock. */
#ifndef TESSERE_AGENT_STATE_H
#define TESSERE_AGENT_STATE_H

#include <pthread.h>

#include "agent/local.h"

enum { CLIENTS = 64, READERS = 16 };

enum pin_state { PIN_NONE, PIN_WANTED, PIN_GIVEN };

struct client {
    int fd; /* -1: a free place */
    uid_t uid;
    bool is_dead; /* to be closed by the thread that listens */
    int64_t heard_ms;
    int64_t second;
    unsigned messages; /* in that second */
    uint64_t wait;     /* for a tap; 0: none */
    bool is_taken_up;  /* a card is being read for it */
    int64_t until_ms;
    struct agent_message wanted;
    enum pin_state pin_state;
    bool is_subscribed;                   /* to what waits here */
    char chosen[AGENT_CHALLENGE_MAX + 1]; /* the wait is for the tap that answers this; else "" */
    uint64_t deed;                        /* that is carried out for it; 0: none */
    struct agent_message deed_wanted;
    bool is_deed_begun;
    char *pin;     /* secret memory, AGENT_PIN_MAX + 1 */
    uint64_t join; /* that the server is asked for; 0: none */
    bool is_join_begun;
    enum agent_ask join_by;
};

struct agent_local {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool is_ending;
    int wake, listener;
    uint64_t waits; /* numbers of them */
    struct agent_socket_config config;
    struct client clients[CLIENTS];
    uint8_t *packet; /* secret memory, AGENT_MESSAGE_MAX + 1 */
    char station[64];
    bool is_server_reached;
    char readers[READERS][AGENT_READER_MAX + 1];
    enum b_code last_code;
    int64_t last_at; /* 0: no tap yet */
    char last_reader[AGENT_READER_MAX + 1];
    json_t *list;    /* what waits on this station, as the server said last */
    json_t *offered; /* of no station, to whoever tapped last */
    bool is_list_known;
    json_t *keys; /* of assertions, as the server published them last; an array */
};

int64_t local_now_ms(void);
/* Steals answer. Who does not take it in at once is not waited for. */
void local_say(struct client *c, json_t *answer);
void local_say_error(struct client *c, enum b_code code, const char *sentence);
void local_end_wait(struct agent_local *l, struct client *c);
static inline bool local_is_idle(const struct client *c)
{
    return c->wait == 0 && !c->is_subscribed && c->deed == 0 && c->join == 0;
}

/* --- waiting.c ---------------------------------------------------------------------------------
 */

void local_subscribe(struct agent_local *l, struct client *c);
void local_want_deed(struct agent_local *l, struct client *c, const struct agent_message *m);
/* Tells the taker (may be NULL), and who chose what the tap answers: no person and no assertion,
 * which are the server's affair. Whose challenge it does not answer goes on waiting. */
void local_tell_chosen(struct agent_local *l, struct client *taker, const char *reader,
                       const struct agent_outcome *o);

#endif
