/* Where the product meets the world: calls that the linker sends here (--wrap). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include "crypto/crypto.h"
#include "remote/remote.h"
#include "sim.h"
#include "vault/wire.h"

uint32_t sim_draw(uint32_t n)
{
    sim.random = sim.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((sim.random >> 33) % n);
}

static bool is_out(enum sim_point p)
{
    return sim.is_dead || (p == SIM_FIELD && sim.is_torn) || (p == SIM_TOKEN && sim.has_no_token) ||
           (p == SIM_DISK && sim.has_no_disk);
}

static void strike(enum sim_point p, enum sim_cut cut)
{
    sim.cuts++;
    sim.is_dead = cut == SIM_CRASH;
    sim.is_torn |= cut == SIM_TEAR && p == SIM_FIELD;
    sim.has_no_token |= cut == SIM_TEAR && p == SIM_TOKEN;
    sim.has_no_disk |= cut == SIM_TEAR && p == SIM_DISK;
}

static bool is_struck(enum sim_point p, bool after)
{
    for (size_t i = 0; i < B_COUNT(sim.faults); i++) {
        const struct sim_fault *f = &sim.faults[i];
        if (f->cut == SIM_NOTHING || sim.crossings != f->at || f->after != after)
            continue;
        strike(p, f->cut);
        return true;
    }
    return false;
}

static void mark(bool after)
{
    unsigned at = 2 * sim.crossings + after;
    if (at < B_COUNT(sim.marks))
        sim.marks[at] = sim.lasting;
}

bool sim_before(enum sim_point p)
{
    if (is_out(p))
        return false;
    sim.crossings++;
    mark(false);
    return !is_struck(p, false);
}

bool sim_after(enum sim_point p)
{
    mark(true);
    return !is_struck(p, true);
}

/* --- the disk: a commit lasts or does not ------------------------------------------------------
 */

enum b_code __real_store_commit(struct store *s, struct b_err *err);
enum b_code __wrap_store_commit(struct store *s, struct b_err *err);
enum b_code __wrap_store_commit(struct store *s, struct b_err *err)
{
    if (!sim_before(SIM_DISK)) {
        store_rollback(s);
        return b_err_set(err, B_E_STORE_FULL, 0, "simulated");
    }
    enum b_code r = __real_store_commit(s, err);
    sim.lasting += r == B_OK;
    if (r == B_OK && !sim_after(SIM_DISK))
        r = b_err_set(err, B_E_STORE_FAILED, 0, "simulated");
    return r;
}

/* --- the vault's socket ------------------------------------------------------------------------
 */

static uint8_t answer_bytes[VAULT_MESSAGE_MAX];
static size_t answer_len;

ssize_t __real_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
    if (fd != SIM_VAULT_FD)
        return __real_send(fd, p, n, flags);
    answer_len = 0;
    if (!sim_before(SIM_VAULT)) {
        errno = EPIPE;
        return -1;
    }
    struct b_wr w = b_wr_from(answer_bytes, sizeof(answer_bytes));
    b_check(sim_handle(b_rd_from(p, n), &w));
    answer_len = sim_after(SIM_VAULT) ? w.len : 0;
    return (ssize_t)n;
}

ssize_t __real_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags)
{
    if (fd != SIM_VAULT_FD)
        return __real_recv(fd, p, n, flags);
    b_check(answer_len <= n);
    memcpy(p, answer_bytes, answer_len); /* nothing: the vault has ended */
    return (ssize_t)answer_len;
}

/* --- clock and chance --------------------------------------------------------------------------
 */

time_t __wrap_time(time_t *ret);
time_t __wrap_time(time_t *ret)
{
    time_t t = (time_t)(sim.now_us / 1000000);
    if (ret != NULL)
        *ret = t;
    return t;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    (void)id;
    sim.now_us += 7;
    t->tv_sec = (time_t)(sim.now_us / 1000000);
    t->tv_nsec = (long)(sim.now_us % 1000000 * 1000);
    return 0;
}

void __wrap_crypto_random(void *p, size_t n);
void __wrap_crypto_random(void *p, size_t n)
{
    uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)sim_draw(256);
}

/* --- the wire between station and server -------------------------------------------------------
 */

static const char *no_query(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

static enum b_code take_problem(const json_t *o, struct b_err *err)
{
    const char *name = json_string_value(json_object_get(o, "code"));
    for (int code = 1; name != NULL && code < B_CODE_COUNT; code++)
        if (strcmp(b_code_name((enum b_code)code), name) == 0)
            return b_err_set(err, (enum b_code)code, 0, "%s",
                             json_string_value(json_object_get(o, "detail")));
    return b_err_set(err, B_E_INTERNAL, 0, "an answer that is no problem");
}

enum b_code remote_call(struct remote *r, const char *method, const char *path, const json_t *body,
                        json_t **ret, struct b_err *err)
{
    static struct http_peer peer = {.fd = -1, .has_certificate = true, .is_checked = true};
    (void)r;
    memset(peer.fingerprint, 0x51, sizeof(peer.fingerprint));
    if (!sim_before(SIM_WIRE))
        return b_err_set(err, B_E_SERVER_GONE, 0, "simulated");
    if (strcmp(path, "/v1/station/takeover") == 0)
        return sim_order_takeover(ret, err);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    const struct http_request request = {.method = method,
                                         .url = path,
                                         .content_type = "application/json",
                                         .query = no_query,
                                         .body = text != NULL ? text : "",
                                         .body_len = text != NULL ? strlen(text) : 0};
    struct http_answer answer = {.status = 0};
    http_carry_out(&sim.server, &peer, &request, &answer);
    free(text);
    json_t *o = json_loads(answer.text, 0, NULL);
    free(answer.text);
    enum b_code code = answer.status < 300 ? B_OK : take_problem(o, err);
    if (!sim_after(SIM_WIRE) || sim.is_dead)
        code = b_err_set(err, B_E_SERVER_GONE, 0, "simulated");
    if (code == B_OK && ret != NULL)
        *ret = json_incref(o);
    json_decref(o);
    return code;
}
