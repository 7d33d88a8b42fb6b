#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"

char place_dir[64];
char place_conf[128];
char place_pin[128];
char place_uri[1024];
char place_mock[1024];

struct vault_config place_config(void)
{
    return (struct vault_config){.program = getenv("TESSERE_VAULT"),
                                 .token_uri = place_uri,
                                 .softhsm_conf = place_conf,
                                 .establishment = "750712184",
                                 .pin_file = place_pin,
                                 .pin_fd = -1,
                                 .signs_journal = true};
}

struct vault *place_spawn(const struct vault_config *config)
{
    struct vault *v = NULL;
    struct b_err err = {0};
    if (vault_spawn(config, &v, &err) != B_OK)
        fail_msg("%s", err.msg);
    return v;
}

int place_make(void **state)
{
    (void)state;
    (void)snprintf(place_dir, sizeof(place_dir), "/tmp/tessere-vault-XXXXXX");
    assert_non_null(mkdtemp(place_dir));
    (void)snprintf(place_conf, sizeof(place_conf), "%s/softhsm2.conf", place_dir);
    (void)snprintf(place_pin, sizeof(place_pin), "%s/pin", place_dir);
    struct vault_config config = place_config();
    struct b_err err = {0};
    config.token_uri = NULL;
    config.softhsm_conf = NULL;
    config.pin_file = NULL;
    struct vault *v = place_spawn(&config);
    if (vault_softhsm_create(v, place_dir, "Badges", place_uri, sizeof(place_uri), &err) != B_OK)
        fail_msg("%s", err.msg);
    vault_free(&v);
    const char *query = strchr(place_uri, '?');
    assert_non_null(query);
    struct b_wr w = b_wr_from(place_mock, sizeof(place_mock));
    const char *mock = getenv("TESSERE_MOCK_PKCS11");
    b_wr_bytes(&w, place_uri, (size_t)(query - place_uri));
    b_wr_bytes(&w, "?module-path=", 13);
    for (const char *c = mock; *c != '\0'; c++) /* RFC 7512 §2.3: a space is not itself in a URI */
        b_wr_bytes(&w, *c == ' ' ? "%20" : c, *c == ' ' ? 3 : 1);
    b_wr_u8(&w, 0);
    assert_true(b_wr_ok(&w));
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st;
    (void)flag;
    (void)at;
    return remove(path);
}

int place_drop(void **state)
{
    (void)state;
    return nftw(place_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void place_fault(const char *words)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "%s.fault", place_conf);
    (void)unlink(path);
    if (words == NULL)
        return;
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(words, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

long place_count(const char *what)
{
    char path[160];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s.%s", place_conf, what);
    return stat(path, &st) == 0 ? (long)st.st_size : 0;
}

int place_token_pid(int vault)
{
    return place_child(vault, "tessere-token");
}

int place_child(int of, const char *named)
{
    int found = -1;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    for (const struct dirent *d = readdir(proc); d != NULL; d = readdir(proc)) {
        char path[300];
        char name[32];
        int parent = -1;
        (void)snprintf(path, sizeof(path), "/proc/%s/stat", d->d_name);
        FILE *f = d->d_name[0] >= '1' && d->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (f == NULL)
            continue;
        if (fscanf(f, "%*d (%31[^)]) %*c %d", name, &parent) == 2 && parent == of &&
            strcmp(name, named) == 0)
            found = atoi(d->d_name);
        (void)fclose(f);
    }
    (void)closedir(proc);
    return found;
}
