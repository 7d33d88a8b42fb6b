/* What a subscriber answers, after a first byte that says to which kind of letter; or events.yaml,
 * which is then one that letters can go by, or is refused with words. */
#include <stdio.h>
#include <string.h>

#include "events/events.h"

static void answer(const char *kind, const uint8_t *data, size_t size)
{
    static struct remote_posted a;
    char why[STORE_LETTER_ERROR];
    a = (struct remote_posted){.status = 400};
    memcpy(a.body, data, size < REMOTE_POST_ANSWER ? size : REMOTE_POST_ANSWER);
    b_check(events_judge(kind, &a, why, sizeof(why)) != EVENTS_TAKEN);
    b_check(strncmp(why, "status 400", 10) == 0 && strlen(why) < 64);
    for (const char *p = why; *p != '\0'; p++)
        b_check(*p >= ' ' && *p < 127); /* it is shown to people */
}

static void configuration(const uint8_t *data, size_t size)
{
    static struct events_config c;
    static struct store_subscription all[EVENTS_SUBSCRIPTIONS_MAX];
    struct b_err err = {0};
    enum b_code r = events_config_parse("/nonexistent", "f", (const char *)data, size, &c, &err);
    b_check(r == err.code && (r == B_OK || err.msg[0] != '\0'));
    for (size_t i = 0; r == B_OK && i < c.count; i++)
        b_check(remote_post_may(c.subscribers[i].url, &err) == B_OK &&
                c.subscribers[i].wanted_count > 0);
    if (r == B_OK)
        b_check(events_subscriptions(&c, all) <= EVENTS_SUBSCRIPTIONS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'w')
        answer("badge.revoked", data + 1, size - 1);
    else if (data[0] == 'c')
        answer("session-revoked", data + 1, size - 1);
    else
        configuration(data, size);
    return 0;
}
