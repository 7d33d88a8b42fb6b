/* A card with an image file. The file is replaced as a whole before an answer leaves. */
#include "card/card.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"

static void fill(void *ctx, uint8_t *p, size_t n)
{
    (void)ctx;
    crypto_random(p, n);
}

static enum b_code fail_errno(struct b_err *err, const char *doing, const char *path)
{
    int e = errno;
    return b_err_set(err, B_E_SYSTEM, (uint32_t)e, "%s %s: %s", doing, path, strerror(e));
}

/* --- the image file --------------------------------------------------------------------------- */

static enum b_code write_all(int fd, const uint8_t *p, size_t n, const char *path,
                             struct b_err *err)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return fail_errno(err, "writing", path);
        p += done;
        n -= (size_t)done;
    }
    return fdatasync(fd) == 0 ? B_OK : fail_errno(err, "writing", path);
}

static enum b_code sync_folder(const char *path, struct b_err *err)
{
    char copy[CARD_PATH_MAX];
    (void)snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "opening the folder of", path);
    int r = fsync(fd);
    close(fd);
    return r == 0 ? B_OK : fail_errno(err, "writing the folder of", path);
}

/* A new file beside the old one, then its name: a reader sees one of them whole. */
static enum b_code replace_file(const char *path, const uint8_t *p, size_t n, struct b_err *err)
{
    char fresh[CARD_PATH_MAX + 8];
    (void)snprintf(fresh, sizeof(fresh), "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, "creating", fresh);
    enum b_code code = write_all(fd, p, n, fresh, err);
    close(fd);
    if (code == B_OK && rename(fresh, path) != 0)
        code = fail_errno(err, "naming", path);
    if (code != B_OK) {
        (void)unlink(fresh);
        return code;
    }
    return sync_folder(path, err);
}

static enum b_code save(struct card *card, struct b_err *err)
{
    if (card->path[0] == '\0')
        return B_OK;
    size_t cap = df_picc_image_max();
    uint8_t *image = malloc(cap);
    if (image == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "saving %s", card->path);
    struct b_wr w = b_wr_from(image, cap);
    df_picc_save(&card->picc, &w);
    b_check(b_wr_ok(&w));
    enum b_code code = replace_file(card->path, image, w.len, err);
    b_wipe(image, cap);
    free(image);
    return code;
}

static enum b_code load(struct card *card, struct b_err *err)
{
    size_t cap = df_picc_image_max() + 1;
    uint8_t *image = malloc(cap);
    if (image == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading %s", card->path);
    enum b_code code = B_OK;
    FILE *f = fopen(card->path, "rbe");
    if (f == NULL) {
        code = fail_errno(err, "opening", card->path);
    } else {
        size_t n = fread(image, 1, cap, f);
        if (!df_picc_load(&card->picc, b_rd_from(image, n)))
            code = b_err_set(err, B_E_BAD_INPUT, 0, "%s is not the image of a card", card->path);
        (void)fclose(f);
    }
    b_wipe(image, cap);
    free(image);
    return code;
}

/* Two programs that both keep one image would undo each other's work. */
static enum b_code lock(struct card *card, struct b_err *err)
{
    char path[CARD_PATH_MAX + 8];
    (void)snprintf(path, sizeof(path), "%s.lock", card->path);
    card->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (card->lock < 0)
        return fail_errno(err, "creating", path);
    if (flock(card->lock, LOCK_EX | LOCK_NB) == 0)
        return B_OK;
    close(card->lock);
    card->lock = -1;
    return b_err_set(err, B_E_DUPLICATE, 0, "%s is on another reader", card->path);
}

static enum b_code set_path(struct card *card, const char *path, struct b_err *err)
{
    memset(card, 0, sizeof(*card));
    card->lock = -1;
    if (path == NULL)
        return B_OK;
    if (strlen(path) >= sizeof(card->path))
        return b_err_set(err, B_E_USAGE, 0, "the path of the card's image is too long");
    memcpy(card->path, path, strlen(path) + 1);
    return lock(card, err);
}

/* --- a card ----------------------------------------------------------------------------------- */

enum b_code card_new(const struct df_personality *personality, const char *path, struct card *ret,
                     struct b_err *err)
{
    enum b_code code = set_path(ret, path, err);
    if (code != B_OK)
        return code;
    struct stat st;
    if (path != NULL && stat(path, &st) == 0)
        code = b_err_set(err, B_E_DUPLICATE, 0, "%s is there already", path);
    else if (!df_picc_blank(&ret->picc, personality))
        code = b_err_set(err, B_E_USAGE, 0, "there is no such card");
    if (code == B_OK)
        code = save(ret, err);
    if (code != B_OK) {
        card_close(ret);
        return code;
    }
    card_power(ret);
    return B_OK;
}

enum b_code card_open(const char *path, struct card *ret, struct b_err *err)
{
    enum b_code code = set_path(ret, path, err);
    if (code == B_OK)
        code = load(ret, err);
    if (code != B_OK) {
        card_close(ret);
        return code;
    }
    card_power(ret);
    return B_OK;
}

void card_close(struct card *card)
{
    if (card->lock >= 0)
        close(card->lock);
    b_wipe(&card->picc, sizeof(card->picc));
    card->lock = -1;
}

void card_power(void *ctx)
{
    struct card *card = ctx;
    df_picc_power(&card->picc, (struct df_random){.fill = fill});
    card->is_torn = false;
}

static void keep_pace(struct b_rd capdu)
{
    uint32_t us = df_picc_typical_us(capdu);
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    (void)nanosleep(&t, NULL);
}

/* FF CA 00 00: the UID; FF CA 01 00: the historical bytes of the ATS. */
static void answer_for_reader(const struct card *card, struct b_rd capdu, struct b_wr *rapdu)
{
    uint8_t ats[20], uid[7];
    b_rd_skip(&capdu, 1);
    uint8_t ins = b_rd_u8(&capdu), p1 = b_rd_u8(&capdu);
    if (ins == 0xCA && p1 == 0x00) {
        b_wr_bytes(rapdu, uid, df_picc_shown_uid(&card->picc, uid));
        b_wr_be16(rapdu, 0x9000);
    } else if (ins == 0xCA && p1 == 0x01) {
        /* TL T0 TA TB TC, then the historical bytes (ISO 14443-4 §5.2) */
        size_t n = df_picc_ats(&card->picc, ats);
        b_wr_bytes(rapdu, ats + 5, n > 5 ? n - 5 : 0);
        b_wr_be16(rapdu, 0x9000);
    } else {
        b_wr_be16(rapdu, 0x6A81);
    }
}

static bool is_tear(struct card *card, struct b_rd capdu)
{
    b_rd_skip(&capdu, 1);
    int ins = b_rd_u8(&capdu);
    if (card->tear.at == 0 || (card->tear.ins >= 0 && card->tear.ins != ins))
        return false;
    return ++card->seen == card->tear.at;
}

bool card_apdu(void *ctx, struct b_rd capdu, struct b_wr *rapdu)
{
    struct card *card = ctx;
    struct b_err err;
    rapdu->len = 0;
    if (card->is_torn)
        return false;
    if (capdu.left >= 4 && capdu.p[0] == 0xFF) {
        answer_for_reader(card, capdu, rapdu);
        return true;
    }
    bool is_last = is_tear(card, capdu);
    if (is_last && !card->tear.after_effect) {
        card->is_torn = true;
        return false;
    }
    if (card->keeps_pace)
        keep_pace(capdu);
    df_picc_step(&card->picc, capdu, rapdu);
    if (df_picc_is_dirty(&card->picc)) {
        /* a card whose memory fails gives no answer */
        if (save(card, &err) != B_OK) {
            (void)fprintf(stderr, "tessere-card: %s\n", err.msg);
            card->is_torn = true;
            return false;
        }
        df_picc_clean(&card->picc);
    }
    card->is_torn = is_last;
    return !is_last;
}
