/*
 * One mapping: head, index, entries. The index has a chain of entries for each value of a hash; all
 * entries in use are also in one list by their last use, newest first. Places are numbers, counted
 * from 1; 0 is none.
 */
#include "vault/cache.h"

#include <pthread.h>
#include <string.h>

struct entry {
    uint8_t input[CRYPTO_DIV_INPUT_MAX];
    uint8_t input_len; /* 0: free */
    uint8_t key[16];
    uint8_t generation;
    uint32_t chain; /* the next of the same hash, or the next free one */
    uint32_t newer, older;
};
static_assert(sizeof(struct entry) == 64, "as the header says");

struct vaultd_cache {
    pthread_mutex_t lock;
    uint32_t entries, used;
    uint32_t mask; /* of the index: its size is a power of two */
    uint32_t newest, oldest, free;
    bool is_forgotten[256]; /* by generation */
    size_t size;            /* of the mapping */
    struct entry *table;
    uint32_t index[];
};

static struct entry *at(struct vaultd_cache *c, uint32_t place)
{
    b_check(place >= 1 && place <= c->entries);
    return &c->table[place - 1];
}

/* FNV-1a. Only badges that have proved their keys choose what is hashed. */
static uint32_t *chain_of(struct vaultd_cache *c, uint8_t generation, const uint8_t *input,
                          size_t n)
{
    uint32_t hash = UINT32_C(2166136261);
    hash = (hash ^ generation) * UINT32_C(16777619);
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ input[i]) * UINT32_C(16777619);
    return &c->index[hash & c->mask];
}

static bool is_it(const struct entry *e, const struct vaultd_cached *which)
{
    return e->generation == which->generation && e->input_len == which->input.left &&
           b_ct_eq(e->input, which->input.p, e->input_len);
}

/* --- the list by last use --------------------------------------------------------------------- */

static void unlink_entry(struct vaultd_cache *c, const struct entry *e)
{
    if (e->newer != 0)
        at(c, e->newer)->older = e->older;
    else
        c->newest = e->older;
    if (e->older != 0)
        at(c, e->older)->newer = e->newer;
    else
        c->oldest = e->newer;
}

static void link_newest(struct vaultd_cache *c, uint32_t place)
{
    struct entry *e = at(c, place);
    e->newer = 0;
    e->older = c->newest;
    if (c->newest != 0)
        at(c, c->newest)->newer = place;
    else
        c->oldest = place;
    c->newest = place;
}

/* --- entries ---------------------------------------------------------------------------------- */

static uint32_t find(struct vaultd_cache *c, const struct vaultd_cached *which)
{
    uint32_t place = *chain_of(c, which->generation, which->input.p, which->input.left);
    while (place != 0 && !is_it(at(c, place), which))
        place = at(c, place)->chain;
    return place;
}

/* Wipes an entry and gives its place back. */
static void drop(struct vaultd_cache *c, uint32_t place)
{
    struct entry *e = at(c, place);
    uint32_t *link = chain_of(c, e->generation, e->input, e->input_len);
    while (*link != place)
        link = &at(c, *link)->chain;
    *link = e->chain;
    unlink_entry(c, e);
    b_wipe(e, sizeof(*e));
    e->chain = c->free;
    c->free = place;
    c->used--;
}

bool vaultd_cache_get(struct vaultd_cache *c, const struct vaultd_cached *which,
                      uint8_t key[static 16])
{
    if (c == NULL)
        return false;
    (void)pthread_mutex_lock(&c->lock);
    uint32_t place = find(c, which);
    if (place != 0) {
        memcpy(key, at(c, place)->key, sizeof(at(c, place)->key));
        unlink_entry(c, at(c, place));
        link_newest(c, place);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return place != 0;
}

static void put(struct vaultd_cache *c, const struct vaultd_cached *which,
                const uint8_t key[static 16])
{
    if (c->free == 0)
        drop(c, c->oldest);
    uint32_t place = c->free;
    struct entry *e = at(c, place);
    c->free = e->chain;
    *e = (struct entry){.generation = which->generation, .input_len = (uint8_t)which->input.left};
    memcpy(e->input, which->input.p, which->input.left);
    memcpy(e->key, key, sizeof(e->key));
    uint32_t *link = chain_of(c, e->generation, e->input, e->input_len);
    e->chain = *link;
    *link = place;
    link_newest(c, place);
    c->used++;
}

void vaultd_cache_put(struct vaultd_cache *c, const struct vaultd_cached *which,
                      const uint8_t key[static 16])
{
    if (c == NULL)
        return;
    b_check(which->input.left >= 1 && which->input.left <= CRYPTO_DIV_INPUT_MAX);
    (void)pthread_mutex_lock(&c->lock);
    if (!c->is_forgotten[which->generation] && find(c, which) == 0)
        put(c, which, key);
    (void)pthread_mutex_unlock(&c->lock);
}

void vaultd_cache_forget(struct vaultd_cache *c, uint8_t generation)
{
    if (c == NULL)
        return;
    (void)pthread_mutex_lock(&c->lock);
    c->is_forgotten[generation] = true;
    for (uint32_t place = 1; place <= c->entries; place++)
        if (at(c, place)->input_len != 0 && at(c, place)->generation == generation)
            drop(c, place);
    (void)pthread_mutex_unlock(&c->lock);
}

uint32_t vaultd_cache_count(struct vaultd_cache *c)
{
    if (c == NULL)
        return 0;
    (void)pthread_mutex_lock(&c->lock);
    uint32_t used = c->used;
    (void)pthread_mutex_unlock(&c->lock);
    return used;
}

/* --- the whole -------------------------------------------------------------------------------- */

enum b_code vaultd_cache_new(uint32_t entries, struct vaultd_cache **ret, struct b_err *err)
{
    b_check(entries >= 1 && entries <= VAULTD_CACHE_MAX);
    uint32_t chains = 16;
    while (chains < entries)
        chains *= 2;
    size_t head = sizeof(struct vaultd_cache) + chains * sizeof(uint32_t);
    head = (head + sizeof(struct entry) - 1) / sizeof(struct entry) * sizeof(struct entry);
    size_t size = head + entries * sizeof(struct entry);
    void *map = NULL;
    enum b_code r = b_secret_map(size, &map, err);
    if (r != B_OK)
        return r;
    struct vaultd_cache *c = map;
    c->entries = entries;
    c->mask = chains - 1;
    c->size = size;
    c->table = (struct entry *)(void *)((uint8_t *)map + head);
    for (uint32_t place = entries; place > 0; place--) {
        at(c, place)->chain = c->free;
        c->free = place;
    }
    b_check(pthread_mutex_init(&c->lock, NULL) == 0);
    *ret = c;
    return B_OK;
}

void vaultd_cache_free(struct vaultd_cache **pc)
{
    struct vaultd_cache *c = *pc;
    *pc = NULL;
    if (c != NULL)
        b_secret_unmap(c, c->size);
}
