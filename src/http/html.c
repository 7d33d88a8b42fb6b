#include "http/html.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *french, *english;
} words[] = {
#define WORD(name, french, english) {french, english},
#include "http/words.def"
#undef WORD
};

const char *html_word(enum html_word w, bool is_french)
{
    return is_french ? words[w].french : words[w].english;
}

void html_put(struct html *h, const char *markup)
{
    b_wr_bytes(&h->w, markup, strlen(markup));
}

void html_text(struct html *h, const char *text)
{
    static const struct {
        char c;
        const char *escaped;
    } special[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (const char *c = text; *c != '\0'; c++) {
        size_t i = 0;
        while (i < B_COUNT(special) && special[i].c != *c)
            i++;
        if (i < B_COUNT(special))
            html_put(h, special[i].escaped);
        else
            b_wr_u8(&h->w, (uint8_t)*c);
    }
}

void html_say(struct html *h, enum html_word w)
{
    html_text(h, html_word(w, h->is_french));
}

void html_say_of(struct html *h, enum html_word w, const char *name)
{
    const char *text = html_word(w, h->is_french);
    const char *at = strstr(text, "%s");
    b_check(at != NULL);
    b_wr_bytes(&h->w, text, (size_t)(at - text)); /* of ours: nothing to escape */
    html_put(h, "<b>");
    html_text(h, name);
    html_put(h, "</b>");
    html_text(h, at + 2);
}

void html_hidden(struct html *h, const char *name, const char *value)
{
    html_put(h, "<input type=\"hidden\" name=\"");
    html_put(h, name);
    html_put(h, "\" value=\"");
    html_text(h, value);
    html_put(h, "\">");
}

void html_form(struct html *h, const char *path, const char *id)
{
    html_put(h, "<form method=\"post\" action=\"");
    html_put(h, path);
    html_put(h, "\" id=\"");
    html_put(h, id);
    html_put(h, "\" autocomplete=\"off\">");
}

void html_button(struct html *h, enum html_word w, const char *kind)
{
    html_put(h, "<button type=\"submit\" class=\"");
    html_put(h, kind);
    html_put(h, "\">");
    html_say(h, w);
    html_put(h, "</button></form>");
}

struct html *html_begin(bool is_french, enum html_word title, const char *of, const char *head)
{
    struct html *h = malloc(sizeof(*h));
    b_check(h != NULL);
    h->w = b_wr_from(h->text, sizeof(h->text) - 1);
    h->is_french = is_french;
    html_put(h,
             is_french ? "<!doctype html><html lang=\"fr\">" : "<!doctype html><html lang=\"en\">");
    html_put(h, "<head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
                "<meta name=\"color-scheme\" content=\"light dark\">"
                "<link rel=\"stylesheet\" href=\"/signon/style.css\"><title>");
    html_say(h, of != NULL ? WORD_SIGN_IN : title);
    html_put(h, "</title>");
    html_put(h, head);
    html_put(h, "</head><body><main><h1>");
    if (of != NULL)
        html_say_of(h, title, of);
    else
        html_say(h, title);
    html_put(h, "</h1>");
    return h;
}
