#!/usr/bin/env bash
# Other systems are told what happens to badges: in order, at least once, and by nobody else's word.
# What they hear is verified by the npm package standardwebhooks. TAP output.
# shellcheck source=tests/support/listener.sh
. "$(dirname "$0")/../support/listener.sh"
# npm needs the network that a private pcscd has not
[ -n "${TESSERE_CARD_PORT:-}" ] || exec "$(dirname "$0")/../support/with-pcscd" "$0"
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
end() {
    [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null
    end_listeners
    leave
}
trap end EXIT

certificate() { # NAME [SUBJECT-ALT-NAME]: its own CA
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -days 2 \
        -subj "/CN=$1" -addext "subjectAltName=${2:-DNS:localhost}" -out "$work/$1.pem" 2>/dev/null
}
# configure ATTEMPTS [LINE]...: events.yaml
configure() {
    cat >"$home/events.yaml" <<Y
attempts: $1
subscribers:
  - name: ehr
    url: https://localhost:18461/hook?of=tessere
    delivery: webhook
    ca: $work/ehr.pem
    secret-file: ehr.secret
    staff-id: true
    events: [badge.enrolled, badge.suspended, badge.reinstated, badge.revoked, holder.left]
Y
    shift
    [ $# = 0 ] || printf '%s\n' "$@" >>"$home/events.yaml"
}
archive=('  - name: archive' '    url: http://127.0.0.1:18462/' '    delivery: webhook' '    secret-file: ehr.secret' '    events: [badge.suspended, badge.reinstated]')
hangup() { # WORDS
    local before i
    before=$(wc -l <"$work/server.log")
    kill -HUP "$server_pid"
    for ((i = 0; i < 50; i++)); do
        tail -n +$((before + 1)) "$work/server.log" | grep -F -- "$1" && return 0
        sleep 0.1
    done
    tail "$work/server.log"
    return 1
}
is_refused() { # WORDS LINE...
    cp "$home/events.yaml" "$work/good.yaml"
    printf '%s\n' "${@:2}" >>"$home/events.yaml"
    hangup "$1"
    local status=$?
    cp "$work/good.yaml" "$home/events.yaml"
    return $status
}
states() { # how many letters are in which state
    tessere outbox list --json | python3 -c '
import collections, json, sys
print(dict(collections.Counter(l["state"] for l in json.load(sys.stdin)["letters"])))'
}
reaches() { # PYTHON of `n`, [SECONDS]
    local i
    for ((i = 0; i < ${2:-10} * 2; i++)); do
        states >"$work/states"
        python3 -c 'import sys, collections; n = collections.Counter(eval(open(sys.argv[1]).read())); sys.exit(not eval(sys.argv[2]))' "$work/states" "$1" && return 0
        sleep 0.5
    done
    tessere outbox list
    return 1
}

check "the hospital is set up" tessere init --finess 750712184 --name Hospital
check "a server is set up" tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port $port
check "Alice administers it" tessere person add alice --roles administrator --out "$work/alice"
certificate ehr
echo "$WEBHOOK_SECRET" >"$home/ehr.secret"
chmod 600 "$home/ehr.secret"
configure 80
echo 'events: events.yaml' >>"$home/server.yaml"
check "an outbox without a letter says so" eval 'tessere outbox list | grep -q "Nothing waits"'
check "the patient record's server listens" listen ehr 18461 "$work/ehr.pem" "$work/ehr.key"
check "the archive's too" listen archive 18462
check "the server starts" start_server

check "a badge is enrolled for nurse Anne" enrol_badge ev2 04A1B2C3D4E5F6 anne 10001234567 "Anne Martin"
check "the patient record hears it, with the staff id that it may have" \
    hears ehr 'len(all) == 1 and all[0]["type"] == "badge.enrolled" and all[0]["data"]["staff_id"] == "10001234567" and all[0]["data"]["badge"] == 1 and all[0]["data"]["holder"] == 1 and all[0]["url"] == "/hook?of=tessere"'
configure 80 "${archive[@]}"
check "the archive subscribes without a restart" hangup "configuration taken up"
check "the badge is suspended" tessere badge suspend 1 --reason lost
check "both hear it" hears ehr 'all[-1]["type"] == "badge.suspended" and "wrong" not in all[-1]'
check "the archive without the staff id" \
    hears archive 'len(all) == 1 and all[0]["type"] == "badge.suspended" and "staff_id" not in all[0]["data"] and "10001234567" not in str(all)'

does archive slow
check "while the archive hangs, the badge is reinstated" tessere badge reinstate 1
check "and the patient record hears it within two seconds" hears ehr 'all[-1]["type"] == "badge.reinstated"' 2
check "the archive was asked" hears archive 'len(all) == 2 and all[1]["how"] == "slow"'
# The archive has it, and the server does not know.
check "the server is killed meanwhile" bash -c "kill -9 $server_pid"
wait "$server_pid" 2>/dev/null
does archive ok
check "and starts again" start_server
check "the archive hears it once more, by the same id" hears archive 'len(all) == 3 and all[2]["id"] == all[1]["id"] and all[2]["type"] == "badge.reinstated"'

does ehr 500
back_and_forth() {
    local i
    for i in 1 2 3; do tessere badge suspend 1 --reason "$i" && tessere badge reinstate 1 || return 1; done
}
check "the patient record fails while six changes are made" back_and_forth
check "it is asked again and again for the first of them" hears ehr '[x["how"] for x in all].count("500") >= 2 and len({x["id"] for x in all if x["how"] == "500"}) == 1'
does ehr close
check "it hangs up" hears ehr 'all[-1]["how"] == "close"' 20
does ehr redirect
check "it sends elsewhere" hears ehr 'all[-1]["how"] == "redirect"' 20
does ehr long
check "it talks too much" hears ehr 'all[-1]["how"] == "long"' 40
check "which is said" bash -c "'$TESSERE' --home '$home' outbox list | grep 'more than 16384 bytes'"
does ehr ok
kill "$server_pid" && wait "$server_pid"
# A clock that was wrong wrote a time of next year.
sqlite3 "$home/store.db" "UPDATE letter SET next_at = next_at + 31536000 WHERE state = 0"
check "the server starts again" start_server
check "all is heard in its order, each once, and no redirect was followed" \
    hears ehr '[x["type"] for x in all if x["how"] == "ok"] == ["badge.enrolled", "badge.suspended", "badge.reinstated"] + ["badge.suspended", "badge.reinstated"] * 3 and all[-1]["data"]["entry"] > all[-2]["data"]["entry"] and all[-1]["how"] == "ok" and not any("redirected" in x["url"] for x in all) and not any("wrong" in x for x in all)' 20

configure 2 "${archive[@]}"
check "two attempts are enough from now on" hangup "configuration taken up"
does ehr 500
check "the badge is suspended" tessere badge suspend 1 --reason x
check "the letter is dead after two attempts" reaches 'n["dead"] == 1'
check "which the journal tells" bash -c "'$TESSERE' --home '$home' journal export '$work/tiles' && grep -rq letter-dead '$work/tiles'"
check "the metrics too" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call alice GET /v1/metrics | grep '^tessere_letters_dead 1$'"
check "and readiness" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call alice GET /v1/readyz | grep '\"outbox\":\"dead-letters\"'"
check "and the doctor" bash -c "'$TESSERE' --home '$home' doctor --json | grep letters-dead"
does ehr ok
check "the next one is not held up by it" bash -c "'$TESSERE' --home '$home' badge reinstate 1"
check "and is heard" hears ehr 'all[-1]["type"] == "badge.reinstated" and all[-1]["how"] == "ok"'
dead=$(tessere outbox list --json | python3 -c 'import json, sys; print([l["id"] for l in json.load(sys.stdin)["letters"] if l["state"] == "dead"][0])')
check "the dead one goes again" tessere outbox retry "$dead"
check "and is heard by its id" hears ehr "all[-1]['type'] == 'badge.suspended' and all[-1]['id'].startswith('msg_$dead' + '_') and all[-1]['how'] == 'ok'"
check "which is written down" reaches 'n["dead"] == 0 and n["waiting"] == 0'
check "one that was delivered does not" bash -c "! '$TESSERE' --home '$home' outbox retry $dead"
does ehr 410
check "the badge is suspended" tessere badge suspend 1 --reason x
check "who is gone (410) is not asked again" reaches 'n["dead"] == 1'
dead=$(tessere outbox list --json | python3 -c 'import json, sys; print([l["id"] for l in json.load(sys.stdin)["letters"] if l["state"] == "dead"][0])')
check "the letter is dropped" tessere outbox drop "$dead" --yes
check "and is not there any more" reaches 'n["dead"] == 0'
does ehr ok

# Nothing can be written while somebody else writes: what was heard is told again when the disk takes it.
cannot_write() {
    does ehr 500
    tessere badge reinstate 1 && hears ehr 'all[-1]["how"] == "500"' || return 1
    python3 - "$home/store.db" "$work/locked" <<'P' &
import os, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute("BEGIN IMMEDIATE")
open(sys.argv[2], "w").close()
while os.path.exists(sys.argv[2]):
    time.sleep(0.1)
db.execute("ROLLBACK")
P
    local writer=$! i status=0
    for ((i = 0; i < 100; i++)); do [ -e "$work/locked" ] && break; sleep 0.1; done
    does ehr ok
    hears ehr 'all[-1]["how"] == "ok"' 20 || status=1
    sleep 4 # longer than the server waits for its turn to write
    rm -f "$work/locked"
    wait "$writer"
    [ $status = 0 ] && reaches 'n["waiting"] == 0' 20 &&
        hears ehr 'all[-1]["how"] == "ok" and [x["id"] for x in all if x["how"] == "ok"].count(all[-1]["id"]) >= 2'
}
configure 80 "${archive[@]}"
check "many attempts are allowed again" hangup "configuration taken up"
check "an outcome that cannot be written is no loss: the letter goes again by its id" cannot_write
check "the badge is suspended" tessere badge suspend 1 --reason x

certificate other
check "its certificate is another's" bash -c "cp '$work/ehr.pem' '$work/own.pem' && cp '$work/other.pem' '$work/ehr.pem'"
check "the configuration is taken up" hangup "configuration taken up"
before=$(wc -l <"$work/ehr.log")
check "the badge is reinstated" tessere badge reinstate 1
check "nothing goes to who is not known by the CA" bash -c "sleep 2; [ \$(wc -l <'$work/ehr.log') = $before ]"
check "which is said" bash -c "'$TESSERE' --home '$home' outbox list | grep -i certificate"
cp "$work/own.pem" "$work/ehr.pem"
does archive 500
check "the badge is suspended" tessere badge suspend 1 --reason x
configure 80
check "the archive is taken out of the file" hangup "configuration taken up"
check "its letters are kept, dead, with the reason" bash -c "'$TESSERE' --home '$home' outbox list | grep archive | grep 'the subscriber was removed'"

check "http to another machine is refused" is_refused "https:// is wanted" '  - {name: x, url: "http://192.0.2.1/", delivery: webhook, secret-file: ehr.secret, events: [badge.revoked]}'
check "so is a password in an address" is_refused "no user, no password" '  - {name: x, url: "https://a:b@example.org/", delivery: webhook, secret-file: ehr.secret, events: [badge.revoked]}'
check "so is an event that is none" is_refused "badge.eaten is no event of webhook" '  - {name: x, url: "https://localhost/", delivery: webhook, secret-file: ehr.secret, events: [badge.eaten]}'
check "so is a webhook without a secret" is_refused "a webhook needs a secret-file" '  - {name: x, url: "https://localhost/", delivery: webhook, events: [badge.revoked]}'
check "so is a second one of that name" is_refused "two subscribers have this name" '  - {name: ehr, url: "https://localhost/", delivery: webhook, secret-file: ehr.secret, events: [badge.revoked]}'
check "so is an unknown field, by its line" is_refused "line 10, column 5: subscribers[1].password: there is no such field" '    password: x'
echo "$WEBHOOK_SECRET" >"$home/open.secret"
chmod 644 "$home/open.secret"
check "so is a secret that others may read" is_refused "open.secret: others may read it" '  - {name: x, url: "https://localhost/", delivery: webhook, secret-file: open.secret, events: [badge.revoked]}'
echo whsec_c2hvcnQ= >"$home/short.secret"
chmod 600 "$home/short.secret"
check "so is one that is short" is_refused "24 to 64 bytes" '  - {name: x, url: "https://localhost/", delivery: webhook, secret-file: short.secret, events: [badge.revoked]}'

printf '%s\n' whsec_bmV3ZXItc2VjcmV0LW9mLXRlc3NlcmUtdGVzdHMhISE= "$WEBHOOK_SECRET" >"$home/ehr.secret"
check "a newer secret comes beside the old one" hangup "configuration taken up"
check "Anne leaves" bash -c "'$TESSERE' --home '$home' holder leave 10001234567"
check "who has the old one still verifies" hears ehr 'all[-1]["type"] == "holder.left" and "wrong" not in all[-1]'
# --- what docs/events.md says is enough to check them
by_the_page() { # FOLDER: with its ehr.secret, jwks, and the logs of who heard
    python3 - "$1" "$(dirname "$0")" <<'P'
import json, subprocess, sys
folder, here = sys.argv[1:]
def block(name):
    return subprocess.run([here + "/../support/page-block", here + "/../../docs/events.md", name], check=True, capture_output=True, text=True).stdout
exec(block("webhook"))
exec(block("token"))
def refused(check, *given):
    try: check(*given)
    except Exception: return True
def last(name):
    return json.loads(open(f"{folder}/{name}.log").readlines()[-1])
letter = last("ehr")
headers, body = letter["raw"]["headers"], letter["raw"]["body"].encode()
secrets = open(folder + "/ehr.secret").readlines()
assert [check_webhook([s], headers, body) for s in secrets] == [letter["id"]] * 2
assert refused(check_webhook, secrets, headers, body + b" ")
assert refused(check_webhook, secrets, {**headers, "webhook-timestamp": "1795875919"}, body)
assert refused(check_webhook, ["whsec_" + "A" * 44], headers, body)
open(folder + "/body", "wb").write(body)
shown = subprocess.run(["sh", "-c", block("openssl")], cwd=folder, check=True, capture_output=True, text=True,
                       env={"PATH": "/usr/bin:/bin", "ID": headers["webhook-id"], "TIME": headers["webhook-timestamp"]}).stdout
assert "v1," + shown.strip() in headers["webhook-signature"].split(" "), shown
token, jwks = last("idp")["raw"]["body"], json.load(open(folder + "/jwks"))
claims = check_token(jwks, "https://kms.example", "https://idp.example", token)
assert claims["sub_id"]["sub"] == "holder:2" and "session-revoked" in str(claims["events"]), claims
head, payload, signature = token.split(".")
assert refused(check_token, jwks, "https://kms.example", "https://other.example", token)
assert refused(check_token, jwks, "https://kms.example", "https://idp.example", f"{head}.{payload}.{signature[::-1]}")
P
}
publishes() { # the server signs security events from now on
    kill "$server_pid" && wait "$server_pid"
    printf 'sign-on: {issuer: "https://localhost:18470", port: 18470, clients: clients.yaml}\n' >>"$home/server.yaml"
    printf 'clients: [{id: app, name: {fr: App}, public: true, redirect-uris: ["https://app.example/"]}]\n' >"$home/clients.yaml"
    configure 80 '  - {name: idp, url: "http://127.0.0.1:18463/", delivery: caep, audience: "https://idp.example", events: [session-revoked]}' 'issuer: https://kms.example'
    start_server && curl -sS -m 10 --cacert "$home/pki/ca.pem" https://localhost:18470/jwks >"$work/jwks" && cp "$home/ehr.secret" "$work"
}
no_signer() {
    kill "$server_pid" && wait "$server_pid"
    configure 80 '  - {name: idp, url: "http://127.0.0.1:18463/", delivery: caep, audience: "https://idp.example", events: [session-revoked]}' 'issuer: https://kms.example'
    ! timeout 60 "$TESSERED" --home "$home" >"$work/refused" 2>&1
    cat "$work/refused"
    grep -q 'idp: security events are signed by sign-on' "$work/refused" || return 1
    tessere doctor >"$work/doctor" 2>&1
    grep -q 'idp: security events are signed by sign-on' "$work/doctor" && configure 80 && start_server
}
check "without sign-on there is nobody who signs security events, and it is said" no_signer
check "an identity provider listens" listen idp 18463
check "the server signs security events, and publishes its keys" publishes
check "Bruno has a badge" enrol_badge ev2 04A1B2C3D4E6F6 bruno 10002 Bruno
check "which is revoked" tessere badge revoke 2 --reason lost
check "both hear it" eval 'hears ehr "all[-1][\"type\"] == \"badge.revoked\"" && hears idp "len(all) == 1" 20'
check "and can check it by what the page says" by_the_page "$work"
misnamed() {
    ! grep -q 'does not name' "$work/server.log" || return 1
    kill "$server_pid" && wait "$server_pid"
    sed -i 's,https://localhost:18470,https://badge.example:18470,' "$home/server.yaml"
    start_server && sleep 0.2 && grep -q 'pki/server.pem does not name badge.example' "$work/server.log"
}
check "a server whose certificate does not name its issuer says so, and serves on" misnamed
check "no letter has anything personal in it" bash -c "! sqlite3 '$home/store.db' 'SELECT * FROM letter' | grep -i 'anne\|10001234567'"
check "the journal verifies" tessere journal verify
kill "$server_pid" && wait "$server_pid"
server_pid=""
finish
