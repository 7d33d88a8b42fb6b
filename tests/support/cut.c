/*
 * LD_PRELOAD: ends a program at its n-th step that lasts, a message to another process or something
 * that is put on the disk. CUT_AT=n: before it; with CUT_AFTER=1, after it. The exit status is 99.
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static unsigned steps;

static bool is_cut(void)
{
    const char *at = getenv("CUT_AT");
    return at != NULL && ++steps == strtoul(at, NULL, 10);
}

static void before(bool cut)
{
    if (cut && getenv("CUT_AFTER") == NULL)
        _exit(99);
}

static void after(bool cut)
{
    if (cut)
        _exit(99);
}

static void *next(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (p == NULL)
        abort();
    return p;
}

#define STEP(type, name, parameters, arguments) \
    EXPORT type name parameters;                \
    EXPORT type name parameters                 \
    {                                           \
        type(*real) parameters;                 \
        *(void **)(&real) = next(#name);        \
        bool cut = is_cut();                    \
        before(cut);                            \
        type r = real arguments;                \
        after(cut);                             \
        return r;                               \
    }

STEP(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
STEP(int, rename, (const char *from, const char *to), (from, to))
STEP(int, fsync, (int fd), (fd))
STEP(int, fdatasync, (int fd), (fd))
