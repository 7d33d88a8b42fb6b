/*
 * A pull under way: pull.c has the people, pull_groups.c their groups.
 */
#ifndef TESSERE_CLI_PULL_H
#define TESSERE_CLI_PULL_H

#include "cli/cli.h"
#include "service/directory.h"
#include "service/directory_config.h"

struct pull {
    struct cli *cli;
    struct service_directory_config config;
    json_t *people;  /* external id: a person as SCIM has them */
    json_t *names;   /* userName: true, to find two of one name */
    json_t *numbers; /* staff number: external id */
    json_t *ids;     /* external id: "u12" */
    json_t *gone;    /* those whom the directory does not name: "id" and "who" they are */
    json_t *groups;  /* distinguished name: a group, see pull_group */
    json_t
        *teams; /* groups of earlier pulls: external id: "g3", until one of now is found to be it */
    long long joined, changed, left, problems;
    enum b_code code;
    struct b_err *err;
};

/* What is said of a person or a group. */
void pull_tell(struct pull *k, const char *sign, const char *who, const char *what);
/* Whether to go on: one whose data cannot be taken does not keep the others from theirs. */
bool pull_goes_on(struct pull *k, const char *who, enum b_code r, const struct b_err *err);

/* The group of this distinguished name, known from now on; borrowed. own: external ids of the
 * people who are in it themselves; all: those in groups within it too; up: what it is in; id: what
 * it is known by, "" until it was looked up. */
json_t *pull_group(struct pull *k, const char *dn);
/* Looks up every group, and what those are in, and so on. */
B_NODISCARD enum b_code pull_read_groups(struct pull *k, struct ldap_dir *dir, struct b_err *err);
/* Whether to go on. */
bool pull_put_groups(struct pull *k);

#endif
