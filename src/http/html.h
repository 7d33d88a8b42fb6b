/* Text of pages: what is ours as it is, what is others' escaped, words in two languages. */
#ifndef TESSERE_HTTP_HTML_H
#define TESSERE_HTTP_HTML_H

#include "base/base.h"

enum html_word {
#define WORD(name, french, english) WORD_##name,
#include "http/words.def"
#undef WORD
    WORD_COUNT
};
const char *html_word(enum html_word w, bool is_french);

enum { HTML_MAX = 32768 };
struct html {
    struct b_wr w;
    bool is_french;
    char text[HTML_MAX];
};
/* A page up to its heading, to be given to free; b_check when there is no memory. of: what stands
 * for the word's %s, or NULL. head: markup of ours for the page's head, or "". */
struct html *html_begin(bool is_french, enum html_word title, const char *of, const char *head);
void html_put(struct html *h, const char *markup);
void html_text(struct html *h, const char *text);
void html_say(struct html *h, enum html_word w);
/* The word with its one %s. */
void html_say_of(struct html *h, enum html_word w, const char *name);
/* <input type=hidden>. */
void html_hidden(struct html *h, const char *name, const char *value);
/* <form method=post action=path>, and its end with a button. */
void html_form(struct html *h, const char *path, const char *id);
void html_button(struct html *h, enum html_word w, const char *kind);

#endif
