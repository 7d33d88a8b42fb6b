/* What comes from the agent's socket into other people's programs: an assertion that no key of ours
 * has signed is never believed, and an answer's texts show as they are written. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "pam/pam.h"

static const char set[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k1\","
                          "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","
                          "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}";

static void try_assertion(const char *text)
{
    static json_t *keys;
    const struct pam_wanted w = {.challenge = "c", .station = "s", .now = 1800000000};
    char subject[PAM_SUBJECT_MAX + 1] = "";
    struct b_err err = {0};
    if (keys == NULL)
        keys = json_loads(set, 0, NULL);
    b_check(pam_assertion_check(text, keys, &w, subject, &err) == B_E_ASSERTION_BAD);
    b_check(subject[0] == '\0' && err.msg[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    b_check(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    try_assertion(text);
    json_t *answer = pam_answer_parse(text, size);
    if (answer != NULL) {
        b_check(json_is_string(json_object_get(answer, "answer")));
        b_check(b_text_is_name(pam_answer_text(answer, "sentence")) ||
                pam_answer_text(answer, "sentence")[0] == '\0');
        try_assertion(json_string_value(json_object_get(answer, "answer")));
    }
    json_decref(answer);
    free(text);
    return 0;
}
