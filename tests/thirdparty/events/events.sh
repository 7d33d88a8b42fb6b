#!/usr/bin/env bash
# Security events and logout tokens, verified by the npm package jose. TAP output.
#   events.sh TELL
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../../support/tap.sh"
# shellcheck source=tests/support/listener.sh
. "$(dirname "$0")/../../support/listener.sh"
trap 'end_listeners; rm -rf "$work"' EXIT
tell=$1
port=$(a_port)
export JWT_KEY=$work/key.pem JWT_ISSUER=https://kms.example JWT_AUDIENCE=https://receiver.example
echo a.bearer.token >"$work/token"
chmod 600 "$work/token"
cat >"$work/events.yaml" <<Y
issuer: $JWT_ISSUER
attempts: 3
subscribers:
  - name: receiver
    url: http://127.0.0.1:$port/events
    delivery: caep
    audience: $JWT_AUDIENCE
    secret-file: token
    events: [session-revoked, credential-change]
Y
# tells BEHAVIOUR: what becomes of the letters, in $work/told
tells() {
    rm -rf "${work:?}/home"
    mkdir "$work/home"
    cp "$work/token" "$work/home/"
    does receiver "$1"
    : >"$work/receiver.log"
    "$tell" "$work/home" "$work/events.yaml" "$work/key.pem" >"$work/told"
    local status=$?
    cat "$work/told"
    return $status
}
caep() { echo "(list(x['payload']['events']) == ['https://schemas.openid.net/secevent/caep/event-type/$1'])"; }

check "a receiver listens" listen receiver "$port"
check "a badge is revoked, its holder leaves, a session ends" tells ok
check "every letter was taken" bash -c "[ \$(grep -c ' delivered 1 ' '$work/told') = 5 ]"
check "every token verifies, with issuer, audience, type and algorithm" \
    hears receiver 'len(all) == 5 and not [x for x in all if x.get("alg") != "ES256" or "wrong" in x]'
check "each has a name of its own" hears receiver 'len({x["id"] for x in all}) == 5'
check "the sessions are revoked" hears receiver "sum($(caep session-revoked) for x in all) == 2"
check "the credential is revoked" \
    hears receiver "sum($(caep credential-change) and list(x['payload']['events'].values())[0]['change_type'] == 'revoke' for x in all) == 2"
check "the subject is a number, and no name or staff id is told" \
    hears receiver '[x for x in all if "sub_id" in x["payload"]][0]["payload"]["sub_id"] == {"format": "iss_sub", "iss": "https://kms.example", "sub": "holder:1"} and "10001234567" not in str(all) and "Anne" not in str(all)'
check "a security event has neither sub nor exp (RFC 8417)" \
    hears receiver 'not [x for x in all if "sub_id" in x["payload"] and ("sub" in x["payload"] or "exp" in x["payload"])]'
check "the transmitter shows its bearer token" \
    hears receiver '{x.get("authorization") for x in all if "sub_id" in x["payload"]} == {"Bearer a.bearer.token"}'
check "which no client of a logout gets" hears receiver '[x.get("authorization") for x in all if "sid" in x["payload"]] == [None]'
check "a logout token is what OpenID Connect asks" \
    hears receiver '[x["payload"]["sub"] for x in all if x["payload"].get("sid") == "s1" and x["payload"]["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}} and 0 < x["payload"]["exp"] - x["payload"]["iat"] <= 120 and "nonce" not in x["payload"]] == ["holder:1"]'
check "a receiver finds a token invalid" tells err:invalid_request
check "and gets none of them twice" bash -c "[ \$(grep -c 'dead 1 status 400: invalid_request' '$work/told') = 4 ]"
check "another does not know the key yet" tells err:invalid_key
check "and is asked again, as often as the file says" bash -c "[ \$(grep -c 'dead 3 status 400: invalid_key' '$work/told') = 4 ]"
check "by the same name, with the same claims" \
    hears receiver 'len({x["id"] for x in all if "sub_id" in x["payload"]}) == 4 and len({str(x["payload"]) for x in all if "sub_id" in x["payload"]}) == 4 and len(all) == 15'
check "a logout token is fresh each time" \
    hears receiver '[len([x for x in all if "sid" in x["payload"]]), len({x["id"] for x in all if "sid" in x["payload"]})] == [3, 3]'
sed -i 's/events: .*/staff-id: true\n    events: [session-revoked]/' "$work/events.yaml"
check "a receiver that may have the staff id" tells ok
check "gets it as the subject" \
    hears receiver '{x["payload"]["sub_id"]["sub"] for x in all if "sub_id" in x["payload"]} == {"10001234567"}'
finish
