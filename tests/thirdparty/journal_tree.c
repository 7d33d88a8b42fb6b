/*
 * Our half of the journal's trial by golang.org/x/mod (journal_tree.go):
 *
 *   journal_tree write DIR    a journal of 70,000 entries as tiles, and below DIR/<size>
 * checkpoints of earlier sizes with inclusion and consistency proofs journal_tree read DIR verifies
 * what the Go program signed and proved, below DIR/go
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/sign.h"
#include "journal/journal.h"

enum { LAST = 70000, PATH_CAP = 1024 };

/* Every pair of the first sizes, and those where trees and tiles change their shape. */
static const uint64_t sizes[] = {1,  2,  3,  4,  5,  6,  7,   8,   9,   10,   11,   12,    13,
                                 14, 15, 16, 17, 18, 31, 255, 256, 257, 1000, 4097, 65536, LAST};

static uint8_t stored[2 * LAST][JOURNAL_HASH];
static uint64_t count;
static struct journal_edge edges[B_COUNT(sizes)];
static const uint8_t seed[32] = {0x54, 0x65, 0x73, 0x73, 0x65, 0x72, 0x65};
static struct journal_signer signer = {.name = "tessere/750712184",
                                       .algorithm = JOURNAL_ALGORITHM_ED25519};
static struct journal_signer witness = {.name = "temoin/ght-sud",
                                        .algorithm = JOURNAL_ALGORITHM_COSIGNATURE};
static char text[JOURNAL_PROOF_TEXT_MAX];

static enum b_code get(void *ctx, uint64_t id, uint8_t out[static JOURNAL_HASH], struct b_err *err)
{
    (void)ctx, (void)err;
    b_check(id < count);
    memcpy(out, stored[id], JOURNAL_HASH);
    return B_OK;
}
static const struct journal_reader reader = {get, NULL};

static size_t entry_of(uint64_t index, char out[static 64])
{
    return (size_t)snprintf(out, 64, "{\"at\":%" PRIu64 ",\"kind\":\"tap\"}", index);
}

/* --- writing -----------------------------------------------------------------------------------
 */

