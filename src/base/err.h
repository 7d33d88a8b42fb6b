/*
 * Errors. A function that can fail returns enum b_code (B_OK is 0) and, on failure only, fills the
 * caller's struct b_err: what was being done, to what. The remedy, the exit status and the stable
 * name stand once per code in err.def. Texts never contain a secret.
 */
#ifndef TESSERE_BASE_ERR_H
#define TESSERE_BASE_ERR_H

#include <assert.h>
#include <stdint.h>

#include "base/attr.h"

enum b_code {
    B_OK = 0,
#define B_ERR(name, exit_status, text, remedy) B_E_##name,
#include "base/err.def"
#undef B_ERR
    B_CODE_COUNT
};

struct b_err {
    enum b_code code;
    uint32_t aux; /* the cause's own number: a DESFire status, a CKR, an errno, an SQLite code */
    char msg[320];
};

/* Sets *err (which may be NULL) and returns code, so that `return b_err_set(...)` reads well. The
 * message is UTF-8, whatever is put into it. */
enum b_code b_err_set(struct b_err *err, enum b_code code, uint32_t aux, const char *fmt, ...)
    B_PRINTF(4, 5);
/* Prefixes the context of a caller: "encoding badge 04…: <old message>". Returns the code. */
enum b_code b_err_wrap(struct b_err *err, const char *fmt, ...) B_PRINTF(2, 3);

/* A message that another process made, in English: what is a text of ours in it, whole or up to a
 * colon, is said in the language below. Returns the code. */
enum b_code b_err_hear(struct b_err *err, enum b_code code, uint32_t aux, const char *text);

/*
 * The language of messages. They are English where they stand, in a log and for a program. What
 * speaks to a person says once, before its first thread, how to find a text in their language
 * (NULL: English again): formats are looked up by b_err_set and b_err_wrap, words that go into them
 * by b_err_word. script/translate finds both; N_ marks a text that it would not find.
 */
void b_err_speak(const char *(*translate)(const char *text));
/* A word or clause of ours in that language, `text` itself where it has none; it lives as long as
 * the program, or as `text`. */
const char *b_err_word(const char *text) B_FORMAT_ARG(1);
#define N_(text) text

/* Stable lower-case name ("token-locked"), one English sentence, the remedy, the exit status. */
const char *b_code_name(enum b_code code);
const char *b_code_text(enum b_code code);
const char *b_code_remedy(enum b_code code);
int b_code_exit(enum b_code code);
/* The code of a stable name; `otherwise` where no code has it. */
enum b_code b_code_of(const char *name, enum b_code otherwise);

/* A broken invariant of our own, not a bad message: says where and aborts. Stays on in release. */
#define b_check(x) ((x) ? (void)0 : b_check_failed(#x, __FILE__, __LINE__))
B_NORETURN void b_check_failed(const char *what, const char *file, int line);

#endif
