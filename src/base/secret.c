/*
 * The arena: one mapping, a guard page on each side, blocks in address order.
 *
 *   block: struct block (32 bytes) | n bytes, rounded up to 16
 *
 * First fit is enough: a vault holds some hundred blocks. Headers carry a check word; a header that
 * was overwritten is a broken invariant, not an error.
 */
#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"

#define BLOCK_MAGIC UINT64_C(0x7465737365726531)

struct block {
    uint64_t magic;
    size_t size; /* of the memory behind the header, a multiple of 16 */
    size_t used; /* 0: free; else the bytes asked for */
    size_t reserved;
};
static_assert(sizeof(struct block) == 32, "blocks keep their memory 16-byte aligned");

static struct {
    uint8_t *start;
    size_t size;
    size_t in_use;
    bool is_locked;
} arena;

static struct block *block_at(size_t offset)
{
    struct block *b = (struct block *)(void *)(arena.start + offset);
    b_check(b->magic == BLOCK_MAGIC);
    b_check(b->size <= arena.size - offset - sizeof(struct block));
    return b;
}

enum b_code b_secret_init(size_t size, bool must_lock, struct b_err *err)
{
    if (arena.start != NULL)
        return B_OK;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size = (size + page - 1) / page * page;
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
    arena.is_locked = mlock(start, size) == 0;
    if (must_lock && !arena.is_locked) {
        int cause = errno;
        (void)munmap(map, size + 2 * page);
        return b_err_set(err, B_E_LOCK_MEMORY, (uint32_t)cause,
                         "locking %zu KiB of memory for keys: %s", size / 1024, strerror(cause));
    }
    arena.start = start;
    arena.size = size;
    struct block *first = (struct block *)(void *)start;
    *first = (struct block){.magic = BLOCK_MAGIC, .size = size - sizeof(struct block)};
    return B_OK;
}

bool b_secret_is_locked(void)
{
    return arena.is_locked;
}

/* Cuts what block does not need into a free block of its own, when that can hold anything. */
static void split(struct block *b, size_t offset, size_t size)
{
    if (b->size - size < sizeof(struct block) + 16)
        return;
    struct block *rest = (struct block *)(void *)(arena.start + offset + sizeof(*b) + size);
    *rest = (struct block){.magic = BLOCK_MAGIC, .size = b->size - size - sizeof(*b)};
    b->size = size;
}

void *b_secret_alloc(size_t n)
{
    b_check(arena.start != NULL);
    if (n == 0 || n > arena.size)
        return NULL;
    size_t size = (n + 15) / 16 * 16;
    for (size_t at = 0; at < arena.size;) {
        struct block *b = block_at(at);
        if (b->used == 0 && b->size >= size) {
            split(b, at, size);
            b->used = n;
            arena.in_use += n;
            return arena.start + at + sizeof(*b); /* free memory is always zero */
        }
        at += sizeof(*b) + b->size;
    }
    return NULL;
}

/* Joins free neighbours, so that the arena does not crumble. */
static void merge(void)
{
    size_t at = 0;
    while (at < arena.size) {
        struct block *b = block_at(at);
        size_t next = at + sizeof(*b) + b->size;
        if (next < arena.size && b->used == 0) {
            struct block *after = block_at(next);
            if (after->used == 0) {
                b->size += sizeof(*after) + after->size;
                *after = (struct block){0};
                continue;
            }
        }
        at = next;
    }
}

void b_secret_free(void *p)
{
    if (p == NULL)
        return;
    uint8_t *bytes = p;
    b_check(arena.start != NULL && bytes > arena.start && bytes < arena.start + arena.size);
    struct block *b = block_at((size_t)(bytes - arena.start) - sizeof(*b));
    b_check(b->used != 0);
    b_wipe(p, b->size);
    arena.in_use -= b->used;
    b->used = 0;
    merge();
}

size_t b_secret_in_use(void)
{
    return arena.in_use;
}
