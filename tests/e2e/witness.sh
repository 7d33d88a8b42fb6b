#!/usr/bin/env bash
# A witness on another machine watches the journal of a real server: what grew is cosigned, what was
# rolled back or forked is not, and is told. TAP output.
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
seen=$work/witness

tessere() { "$TESSERE" --home "$home" "$@"; }

# The server has signed everything that was written.
settled() {
    local size entries
    for ((i = 0; i < 60; i++)); do
        size=$(sed -n 2p "$home/checkpoint" 2>/dev/null)
        entries=$(tessere journal verify --json | sed -n 's/.*"entries": *\([0-9]*\).*/\1/p')
        [ -n "$size" ] && [ "$entries" -le $((size + 1)) ] && return 0
        sleep 0.2
    done
    return 1
}

watcher=(--server "https://localhost:$port" --identity "$work/audit" --ca "$home/pki/ca.pem")
look() { # [ARGUMENT...]: one look
    "$TESSERE" journal witness "$seen" "${watcher[@]}" --key "$key" --once "$@"
}

# alarms STATUS CODE: a look ends with this status and code, and the witness keeps what it had
alarms() {
    local before status=0
    before=$(sha256sum <"$seen/checkpoint")
    look --json >"$work/alarm" || status=$?
    cat "$work/alarm"
    [ "$status" = "$1" ] && grep -q "\"code\": *\"$2\"" "$work/alarm" && [ -s "$seen/conflict" ] &&
        [ "$before" = "$(sha256sum <"$seen/checkpoint")" ]
}

# The cosignature of the witness, checked by openssl from the published formats alone.
cosigned() {
    python3 - "$seen" <<'P' && openssl pkeyutl -verify -pubin -keyform DER -inkey "$seen/k.der" -rawin -in "$seen/message" -sigfile "$seen/signature"
import base64, hashlib, sys
d = sys.argv[1]
note = open(d + "/checkpoint", encoding="utf-8").read()
name, key_id, key = open(d + "/witness.pub").read().strip().split("+", 2)
key = base64.b64decode(key)
assert key[0] == 4 and hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() == key_id
body, lines = note.split("\n\n", 1)
line = [x for x in lines.splitlines() if x.startswith("\u2014 " + name + " ")][0]
raw = base64.b64decode(line.split(" ")[2])
assert raw[:4].hex() == key_id and len(raw) == 4 + 8 + 64
message = "cosignature/v1\ntime %d\n%s\n" % (int.from_bytes(raw[4:12], "big"), body)
open(d + "/message", "wb").write(message.encode())
open(d + "/signature", "wb").write(raw[12:])
open(d + "/k.der", "wb").write(bytes.fromhex("302a300506032b6570032100") + key[1:])
P
}

size_seen() { sed -n 2p "$seen/checkpoint"; }

tessere init --finess 750712184 >/dev/null
tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port "$port" >/dev/null
tessere person add audit --roles auditor --out "$work/audit" >/dev/null
key=$(tessere journal key)
check "the server starts" start
check "its journal is signed" settled
check "a witness needs the journal's key" bash -c "! '$TESSERE' journal witness '$seen' ${watcher[*]} --once"
check "a new witness needs a name" bash -c "! '$TESSERE' journal witness '$seen' ${watcher[*]} --key '$key' --once"
check "it takes the first checkpoint as it is" look --name witness.example
check "its key is for nobody else" bash -c "[ \"\$(stat -c %a '$seen/witness.key')\" = 600 ]"
check "its cosignature verifies by openssl" cosigned
check "nothing new: the same again" look
stop
cp -r "$home" "$work/yesterday"
check "a station is added" tessere station add ward-1
check "and another" tessere station add ward-2
check "the server starts again" start
check "what was written is signed" settled
before=$(size_seen)
check "what grew is cosigned" look
check "it has grown indeed" bash -c "[ '$before' -lt \"\$(sed -n 2p '$seen/checkpoint')\" ]"
check "and verifies by openssl" cosigned
check "the journal verifies against what the witness saw" tessere journal verify --checkpoint "$seen/checkpoint"
another() {
    local log
    log=$(openssl rand -base64 33)
    ! look --key "${key%+*}+$log"
}
check "a checkpoint that another key signed is refused" another
rm -f "$seen/conflict"
stop
mv "$home" "$work/today"
cp -r "$work/yesterday" "$home"
check "yesterday's database is put back" start
check "its journal is signed" settled
check "the witness finds the rollback" alarms 7 journal-rollback
rm -f "$seen/conflict"
stop
for name in ward-8 ward-9 ward-10 ward-11 ward-12; do tessere station add $name >/dev/null; done
check "it grows another history" start
check "which is signed" settled
check "the witness finds the fork" alarms 7 journal-proof
stop
check "the server is gone: the network's trouble is no alarm" bash -c "'$TESSERE' journal witness '$seen' ${watcher[*]} --key '$key' --once; [ \$? != 0 ] && [ \$? != 7 ]"
rm -rf "$home"
mv "$work/today" "$home"
check "today's database is back" start
goes_on() { # the witness runs, is killed, and has forgotten nothing
    "$TESSERE" journal witness "$seen" "${watcher[@]}" --key "$key" >"$work/witness.log" 2>&1 &
    local pid=$! before
    before=$(size_seen)
    tessere station add "ward-$RANDOM" >/dev/null
    for ((i = 0; i < 300; i++)); do
        [ "$(size_seen)" -gt "$before" ] && break
        sleep 0.1
    done
    kill -9 $pid
    wait $pid
    cat "$work/witness.log"
    [ "$(size_seen)" -gt "$before" ] && cosigned && look
}
check "a witness that runs cosigns what grows, and goes on where it was killed" goes_on
stop

# --- the database alone goes back: the token remembers
cp "$work/yesterday/store.db" "$home/store.db"
rm -f "$home"/store.db-*
not_signed() { # the server says so, and signs nothing
    local before
    before=$(cat "$home/checkpoint")
    tessere station add ward-77 >/dev/null
    start && sleep 2
    cat "$work/log"
    grep -q "cannot be signed.*were signed" "$work/log" && [ "$before" = "$(cat "$home/checkpoint")" ]
}
rm -f "$seen/conflict"
check "yesterday's database, today's token: the vault does not sign it" not_signed
stop
check "nobody accepts it by accident" bash -c "! '$TESSERE' --home '$home' journal accept </dev/null"
check "after a restoration on purpose it is accepted" tessere journal accept --yes
check "and the journal says so" bash -c "'$TESSERE' --home '$home' journal verify && '$TESSERE' --home '$home' journal prove \$(( \$(sed -n 2p '$home/checkpoint') - 1 )) --json | grep -q journal-accept"
check "the server starts" start
tessere station add ward-78 >/dev/null
check "its journal is signed" settled
check "for the witness it is another history" alarms 7 'journal-[a-z]*'
stop
finish
