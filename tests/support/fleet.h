/*
 * A hospital for load and faults: a home made by the real programs, badges that are software cards
 * in this process, stations with certificates, and the real server as a child process. For
 * benchmarks and campaigns; what fails ends the program with a message.
 */
#ifndef TESSERE_TESTS_FLEET_H
#define TESSERE_TESTS_FLEET_H

#include "agent/agent.h"
#include "desfire/picc.h"
#include "service/service.h"

struct fleet_card {
    struct df_picc picc;
    struct channel_card seen;
};

struct fleet {
    char home[256];
    char url[64];
    int server_pid, server_log;
    size_t card_count, station_count;
    struct fleet_card *cards;
    struct agent_home *stations;
    struct agent_home admin; /* a person who may everything, for the API */
};

void fleet_need(bool is_good, const char *what, const char *why);
/* programs: the folder in which tessere lies, of a build tree or installed. */
void fleet_make(struct fleet *f, const char *dir, const char *tessere, size_t cards,
                size_t stations);
/* Badges that others encoded in place of the fleet's own, EV1, EV2 and EV3 in turn, with one key
 * for all of them; server.yaml and a list that was taken in say so, before the server is started.
 */
void fleet_make_foreign(struct fleet *f, const char *tessere, size_t cards);
/* Adds badges that have no card, fast and without the journal: for measuring size alone. */
void fleet_fill(const struct fleet *f, size_t badges);
void fleet_start(struct fleet *f, const char *tessered);
/* SIGTERM, and waits; or SIGKILL. */
void fleet_stop(struct fleet *f, bool kills);
/* A child process of this name, or -1. */
int fleet_child(int of, const char *wanted);
/* The tessere-vault that the server runs, or -1. */
int fleet_vault_pid(const struct fleet *f);
struct channel *fleet_channel(struct fleet *f, size_t card);
void fleet_free(struct fleet *f);

#endif
