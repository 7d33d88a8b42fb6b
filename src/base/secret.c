/*
 * The arena: one mapping, a guard page on each side, blocks in address order.
 *
 *   block: struct block (32 bytes) | n bytes, rounded up to 16
 *
 * Free blocks are in a list; a block knows the size of the one before it, so that what is given
 * back joins its free neighbours at once, however many blocks there are. Two free blocks are never
 * neighbours. Headers carry a check word; a header that was overwritten is a broken invariant, not
 * an error. One lock guards it all.
 */
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"

#define BLOCK_MAGIC UINT64_C(0x7465737365726531)
#define NONE UINT32_MAX /* in place of a block's offset */

struct block {
    uint64_t magic;
    uint32_t size;   /* of the memory behind the header, a multiple of 16 */
    uint32_t used;   /* 0: free; else the bytes asked for */
    uint32_t before; /* offset of the block that lies before this one, or NONE */
    uint32_t next;   /* offsets in the list of free blocks, or NONE */
    uint32_t previous;
    uint32_t reserved;
};
static_assert(sizeof(struct block) == 32, "blocks keep their memory 16-byte aligned");

static struct {
    uint8_t *start;
    size_t size;
    size_t in_use;
    bool is_locked;
    uint32_t first_free;
} arena;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct block *block_at(size_t offset)
{
    b_check(offset <= arena.size - sizeof(struct block));
    struct block *b = (struct block *)(void *)(arena.start + offset);
    b_check(b->magic == BLOCK_MAGIC);
    b_check(b->size <= arena.size - offset - sizeof(struct block));
    return b;
}

static uint32_t offset_of(const struct block *b)
{
    return (uint32_t)((const uint8_t *)b - arena.start);
}

/* The block behind b in memory, or NULL. */
static struct block *after(const struct block *b)
{
    size_t at = offset_of(b) + sizeof(*b) + b->size;
    return at < arena.size ? block_at(at) : NULL;
}

static void list_add(struct block *b)
{
    b->previous = NONE;
    b->next = arena.first_free;
    if (b->next != NONE)
        block_at(b->next)->previous = offset_of(b);
    arena.first_free = offset_of(b);
}

static void list_remove(struct block *b)
{
    if (b->previous != NONE)
        block_at(b->previous)->next = b->next;
    else
        arena.first_free = b->next;
    if (b->next != NONE)
        block_at(b->next)->previous = b->previous;
    b->next = b->previous = NONE;
}

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t in_pages(size_t size)
{
    return (size + page_size() - 1) / page_size() * page_size();
}

/* size: in whole pages. Guards before and behind. */
static enum b_code map_guarded(size_t size, bool must_lock, uint8_t **ret, bool *ret_is_locked,
                               struct b_err *err)
{
    size_t page = page_size();
    uint8_t *map = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return b_err_set(err, B_E_NO_MEMORY, (uint32_t)errno, "mapping memory for keys: %s",
                         strerror(errno));
    uint8_t *start = map + page;
    if (mprotect(start, size, PROT_READ | PROT_WRITE) != 0 ||
        madvise(start, size, MADV_DONTDUMP) != 0 || madvise(start, size, MADV_WIPEONFORK) != 0) {
        int cause = errno;
        (void)munmap(map, size + 2 * page);
        return b_err_set(err, B_E_SYSTEM, (uint32_t)cause, "protecting memory for keys: %s",
                         strerror(cause));
    }
    *ret_is_locked = mlock(start, size) == 0;
    if (must_lock && !*ret_is_locked) {
        int cause = errno;
        (void)munmap(map, size + 2 * page);
        return b_err_set(err, B_E_LOCK_MEMORY, (uint32_t)cause,
                         "locking %zu KiB of memory for keys: %s", size / 1024, strerror(cause));
    }
    *ret = start;
    return B_OK;
}

static enum b_code map_arena(size_t size, bool must_lock, struct b_err *err)
{
    size = in_pages(size);
    b_check(size > sizeof(struct block) && size < NONE);
    enum b_code r = map_guarded(size, must_lock, &arena.start, &arena.is_locked, err);
    if (r != B_OK)
        return r;
    arena.size = size;
    struct block *first = (struct block *)(void *)arena.start;
    *first = (struct block){
        .magic = BLOCK_MAGIC, .size = (uint32_t)(size - sizeof(struct block)), .before = NONE};
    arena.first_free = NONE;
    list_add(first);
    return B_OK;
}

