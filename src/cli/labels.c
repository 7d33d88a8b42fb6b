#include "cli/labels.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/file.h"

enum { LABELS_MAX = 512 * 1024 * 1024 };

static const char heading[] = "badge,uid,serial,ref,name,at\n";

static enum b_code failed(const struct cli_labels *l, struct b_err *err)
{
    return b_err_set(err, B_E_SYSTEM, (uint32_t)errno, "%s: %s", l->path, strerror(errno));
}

static int compare(const void *a, const void *b)
{
    const int64_t *one = a, *two = b;
    return (*one > *two) - (*one < *two);
}

bool cli_labels_has(const struct cli_labels *l, int64_t badge_id)
{
    return l->count > 0 &&
           bsearch(&badge_id, l->badges, l->count, sizeof(*l->badges), compare) != NULL;
}

/* The badges of whole lines after the heading. */
static enum b_code read_badges(struct cli_labels *l, const char *text, size_t n, struct b_err *err)
{
    static struct b_csv_record record;
    struct b_csv csv;
    size_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    l->badges = calloc(lines + 1, sizeof(*l->badges));
    if (l->badges == NULL)
        return b_err_set(err, B_E_NO_MEMORY, 0, "reading %s", l->path);
    b_csv_open(&csv, text, n, B_CSV_UTF8);
    enum b_code r = b_csv_next(&csv, &record, err);
    bool is_heading = true;
    for (; r == B_OK; r = b_csv_next(&csv, &record, err), is_heading = false) {
        char *end = NULL;
        int64_t id = is_heading ? 0 : strtoll(record.fields[0], &end, 10);
        if (is_heading ? strcmp(record.fields[0], "badge") != 0 : id <= 0 || *end != '\0')
            return b_err_set(err, B_E_BAD_INPUT, (uint32_t)record.line,
                             "%s:%zu: no list of badges that were made", l->path, record.line);
        if (!is_heading)
            l->badges[l->count++] = id;
    }
    qsort(l->badges, l->count, sizeof(*l->badges), compare);
    return r == B_E_NOT_FOUND ? B_OK : r;
}

static enum b_code put(struct cli_labels *l, const char *line, size_t n, struct b_err *err)
{
    bool is_kept = write(l->fd, line, n) == (ssize_t)n && fdatasync(l->fd) == 0;
    return is_kept ? B_OK : failed(l, err);
}

enum b_code cli_labels_open(const char *path, struct cli_labels *ret, struct b_err *err)
{
    char *text = NULL;
    size_t n = 0, whole = 0;
    *ret = (struct cli_labels){.path = path,
                               .fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)};
    if (ret->fd < 0)
        return failed(ret, err);
    enum b_code r = b_file_read(path, LABELS_MAX, &text, &n, err);
    for (size_t i = 0; r == B_OK && i < n; i++)
        whole = text[i] == '\n' ? i + 1 : whole;
    if (r == B_OK)
        r = read_badges(ret, text, whole, err);
    if (r == B_OK && whole < n && ftruncate(ret->fd, (off_t)whole) != 0)
        r = failed(ret, err);
    if (r == B_OK && whole == 0)
        r = put(ret, heading, sizeof(heading) - 1, err);
    if (text != NULL)
        b_wipe(text, n);
    free(text);
    return r;
}

void cli_labels_close(struct cli_labels *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    free(l->badges);
    *l = (struct cli_labels){.fd = -1};
}

enum b_code cli_labels_add(struct cli_labels *l, const struct store_badge *b, struct b_err *err)
{
    char line[1024], uid[15], at[24], start[128];
    struct b_wr w = b_wr_from(line, sizeof(line));
    time_t t = (time_t)b->changed_at;
    struct tm tm;
    b_hex(uid, b->uid, sizeof(b->uid));
    b_check(gmtime_r(&t, &tm) != NULL && strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
    int n = snprintf(start, sizeof(start), "%lld,%s,%.*s,", (long long)b->id, uid,
                     (int)b->serial_len, (const char *)b->serial);
    b_wr_bytes(&w, start, (size_t)n);
    b_csv_put(&w, b->holder_ref);
    b_wr_u8(&w, ',');
    b_csv_put(&w, b->holder_name);
    b_wr_u8(&w, ',');
    b_wr_bytes(&w, at, strlen(at));
    b_wr_u8(&w, '\n');
    b_check(b_wr_ok(&w));
    return put(l, line, w.len, err);
}
