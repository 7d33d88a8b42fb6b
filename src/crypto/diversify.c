#include "crypto/crypto.h"

#include <string.h>

struct crypto_div_profile {
    const char *id;
    const char *pieces;
};

static const struct crypto_div_profile profiles[] = {
#define CRYPTO_DIV(id, pieces) {id, pieces},
#include "crypto/diversify.def"
};

const struct crypto_div_profile *crypto_div_find(const char *id)
{
    for (size_t i = 0; i < B_COUNT(profiles); i++) {
        if (strcmp(profiles[i].id, id) == 0)
            return &profiles[i];
    }
    return NULL;
}

const struct crypto_div_profile *crypto_div_at(size_t i)
{
    return i < B_COUNT(profiles) ? &profiles[i] : NULL;
}

const char *crypto_div_id(const struct crypto_div_profile *profile)
{
    return profile->id;
}

bool crypto_div_uses_uid(const struct crypto_div_profile *profile)
{
    return strpbrk(profile->pieces, "uU") != NULL;
}

bool crypto_div_uses_serial(const struct crypto_div_profile *profile)
{
    return strchr(profile->pieces, 'n') != NULL;
}

static void put_reversed(struct b_wr *w, const uint8_t *p, size_t n)
{
    while (n > 0)
        b_wr_u8(w, p[--n]);
}

static void put_piece(char piece, const struct crypto_div_facts *f, struct b_wr *w)
{
    switch (piece) {
    case 'u':
        b_wr_bytes(w, f->uid, f->uid_len);
        break;
    case 'U':
        put_reversed(w, f->uid, f->uid_len);
        break;
    case 'a':
        b_wr_bytes(w, f->aid, sizeof(f->aid));
        break;
    case 'A':
        put_reversed(w, f->aid, sizeof(f->aid));
        break;
    case 'k':
        b_wr_u8(w, f->key_no);
        break;
    case 's':
        b_wr_bytes(w, f->system, f->system_len);
        break;
    case 'n':
        b_wr_bytes(w, f->serial, f->serial_len);
        break;
    default:
        b_check(false); /* a letter that diversify.def does not explain */
    }
}

enum b_code crypto_div_input(const struct crypto_div_profile *profile,
                             const struct crypto_div_facts *facts, struct b_wr *w,
                             struct b_err *err)
{
    if (crypto_div_uses_uid(profile) && facts->uid_len == 4)
        return b_err_set(err, B_E_RANDOM_UID, 0,
                         "diversification profile %s needs the true UID, and the card shows a "
                         "4-byte one",
                         profile->id);
    if (crypto_div_uses_uid(profile) && facts->uid_len != 7)
        return b_err_set(err, B_E_KEY_LENGTH, facts->uid_len,
                         "diversification profile %s needs a UID of 7 bytes, not %u", profile->id,
                         facts->uid_len);
    if (crypto_div_uses_serial(profile) &&
        (facts->serial_len == 0 || facts->serial_len > sizeof(facts->serial)))
        return b_err_set(err, B_E_KEY_LENGTH, 0,
                         "diversification profile %s needs the badge's serial", profile->id);
    if (facts->system_len > sizeof(facts->system))
        return b_err_set(err, B_E_KEY_LENGTH, 0, "the system identifier is too long");
    uint8_t room[CRYPTO_DIV_INPUT_MAX + 1];
    struct b_wr input = b_wr_from(room, sizeof(room));
    for (const char *piece = profile->pieces; *piece != '\0'; piece++)
        put_piece(*piece, facts, &input);
    if (!b_wr_ok(&input) || input.len == 0 || input.len > CRYPTO_DIV_INPUT_MAX)
        return b_err_set(err, B_E_KEY_LENGTH, 0,
                         "diversification profile %s makes more than %d bytes: shorten the system "
                         "identifier or the serial",
                         profile->id, CRYPTO_DIV_INPUT_MAX);
    b_wr_bytes(w, room, input.len);
    return b_wr_ok(w) ? B_OK : b_err_set(err, B_E_INTERNAL, 0, "no room for the input");
}