enum b_code b_secret_map(size_t n, void **ret, struct b_err *err)
{
    uint8_t *start = NULL;
    bool is_locked = false;
    enum b_code r = map_guarded(in_pages(n), b_secret_is_locked(), &start, &is_locked, err);
    if (r == B_OK)
        *ret = start;
    return r;
}

void b_secret_unmap(void *p, size_t n)
{
    if (p == NULL)
        return;
    b_wipe(p, n);
    (void)munmap((uint8_t *)p - page_size(), in_pages(n) + 2 * page_size());
}

enum b_code b_secret_init(size_t size, bool must_lock, struct b_err *err)
{
    (void)pthread_mutex_lock(&lock);
    enum b_code r = arena.start != NULL ? B_OK : map_arena(size, must_lock, err);
    (void)pthread_mutex_unlock(&lock);
    return r;
}

bool b_secret_is_locked(void)
{
    (void)pthread_mutex_lock(&lock);
    bool is_locked = arena.is_locked;
    (void)pthread_mutex_unlock(&lock);
    return is_locked;
}

/* Cuts what block does not need into a free block of its own, when that can hold anything. */
static void split(struct block *b, uint32_t size)
{
    if (b->size - size < sizeof(struct block) + 16)
        return;
    struct block *behind = after(b);
    struct block *rest = (struct block *)(void *)((uint8_t *)b + sizeof(*b) + size);
    *rest = (struct block){.magic = BLOCK_MAGIC,
                           .size = b->size - size - (uint32_t)sizeof(*b),
                           .before = offset_of(b)};
    if (behind != NULL)
        behind->before = offset_of(rest);
    b->size = size;
    list_add(rest);
}

static void *take(size_t n)
{
    b_check(arena.start != NULL);
    if (n == 0 || n > arena.size)
        return NULL;
    uint32_t size = (uint32_t)((n + 15) / 16 * 16);
    for (uint32_t at = arena.first_free; at != NONE;) {
        struct block *b = block_at(at);
        b_check(b->used == 0);
        if (b->size >= size) {
            list_remove(b);
            split(b, size);
            b->used = (uint32_t)n;
            arena.in_use += n;
            return b + 1; /* free memory is always zero */
        }
        at = b->next;
    }
    return NULL;
}

/* Makes b and the free block behind it one. Neither is in the list after that. */
static void join(struct block *b, struct block *behind)
{
    b_check(behind->before == offset_of(b));
    struct block *last = after(behind);
    if (last != NULL)
        last->before = offset_of(b);
    b->size += (uint32_t)sizeof(*behind) + behind->size;
    b_wipe(behind, sizeof(*behind));
}

static void give_back(uint8_t *bytes)
{
    b_check(arena.start != NULL && bytes > arena.start && bytes < arena.start + arena.size);
    struct block *b = block_at((size_t)(bytes - arena.start) - sizeof(*b));
    b_check(b->used != 0);
    b_wipe(bytes, b->size);
    arena.in_use -= b->used;
    b->used = 0;
    struct block *behind = after(b);
    if (behind != NULL && behind->used == 0) {
        list_remove(behind);
        join(b, behind);
    }
    struct block *ahead = b->before != NONE ? block_at(b->before) : NULL;
    if (ahead != NULL && ahead->used == 0) {
        list_remove(ahead);
        join(ahead, b);
        b = ahead;
    }
    list_add(b);
}

void *b_secret_alloc(size_t n)
{
    (void)pthread_mutex_lock(&lock);
    void *p = take(n);
    (void)pthread_mutex_unlock(&lock);
    return p;
}

void b_secret_free(void *p)
{
    if (p == NULL)
        return;
    (void)pthread_mutex_lock(&lock);
    give_back(p);
    (void)pthread_mutex_unlock(&lock);
}

size_t b_secret_in_use(void)
{
    (void)pthread_mutex_lock(&lock);
    size_t n = arena.in_use;
    (void)pthread_mutex_unlock(&lock);
    return n;
}
