/* Keys of other systems, which custodians gave in a ceremony, wrapped by the vault: the store
 * cannot use one. Part of store.h. */
#ifndef TESSERE_STORE_GIVEN_H
#define TESSERE_STORE_GIVEN_H

#include "store/people.h"

struct store;

enum { STORE_GIVEN_NAME = 25, STORE_GIVEN_WRAPPED = 57, STORE_GIVEN_BY = 2 * STORE_NAME_MAX + 2 };
struct store_given {
    int64_t id;
    char name[STORE_GIVEN_NAME]; /* of those in use, each has its own */
    char type[8];                /* "aes", "3k3des", "2k3des", "des" */
    char kcv_method[16];
    uint8_t kcv[3];
    uint8_t wrapped[STORE_GIVEN_WRAPPED];
    size_t wrapped_len;       /* 0: erased, since it was forgotten */
    char by[STORE_GIVEN_BY];  /* the two who confirmed its check value */
    int64_t at, forgotten_at; /* forgotten_at 0: it is in use */
};
/* Inserts (id 0) or updates; sets id. */
B_NODISCARD enum b_code store_given_put(struct store *s, struct store_given *k, struct b_err *err);
/* The one in use. B_E_NOT_FOUND. */
B_NODISCARD enum b_code store_given_get(struct store *s, const char *name, struct store_given *ret,
                                        struct b_err *err);
/* Those that were forgotten too, in the order in which they were given. */
B_NODISCARD enum b_code store_given_each(struct store *s,
                                         bool (*fn)(void *ctx, const struct store_given *k),
                                         void *ctx, struct b_err *err);

#endif
