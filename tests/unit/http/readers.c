/* Who is lent a reader of the store while others hold theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "http/http.h"

static struct http_server server;
static const struct http_peer auditor = {.has_certificate = true, .who = {1}};
static const struct http_peer station = {.has_certificate = true, .who = {2}};
static const struct http_peer directory = {.who = {3}}; /* a bearer token: an address */

/* Readers that are told apart, and never looked into. */
static int make(void **state)
{
    static char places[HTTP_READERS];
    (void)state;
    memset(&server, 0, sizeof(server));
    for (size_t i = 0; i < HTTP_READERS; i++)
        server.readers[i] = (struct store *)(void *)&places[i];
    return pthread_mutex_init(&server.readers_lock, NULL) == 0 &&
                   pthread_cond_init(&server.reader_freed, NULL) == 0
               ? 0
               : -1;
}

static int drop(void **state)
{
    (void)state;
    (void)pthread_cond_destroy(&server.reader_freed);
    (void)pthread_mutex_destroy(&server.readers_lock);
    return 0;
}

static void lend(const struct http_peer *to, size_t most, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_non_null(http_borrow_reader(&server, to, most));
}

static void what_the_directory_has_stays_to_it_while_there_is_more(void **state)
{
    (void)state;
    lend(&auditor, HTTP_READERS, HTTP_READERS_OF_ONE);
    lend(&station, HTTP_READERS_OF_ALL, HTTP_READERS_OF_ONE);
    lend(NULL, HTTP_READERS_OF_ALL,
         HTTP_READERS_OF_ALL - HTTP_READERS_OF_ONE - HTTP_READERS_OF_SCIM);
    lend(&directory, HTTP_READERS_OF_SCIM, HTTP_READERS_OF_SCIM);
}

static void people_take_none_of_the_stations_while_their_own_are_free(void **state)
{
    (void)state;
    lend(&auditor, HTTP_READERS, HTTP_READERS_OF_ONE);
    lend(NULL, HTTP_READERS_OF_ALL, HTTP_READERS_OF_ALL);
}

static void one_certificate_waits_for_its_own_and_nobody_else_does(void **state)
{
    (void)state;
    struct store *first = http_borrow_reader(&server, &auditor, HTTP_READERS);
    lend(&auditor, HTTP_READERS, HTTP_READERS_OF_ONE - 1);
    assert_null(http_borrow_reader(&server, &auditor, HTTP_READERS));
    lend(&station, HTTP_READERS_OF_ALL, 1);
    http_give_reader_back(&server, &first);
    lend(&auditor, HTTP_READERS, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_directory_has_stays_to_it_while_there_is_more,
                                        make, drop),
        cmocka_unit_test_setup_teardown(people_take_none_of_the_stations_while_their_own_are_free,
                                        make, drop),
        cmocka_unit_test_setup_teardown(one_certificate_waits_for_its_own_and_nobody_else_does,
                                        make, drop),
    };
    return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
