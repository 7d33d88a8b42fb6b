/* tessere trace: a recorded exchange, as an expert would write it. */
#include <string.h>

#include "cli/cli.h"

enum b_code cli_trace(struct cli *c, struct b_err *err)
{
    static char text[1 << 20];
    size_t n = 0;
    unsigned line_no = 0;
    enum b_code r = service_read_file(c->operand, text, sizeof(text) - 1, &n, err);
    if (r != B_OK)
        return r;
    text[n] = '\0';
    df_trace_init(&c->trace, false);
    json_t *lines = json_array();
    char *rest = text;
    for (char *one = strsep(&rest, "\n"); one != NULL; one = strsep(&rest, "\n")) {
        char line[512];
        uint8_t bytes[300];
        struct b_wr w = b_wr_from(bytes, sizeof(bytes));
        line_no++;
        one[strcspn(one, "\r")] = '\0';
        bool is_exchange = one[0] == '>' || one[0] == '<';
        if (is_exchange && !b_unhex(&w, one + 1)) {
            json_decref(lines);
            return b_err_set(err, B_E_BAD_INPUT, line_no,
                             _("%s:%u: bytes in hexadecimal were expected"), c->operand, line_no);
        }
        if (one[0] == '>')
            df_trace_command(&c->trace, b_wr_reader(&w), line, sizeof(line));
        else if (one[0] == '<')
            df_trace_answer(&c->trace, b_wr_reader(&w), line, sizeof(line));
        else
            (void)snprintf(line, sizeof(line), "%.500s", one);
        cli_say(c, CLI_PLAIN, "%s\n", line);
        (void)json_array_append_new(lines, json_string(line));
    }
    if (c->out != NULL)
        (void)json_object_set(c->out, "lines", lines);
    json_decref(lines);
    return B_OK;
}
