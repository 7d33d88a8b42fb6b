/* Sentences out of sentence.def, with their blanks filled in. */
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

static const char *const sentences[B_CODE_COUNT][POLICY_LANGUAGE_COUNT] = {
#define POLICY_SENTENCE(code, french, english) \
    [code] = {[POLICY_FRENCH] = (french), [POLICY_ENGLISH] = (english)},
#include "policy/sentence.def"
#undef POLICY_SENTENCE
};
static const char *const others[POLICY_LANGUAGE_COUNT] = {
    [POLICY_FRENCH] = "Cela n'a pas marché. Reposez le badge ; si cela revient, prévenez "
                      "l'informatique.",
    [POLICY_ENGLISH] = "That did not work. Tap again; if it happens again, tell IT.",
};

/* Of a wait of unknown length. */
static const char *const moments[POLICY_LANGUAGE_COUNT] = {
    [POLICY_FRENCH] = "un instant",
    [POLICY_ENGLISH] = "a moment",
};

/* Whole minutes from two on, rounded up: who comes back then is not refused again. */
static void spell_wait(const struct policy_words *words, enum policy_language l,
                       char out[static 24])
{
    uint32_t s = words->wait_seconds;
    if (s == 0)
        (void)snprintf(out, 24, "%s", moments[l]);
    else if (s < 120)
        (void)snprintf(out, 24, "%u s", s);
    else
        (void)snprintf(out, 24, "%u min", s / 60 + (s % 60 != 0));
}

/* A name is shown on a line: no control characters in it. */
static void add(struct b_wr *w, const char *text)
{
    for (; *text != '\0'; text++) {
        bool is_control = (unsigned char)*text < 0x20 || *text == 0x7F;
        b_wr_u8(w, is_control ? ' ' : (uint8_t)*text);
    }
}

/* Without the bytes of a character (RFC 3629) that is not there whole. */
static size_t whole(const char *text, size_t n)
{
    size_t start = n;
    while (start > 0 && ((uint8_t)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return n;
    uint8_t lead = (uint8_t)text[start - 1];
    size_t needs = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return n - start + 1 < needs ? start - 1 : n;
}

static void fill(const char *sentence, const char *name, const char *wait, struct b_wr *w)
{
    while (*sentence != '\0') {
        if (strncmp(sentence, "{name}", 6) == 0) {
            if (name[0] == '\0' && w->len > 0 && w->p[w->len - 1] == ' ')
                w->len--;
            add(w, name);
            sentence += 6;
        } else if (strncmp(sentence, "{wait}", 6) == 0) {
            add(w, wait);
            sentence += 6;
        } else {
            b_wr_u8(w, (uint8_t)*sentence++);
        }
    }
}

void policy_sentence(enum b_code code, const struct policy_words *words, char *ret, size_t cap)
{
    enum policy_language l =
        (size_t)words->language < POLICY_LANGUAGE_COUNT ? words->language : POLICY_FRENCH;
    const char *sentence = (size_t)code < B_CODE_COUNT ? sentences[code][l] : NULL;
    char wait[24];
    b_check(cap > 0);
    struct b_wr w = b_wr_from(ret, cap - 1);
    spell_wait(words, l, wait);
    fill(sentence != NULL ? sentence : others[l], words->name != NULL ? words->name : "", wait, &w);
    ret[b_wr_ok(&w) ? w.len : whole(ret, w.len)] = '\0';
}
