/* The configuration that holds now: read by every reader's thread, changed at SIGHUP. */
#include <pthread.h>
#include <stdlib.h>

#include "agent/config.h"

struct agent_live {
    pthread_mutex_t lock;
    struct agent_config config;
    unsigned generation;
};

struct agent_live *agent_live_new(const struct agent_config *c)
{
    struct agent_live *live = calloc(1, sizeof(*live));
    if (live == NULL)
        return NULL;
    b_check(pthread_mutex_init(&live->lock, NULL) == 0);
    live->config = *c;
    return live;
}

void agent_live_free(struct agent_live **plive)
{
    struct agent_live *live = *plive;
    *plive = NULL;
    if (live != NULL)
        (void)pthread_mutex_destroy(&live->lock);
    free(live);
}

void agent_live_set(struct agent_live *live, const struct agent_config *c)
{
    (void)pthread_mutex_lock(&live->lock);
    live->config = *c;
    live->generation++;
    (void)pthread_mutex_unlock(&live->lock);
}

void agent_live_again(struct agent_live *live)
{
    (void)pthread_mutex_lock(&live->lock);
    live->generation++;
    (void)pthread_mutex_unlock(&live->lock);
}

unsigned agent_live_get(struct agent_live *live, struct agent_config *ret)
{
    (void)pthread_mutex_lock(&live->lock);
    *ret = live->config;
    unsigned generation = live->generation;
    (void)pthread_mutex_unlock(&live->lock);
    return generation;
}

unsigned agent_live_generation(struct agent_live *live)
{
    (void)pthread_mutex_lock(&live->lock);
    unsigned generation = live->generation;
    (void)pthread_mutex_unlock(&live->lock);
    return generation;
}