static void put(const char *dir, const char *name, const void *p, size_t n)
{
    char path[PATH_CAP];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        b_check(mkdir(path, 0777) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *f = fopen(path, "we");
    b_check(f != NULL && fwrite(p, 1, n, f) == n && fclose(f) == 0);
}

static void grow(void)
{
    static struct journal_edge edge;
    size_t next = 0;
    for (uint64_t i = 0; i < LAST; i++) {
        char entry[64];
        uint8_t leaf[JOURNAL_HASH];
        journal_leaf_hash(entry, entry_of(i, entry), leaf);
        count += journal_edge_append(&edge, leaf, stored + count);
        if (edge.size == sizes[next])
            edges[next++] = edge;
    }
    b_check(next == B_COUNT(sizes) && count == journal_hash_count(LAST));
}

static void sign(size_t at, char note[static JOURNAL_NOTE_MAX + 1])
{
    struct journal_checkpoint c = {.size = sizes[at]};
    uint8_t signature[64];
    memcpy(c.origin, signer.name, sizeof(c.origin));
    journal_edge_root(&edges[at], c.root);
    b_check(journal_checkpoint_print(&c, note, JOURNAL_NOTE_MAX));
    crypto_ed25519_sign(seed, note, strlen(note), signature);
    b_check(journal_note_add(note, JOURNAL_NOTE_MAX, &signer, signature, sizeof(signature)));
    b_check(journal_witness_cosign(witness.name, seed, 1795464000, note, JOURNAL_NOTE_MAX));
}

static void put_inclusion(const char *dir, size_t at, uint64_t index)
{
    static struct journal_inclusion p;
    char name[64];
    struct b_err err;
    p.index = index;
    p.extra_len = entry_of(index, (char *)p.extra);
    sign(at, p.note);
    b_check(journal_prove_inclusion(index, sizes[at], reader, &p.proof, &err) == B_OK);
    b_check(journal_inclusion_print(&p, text, sizeof(text)));
    (void)snprintf(name, sizeof(name), "%" PRIu64 "/%" PRIu64 ".tlog-proof", sizes[at], index);
    put(dir, name, text, strlen(text));
}

static void put_growth(const char *dir, size_t from, size_t at)
{
    static struct journal_growth g;
    char name[64];
    struct b_err err;
    g.old = sizes[from];
    sign(at, g.note);
    b_check(journal_prove_consistency(g.old, sizes[at], reader, &g.proof, &err) == B_OK);
    b_check(journal_growth_print(&g, text, sizeof(text)));
    (void)snprintf(name, sizeof(name), "%" PRIu64 "/from-%" PRIu64, sizes[at], g.old);
    put(dir, name, text, strlen(text));
}

static void put_proofs(const char *dir, size_t at)
{
    uint64_t size = sizes[at];
    char name[64];
    sign(at, text);
    (void)snprintf(name, sizeof(name), "%" PRIu64 "/checkpoint", size);
    put(dir, name, text, strlen(text));
    for (uint64_t i = 0; i < size && i < 20; i++)
        put_inclusion(dir, at, i);
    put_inclusion(dir, at, size / 2);
    put_inclusion(dir, at, size - 1);
    for (size_t from = 0; from <= at; from++)
        put_growth(dir, from, at);
}

static void put_tiles(const char *dir)
{
    static uint8_t hashes[JOURNAL_TILE_WIDTH][JOURNAL_HASH], bundle[JOURNAL_TILE_WIDTH * 66];
    char path[JOURNAL_TILE_PATH_MAX];
    struct b_err err;
    for (unsigned level = 0; level < JOURNAL_TILE_LEVELS; level++) {
        for (uint64_t i = 0; i < journal_tile_count(level, LAST); i++) {
            struct journal_tile tile = journal_tile_at(level, i, LAST);
            b_check(journal_tile_read(&tile, reader, hashes, &err) == B_OK);
            journal_tile_path(&tile, path);
            put(dir, path, hashes, tile.width * sizeof(hashes[0]));
        }
    }
    for (uint64_t i = 0; i < journal_tile_count(0, LAST); i++) {
        struct journal_tile tile = journal_tile_at(0, i, LAST);
        struct b_wr w = b_wr_from(bundle, sizeof(bundle));
        for (unsigned k = 0; k < tile.width; k++) {
            char entry[64];
            size_t n = entry_of(i * JOURNAL_TILE_WIDTH + k, entry);
            b_check(journal_bundle_add(&w, entry, n));
        }
        tile.is_entries = true;
        journal_tile_path(&tile, path);
        put(dir, path, bundle, w.len);
    }
}

static int write_all(const char *dir)
{
    char key[JOURNAL_NAME_MAX + 64];
    crypto_ed25519_public(seed, signer.key);
    crypto_ed25519_public(seed, witness.key);
    grow();
    b_check(journal_signer_print(&signer, key, sizeof(key)));
    put(dir, "key", key, strlen(key));
    b_check(journal_signer_print(&witness, key, sizeof(key)));
    put(dir, "witness-key", key, strlen(key));
    for (size_t at = 0; at < B_COUNT(sizes); at++)
        put_proofs(dir, at);
    put_tiles(dir);
    return 0;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static size_t load(const char *dir, const char *name)
{
    char path[PATH_CAP];
    (void)snprintf(path, sizeof(path), "%s/go/%s", dir, name);
    FILE *f = fopen(path, "re");
    b_check(f != NULL);
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    return n;
}

static bool is_proof_right(const char *dir, const char *name)
{
    static struct journal_inclusion p;
    struct b_err err = {.msg = "not in the form"};
    bool is_right = journal_inclusion_parse(text, load(dir, name), &p) &&
                    journal_inclusion_verify(&p, &signer, p.extra, p.extra_len, &err) == B_OK;
    if (!is_right)
        printf("# %s: %s\n", name, err.msg);
    return is_right;
}

/* "<old>-<size>.growth", after the checkpoint "<old>". */
static bool is_growth_right(const char *dir, const char *name)
{
    static struct journal_growth g;
    struct journal_witness w;
    struct b_err err = {.msg = "not in the form"};
    char old[64] = "";
    memcpy(old, name, strcspn(name, "-"));
    journal_witness_init(&w, &signer);
    bool is_right = journal_witness_load(&w, text, load(dir, old), &err) == B_OK &&
                    journal_growth_parse(text, load(dir, name), &g) &&
                    journal_witness_step(&w, &g, &err) == B_OK;
    if (!is_right)
        printf("# %s: %s\n", name, err.msg);
    return is_right;
}

static int read_all(const char *dir)
{
    char path[PATH_CAP];
    unsigned inclusions = 0, growths = 0, wrong = 0;
    (void)snprintf(path, sizeof(path), "%s/go", dir);
    (void)load(dir, "key");
    bool is_key = journal_signer_parse(text, &signer);
    printf("%sok 8 - we read the key that x/mod made\n", is_key ? "" : "not ");
    DIR *d = opendir(path);
    b_check(d != NULL);
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (strstr(e->d_name, ".tlog-proof") != NULL) {
            inclusions++;
            wrong += !is_proof_right(dir, e->d_name);
        } else if (strstr(e->d_name, ".growth") != NULL) {
            growths++;
            wrong += !is_growth_right(dir, e->d_name);
        }
    }
    (void)closedir(d);
    bool is_right = wrong == 0 && inclusions > 0 && growths > 0;
    printf(
        "%sok 9 - x/mod's %u checkpoints with inclusion proofs and %u with consistency proofs hold"
        " here\n",
        is_right ? "" : "not ", inclusions, growths);
    return is_key && is_right ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "write") == 0)
        return write_all(argv[2]);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_all(argv[2]);
    return 2;
}
