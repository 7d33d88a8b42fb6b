/* The encoding desk over this station's reader: docs/api.md, "The desk". */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"

/* A card that a tap has no use for may be the one that the desk waits for. */
static bool may_be_for_desk(enum b_code code)
{
    return code == B_E_ORDER_WAITS || code == B_E_CARD_FOREIGN || code == B_E_CARD_REFUSED;
}

static enum b_code present(struct remote *r, const struct channel *ch, const char *path,
                           json_t **ret, struct b_err *err)
{
    const struct channel_card *card = channel_card(ch);
    char uid[2 * sizeof(card->uid) + 1];
    b_hex(uid, card->uid, card->uid_len);
    json_t *body = json_pack("{s:s}", "uid", uid);
    enum b_code code = remote_call(r, "POST", path, body, ret, err);
    json_decref(body);
    return code;
}

static bool is_done(const json_t *event)
{
    return strcmp(remote_text(event, "state"), "done") == 0;
}

/* Carries the order out that *io is an event of; *io is its last one then, or NULL. */
static enum b_code carry_out(struct remote *r, struct channel *ch, json_t **io, struct b_err *err)
{
    enum b_code code = B_OK;
    while (code == B_OK && !is_done(*io)) {
        json_t *next = NULL;
        code = remote_desk_step(r, ch, *io, &next, err);
        json_decref(*io);
        *io = next;
    }
    return code;
}

void agent_rekey(struct remote *r, struct channel *ch, const struct agent_outcome *o)
{
    char path[128];
    json_t *event = NULL;
    struct b_err ignored;
    if (o->rekey[0] == '\0')
        return;
    (void)snprintf(path, sizeof(path), "/v1/taps/%s/rekey", o->rekey);
    if (present(r, ch, path, &event, &ignored) == B_OK)
        (void)!carry_out(r, ch, &event, &ignored);
    json_decref(event);
}

/* What a tap says of a badge of others, and of one whose takeover was torn. */
static bool may_be_of_others(const struct agent_outcome *o)
{
    static const enum b_code codes[] = {B_E_CARD_FOREIGN, B_E_CARD_REFUSED, B_E_CARD_AUTH,
                                        B_E_BADGE_UNKNOWN, B_E_BADGE_NOT_ENROLLED};
    for (size_t i = 0; !o->is_desk && i < B_COUNT(codes); i++)
        if (codes[i] == o->code)
            return true;
    return false;
}

static enum b_code try_takeover(struct remote *r, struct channel *ch, const struct agent_say *say,
                                struct b_err *err)
{
    json_t *event = NULL;
    enum b_code code = present(r, ch, "/v1/station/takeover", &event, err);
    if (code == B_OK && say != NULL)
        say->say(say->ctx, remote_text(event, "sentence"));
    if (code == B_OK)
        code = carry_out(r, ch, &event, err);
    json_decref(event);
    return code;
}

bool agent_takeover(struct remote *r, struct channel *ch, const struct agent_say *say,
                    struct agent_outcome *io)
{
    enum { TRIES = 5 };
    enum b_code code = B_E_VAULT_BUSY;
    struct b_err err;
    if (!may_be_of_others(io))
        return false;
    /* The server may be at work on as many cards as it takes at a time, or at another reader of
     * this station, or on this badge elsewhere: this card lies there. */
    for (int n = 0; n < TRIES && (code == B_E_VAULT_BUSY || code == B_E_ORDER_WAITS); n++) {
        if (n > 0)
            (void)usleep(remote_pause_ms(1) * 1000);
        code = try_takeover(r, ch, say, &err);
    }
    /* Not one that is taken over, as a card that hides its UID says only when it is looked at: what
     * was said of the tap stands. */
    if (code == B_E_NOT_FOUND)
        return false;
    if (code == B_OK)
        return true;
    const char *sentence = remote_sentence(r);
    io->code = code;
    (void)snprintf(io->sentence, sizeof(io->sentence), "%s",
                   sentence[0] != '\0' ? sentence : b_code_text(code));
    return false;
}

enum b_code agent_desk(struct remote *r, struct channel *ch, struct agent_outcome *ret,
                       struct b_err *err)
{
    json_t *event = NULL;
    struct b_err none;
    if (!may_be_for_desk(ret->code))
        return ret->code;
    enum b_code code = present(r, ch, "/v1/station/desk", &event, &none);
    if (code == B_E_NOT_FOUND)
        return ret->code; /* no order: what was said of the tap stands */
    if (code != B_OK)
        *err = none;
    else
        code = carry_out(r, ch, &event, err);
    const char *sentence = code == B_OK ? remote_text(event, "sentence") : remote_sentence(r);
    *ret = (struct agent_outcome){.code = code, .is_desk = true};
    (void)snprintf(ret->sentence, sizeof(ret->sentence), "%s",
                   sentence[0] != '\0' ? sentence : b_code_text(code));
    json_decref(event);
    return code;
}
