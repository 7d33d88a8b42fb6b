/* backup.yaml: for whom copies are sealed, where they go, how many are kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "config/yaml.h"
#include "service/backup.h"

enum { KEEP = 14, FULL_DAYS = 7, BACKUP_HOURS = 26, DRILL_DAYS = 90 };

struct file {
    char *recipients, *to, *copy_to;
    unsigned *keep, *full_days, *backup_hours, *drill_days;
};

static const cyaml_schema_field_t fields[] = {
    CYAML_FIELD_STRING_PTR("recipients", CYAML_FLAG_POINTER, struct file, recipients, 1,
                           SERVICE_RECIPIENTS_TEXT - 1),
    CYAML_FIELD_STRING_PTR("to", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, to, 1,
                           SERVICE_COPY_PATH - 1),
    CYAML_FIELD_STRING_PTR("copy-to", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                           copy_to, 1, SERVICE_COPY_PATH - 1),
    CYAML_FIELD_UINT_PTR("keep", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file, keep),
    CYAML_FIELD_UINT_PTR("full-days", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         full_days),
    CYAML_FIELD_UINT_PTR("backup-hours", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         backup_hours),
    CYAML_FIELD_UINT_PTR("drill-days", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file,
                         drill_days),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file, fields)};

static void take_number(unsigned *to, const unsigned *from)
{
    if (from != NULL)
        *to = *from;
}

enum b_code service_copy_config_read(const char *home, struct service_copy_config *ret,
                                     struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    struct file *f = NULL;
    *ret = (struct service_copy_config){.keep = KEEP,
                                        .full_days = FULL_DAYS,
                                        .backup_hours = BACKUP_HOURS,
                                        .drill_days = DRILL_DAYS};
    (void)snprintf(ret->dir, sizeof(ret->dir), "%s/backup", home);
    (void)snprintf(path, sizeof(path), "%s/backup.yaml", home);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return b_err_set(err, B_E_NOT_FOUND, 0, "%s", path);
    enum b_code r = config_load_file(path, &schema, (cyaml_data_t **)&f, err);
    if (r != B_OK)
        return r;
    (void)snprintf(ret->recipients, sizeof(ret->recipients), "%s", f->recipients);
    if (f->to != NULL)
        (void)snprintf(ret->dir, sizeof(ret->dir), "%s", f->to);
    ret->is_elsewhere = f->to != NULL;
    (void)snprintf(ret->second, sizeof(ret->second), "%s", f->copy_to != NULL ? f->copy_to : "");
    take_number(&ret->keep, f->keep);
    take_number(&ret->full_days, f->full_days);
    take_number(&ret->backup_hours, f->backup_hours);
    take_number(&ret->drill_days, f->drill_days);
    config_free(&schema, f);
    return B_OK;
}

enum b_code service_copy_config_write(const char *home, struct service_copy_config *config,
                                      struct b_err *err)
{
    char path[SERVICE_COPY_PATH];
    struct file f = {.recipients = config->recipients,
                     .to = config->is_elsewhere ? config->dir : NULL,
                     .copy_to = config->second[0] != '\0' ? config->second : NULL,
                     .keep = &config->keep,
                     .full_days = &config->full_days,
                     .backup_hours = &config->backup_hours,
                     .drill_days = &config->drill_days};
    (void)snprintf(path, sizeof(path), "%s/backup.yaml", home);
    return config_save(path, &schema, &f, 0600, err);
}

enum b_code service_recipients_read(const char *list, struct service_recipient *ret,
                                    size_t *ret_count, struct b_err *err)
{
    *ret_count = 0;
    for (const char *at = list; *at != '\0' && *ret_count < SERVICE_RECIPIENTS_MAX;) {
        struct service_recipient *to = &ret[*ret_count];
        size_t n = strcspn(at, ",");
        size_t name = strcspn(at, "=,");
        if (name == 0 || name >= n || name >= sizeof(to->name) ||
            n - name - 1 >= sizeof(to->certificate))
            break;
        memcpy(to->name, at, name);
        to->name[name] = '\0';
        memcpy(to->certificate, at + name + 1, n - name - 1);
        to->certificate[n - name - 1] = '\0';
        at += n + (at[n] == ',');
        (*ret_count)++;
        if (*at == '\0')
            return B_OK;
    }
    return b_err_set(err, B_E_USAGE, 0, "1 to %d recipients: NAME=CERTIFICATE.pem, with commas",
                     SERVICE_RECIPIENTS_MAX);
}
