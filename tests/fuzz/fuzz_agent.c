/* A message on the agent's socket: read within its bounds, or refused with a reason; a PIN lies in
 * the packet and nowhere else. */
#include <string.h>

#include "agent/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct agent_message m;
    struct b_err err = {0};
    if (agent_message_parse(b_rd_from(data, size), &m, &err) != B_OK) {
        b_check(err.code != B_OK && err.msg[0] != '\0');
        return 0;
    }
    b_check(size <= AGENT_MESSAGE_MAX && m.seconds >= 1 && m.seconds <= AGENT_ASK_SECONDS_MAX);
    b_check(memchr(m.subject, '\0', sizeof(m.subject)) != NULL);
    b_check(memchr(m.reader, '\0', sizeof(m.reader)) != NULL);
    b_check(memchr(m.challenge, '\0', sizeof(m.challenge)) != NULL);
    b_check((m.ask == AGENT_PIN) == (m.pin.left > 0));
    if (m.ask == AGENT_PIN)
        b_check(m.pin.p + m.pin.left == data + size && m.pin.left <= AGENT_PIN_MAX);
    return 0;
}
