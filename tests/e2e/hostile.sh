#!/usr/bin/env bash
# What the server is sent by those who mean it ill, or badly: each is refused, named, and disturbs
# nobody. TAP output.
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
shopt -s extglob

api() { # WHO ARGUMENT-OF-CURL...
    local who=$1
    shift
    curl -sS -m 20 --cacert "$home/pki/ca.pem" ${who:+--cert "$work/$who.pem" --key "$work/$who.key"} "$@"
}

# gets STATUS CODE WHO ARGUMENT...: this status, and a problem with this code
gets() {
    local status=$1 code=$2 who=$3 got
    shift 3
    got=$(api "$who" -w '\n%{http_code} %{content_type}' "$@") || { echo "$got"; return 1; }
    echo "$got"
    grep -q "^$status application/problem+json" <<<"$got" && grep -q "\"code\":\"$code\"" <<<"$got"
}

json=(-H 'Content-Type: application/json')
set_up
printf 'stall-seconds: 2\nrequests-per-second: 20\n' >>"$home/server.yaml"
"$TESSERE" --home "$home" person add admin --roles administrator,operator --out "$work/admin" >/dev/null
"$TESSERE" --home "$home" person add paul --roles operator --out "$work/paul" >/dev/null
start

enrol() { # NAME
    local code
    code=$(api admin "${json[@]}" -d "{\"name\":\"$1\"}" "$url/v1/stations" | sed 's/.*"code":"\([^"]*\)".*/\1/')
    "$TESSERE_AGENT" --state "$work/$1" enrol --server "$url" --code "$code" &&
        cp "$work/$1/station.pem" "$work/$1.pem" && cp "$work/$1/station.pem" "$work/$1.key"
}
check "three stations are enrolled" bash -c "$(declare -f enrol api); $(declare -p json); work='$work' home='$home' url='$url' TESSERE_AGENT='$TESSERE_AGENT'; enrol one && enrol two && enrol three"

# --- TLS
check "TLS 1.3 is spoken" bash -c "openssl s_client -connect localhost:$port -tls1_3 -CAfile '$home/pki/ca.pem' </dev/null 2>/dev/null | grep -q 'Protocol *: TLSv1.3\|New, TLSv1.3'"
for version in tls1_2 tls1_1 tls1; do
    check "$version is refused" bash -c "! openssl s_client -connect localhost:$port -$version </dev/null 2>/dev/null | grep -q 'Cipher is [^(]'"
done
check "no certificate: told so" gets 401 certificate-needed "" "$url/v1/badges"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/self.key" -out "$work/self.pem" -subj /CN=evil -days 1 2>/dev/null
check "a self-made certificate counts as none" gets 401 certificate-needed self "$url/v1/badges"
cp "$home/pki/server.pem" "$work/srv.pem"; cp "$home/pki/server.key" "$work/srv.key"
check "a server's certificate is no client's" gets 401 certificate-needed srv "$url/v1/badges"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/str.key" -subj /CN=stranger 2>/dev/null |
    openssl x509 -req -CA "$home/pki/ca.pem" -CAkey "$home/pki/ca.key" -CAcreateserial -days 1 -extfile <(echo extendedKeyUsage=clientAuth) -out "$work/str.pem" 2>/dev/null
check "a certificate of the CA that nobody registered gives no right" gets 401 certificate-unknown str "$url/v1/badges"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/old.key" -subj /CN=old 2>/dev/null |
    openssl x509 -req -CA "$home/pki/ca.pem" -CAkey "$home/pki/ca.key" -CAcreateserial -days -1 -extfile <(echo extendedKeyUsage=clientAuth) -out "$work/old.pem" 2>/dev/null
check "an expired certificate counts as none" gets 401 certificate-needed old "$url/v1/badges"

# --- requests
check "an address that is none" gets 404 not-found admin "$url/v1/nothing"
check "a method that is not taken" gets 405 method admin -X DELETE "$url/v1/badges"
check "a station asks for what it may not" gets 403 not-permitted one "$url/v1/badges"
unsaid() { # what a person administers with has no sentence for somebody at a reader
    api admin "$url/v1/badges/99" | tee "$work/unsaid" && grep -q '"code":"not-found"' "$work/unsaid" && ! grep -q sentence "$work/unsaid" &&
        api one "${json[@]}" -d '{"box":"00"}' "$url/v1/taps/x/pin" | grep -q '"sentence":"Trop lent'
}
check "a tap that is over has a sentence, a badge that is none has not" unsaid
check "a station's name with a line feed" gets 400 bad-input admin "${json[@]}" -d '{"name":"x\ny"}' "$url/v1/stations"
check "a group that turns what stands beside it" gets 400 bad-input admin "${json[@]}" -d '{"name":"x","group":"g\u202e"}' "$url/v1/stations"
check "a zone with a control character" gets 400 bad-input admin "${json[@]}" -d '{"name":"x","zone":"\u001b[2J"}' "$url/v1/stations"
check "a holder's name with a line feed" gets 400 bad-input admin "${json[@]}" -d '{"what":"enrol","ref":"1","name":"x\ny","uid":"04A1B2C3D4E5F6"}' "$url/v1/desk"
check "a person's name with a line feed" bash -c "! '$TESSERE' --home '$home' person add $'x\ny' --roles operator --out '$work/xy' 2>'$work/said' && grep -q 'on one line' '$work/said' && ! [ -e '$work/xy.key' ]"
slashed() { # whoever is called so can be stopped, here and from afar
    sqlite3 "$home/store.db" "INSERT INTO holder (ref, name, state, pin_tries, pin_failed_at, is_pin_locked, full_at, full_zone, salt) VALUES ('EXT/7', 'X', 0, 0, 0, 0, 0, '', x'00112233445566778899AABBCCDDEEFF')"
    api admin "${json[@]}" -d '{}' "$url/v1/holders/EXT%2F7/suspend" | grep '"state":"suspended"' &&
        "$TESSERE" holder reinstate EXT/7 --server "$url" --identity "$work/admin" --ca "$home/pki/ca.pem" &&
        "$TESSERE" --home "$home" holder suspend EXT/7
}
check "a staff id with a slash is a staff id" slashed
check "it ends where the path goes on" gets 404 not-found admin "${json[@]}" -d '{}' "$url/v1/holders/suspend"
check "a body that is not JSON" gets 400 bad-input one "${json[@]}" -d '{"uid":' "$url/v1/taps"
check "a key twice" gets 400 bad-input one "${json[@]}" -d '{"method":"ev2","method":"aes"}' "$url/v1/taps"
check "an array" gets 400 bad-input one "${json[@]}" -d '[]' "$url/v1/taps"
check "a body that is not called JSON" gets 415 media-type one -H 'Content-Type: text/plain' -d '{}' "$url/v1/taps"
check "a field of another type" gets 400 bad-input one "${json[@]}" -d '{"method":1}' "$url/v1/taps"
check "a UID that is too short" gets 400 bad-input one "${json[@]}" -d '{"method":"ev2","uid":"04","cryptogram":"00112233445566778899AABBCCDDEEFF"}' "$url/v1/taps"
head -c 70000 /dev/zero | tr '\0' ' ' >"$work/big"
check "a body that is too large" gets 413 too-large one "${json[@]}" --data-binary "@$work/big" "$url/v1/taps"
check "a body that is too large, of a request that may be repeated" gets 413 too-large one "${json[@]}" -H 'Idempotency-Key: big' --data-binary "@$work/big" "$url/v1/taps"
check "the same from nobody" gets 413 too-large "" "${json[@]}" -H 'Idempotency-Key: big' --data-binary "@$work/big" "$url/v1/enrolment"
sleep 2 # within the rate again
tap='{"method":"ev2","uid":"04A1B2C3D4E5F6","cryptogram":"00112233445566778899AABBCCDDEEFF"}'
name=$(api one "${json[@]}" -d "$tap" "$url/v1/taps" | sed 's/.*"tap":"\([^"]*\)".*/\1/')
answer='{"answer":"'$(printf '00%.0s' {1..32})'","status":"9100"}'
check "another station's tap is not to be seen" gets 404 not-found two "${json[@]}" -d "$answer" "$url/v1/taps/$name"
check "a tap that nobody began" gets 404 not-found one "${json[@]}" -d "$answer" "$url/v1/taps/0000AAAAAAAAAAAAAAAAAAAAAAAAAAAA"
check "a PIN before the proof" gets 404 not-found one "${json[@]}" -d '{"box":"00"}' "$url/v1/taps/$name/pin"
check "a false proof" gets 422 card-auth one "${json[@]}" -d "$answer" "$url/v1/taps/$name"
check "the same again" gets 404 not-found one "${json[@]}" -d "$answer" "$url/v1/taps/$name"
many() {
    local i
    for ((i = 0; i < 16; i++)); do api one "${json[@]}" -d "$tap" "$url/v1/taps" >/dev/null; done
    gets 503 vault-busy one "${json[@]}" -d "$tap" "$url/v1/taps"
}
check "a station with too many open taps is held back" many
check "the other station is not" bash -c "$(declare -f api); work='$work' home='$home'; api two -H 'Content-Type: application/json' -d '$tap' '$url/v1/taps' | grep -q frame"
check "a key used for two requests" bash -c "$(declare -f gets api); work='$work' home='$home'
    api admin -H 'Content-Type: application/json' -H 'Idempotency-Key: a' -d '{\"name\":\"x1\"}' '$url/v1/stations' >/dev/null
    gets 422 key-reused admin -H 'Content-Type: application/json' -H 'Idempotency-Key: a' -d '{\"name\":\"x2\"}' '$url/v1/stations'"
check "a one-time code is told once, and not kept" bash -c "$(declare -f gets api); work='$work' home='$home'
    gets 409 answer-lost admin -H 'Content-Type: application/json' -H 'Idempotency-Key: a' -d '{\"name\":\"x1\"}' '$url/v1/stations' &&
    ! sqlite3 '$home/store.db' 'SELECT body FROM reply' | grep -q code"
rate() { # REQUESTS-PER-SECOND: from now on
    local before i
    before=$(grep -c 'taken up' "$work/log")
    sed -i "s/^requests-per-second.*/requests-per-second: $1/" "$home/server.yaml"
    kill -HUP "$server"
    for ((i = 0; i < 50; i++)); do [ "$(grep -c 'taken up' "$work/log")" -gt "$before" ] && return 0; sleep 0.1; done
    return 1
}
flood() { # more than one's rate, and at once again on a connection of its own
    local out
    out=$(api admin -K <(for ((i = 0; i < 260; i++)); do echo "url = \"$url/v1/healthz\""; done) -w '\n')
    grep -q '"code":"too-often"' <<<"$out" || return 1
    for ((i = 0; i < 20; i++)); do api admin "$url/v1/healthz" & done | grep -q '"code":"too-often"'
}
check "a rate that a busy machine exceeds too" rate 2
check "who asks too often is told so, on whatever connections" flood
check "others are not, nor strangers at the same address" bash -c "$(declare -f api); work='$work' home='$home'; api paul '$url/v1/badges' | grep -q items && api '' '$url/v1/healthz' | grep -q alive"
crowd() { # calls of one certificate that take long, while the store is held
    local i asked=() held
    python3 -c 'import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("BEGIN IMMEDIATE")
time.sleep(4)' "$home/store.db" &
    held=$!
    sleep 0.5
    for ((i = 0; i < 40; i++)); do
        api paul "${json[@]}" -d '{}' "$url/v1/badges/99/suspend" >/dev/null &
        asked+=($!)
    done
    sleep 1.5
    curl -sS -m 1 --cacert "$home/pki/ca.pem" --cert "$work/one.pem" --key "$work/one.key" "$url/v1/station/challenges" | grep items
    i=$?
    wait "$held" "${asked[@]}"
    return "$i"
}
check "a rate that lets many in at once" rate 100
sleep 1
check "one certificate that asks much at once leaves others their turn" crowd

# --- the desk
rate 20
sleep 2 # within the rate again
check "an order of something else" gets 400 bad-input admin "${json[@]}" -d '{"what":"clone","uid":"04A1B2C3D4E5F6"}' "$url/v1/desk"
check "an order for a card with half a UID" gets 400 bad-input admin "${json[@]}" -d '{"what":"scan","uid":"04A1"}' "$url/v1/desk"
lost() { # a code that was handed out before its station was revoked
    local out id code
    out=$(api admin "${json[@]}" -d '{"name":"lost"}' "$url/v1/stations")
    id=$(sed 's/.*"id":\([0-9]*\).*/\1/' <<<"$out") code=$(sed 's/.*"code":"\([^"]*\)".*/\1/' <<<"$out")
    api admin "${json[@]}" -d '{}' "$url/v1/stations/$id/revoke" | grep -q '"state":"ended"' &&
        ! "$TESSERE_AGENT" --state "$work/lost" enrol --server "$url" --code "$code" 2>"$work/said" &&
        grep -q 'not a one-time code' "$work/said" && api admin "$url/v1/stations" | grep -q '"name":"lost"[^}]*"state":"ended"'
}
check "a code from before a revocation opens nothing" lost
keyed() { # every call that may be repeated, with a key, and those twice that change nothing in the store
    local path n=0
    for path in $(sed -nE 's/^ROUTE\("POST", "([^"]*)".*/\1/p' "$ROUTES"); do
        path=${path//\{id\}/99}
        for who in admin one; do
            api "$who" "${json[@]}" -H "Idempotency-Key: all$((n++))" -d '{}' "$url${path//\{*([a-z])\}/none}" >/dev/null
            sleep 0.1
        done
    done
    for n in 1 2; do
        api admin "${json[@]}" -H 'Idempotency-Key: scan' -d '{"what":"scan","station":3}' "$url/v1/desk" >"$work/scan.$n"
        api two "${json[@]}" -H 'Idempotency-Key: tap' -d "$tap" "$url/v1/taps" >"$work/tap.$n"
    done
    grep -q '"order"' "$work/scan.1" && cmp "$work/scan.1" "$work/scan.2" &&
        grep -q '"frame"' "$work/tap.1" && cmp "$work/tap.1" "$work/tap.2" &&
        "$TESSERE" --home "$home" journal verify
}
check "every call with a key leaves a journal that verifies" keyed
check "an order for a station that is none" gets 404 not-found admin "${json[@]}" -d '{"what":"scan","station":99}' "$url/v1/desk"
check "a station orders nothing" gets 403 not-permitted one "${json[@]}" -d '{"what":"scan","uid":"04A1B2C3D4E5F6"}' "$url/v1/desk"
order=$(api admin "${json[@]}" -d '{"what":"scan","uid":"04A1B2C3D4E5F6"}' "$url/v1/desk" | sed 's/.*"order":"\([^"]*\)".*/\1/')
check "another operator's order is not to be seen" gets 404 not-found paul "$url/v1/desk/$order"
check "nor moved" gets 404 not-found paul "${json[@]}" -d '{"step":1,"answers":["9100"]}' "$url/v1/desk/$order/answers"
check "nor by a station" gets 404 not-found one "${json[@]}" -d '{"step":1,"answers":["9100"]}' "$url/v1/desk/$order/answers"
check "an order that nobody gave" gets 404 not-found admin "$url/v1/desk/0123"
check "answers that are no list" gets 400 bad-input admin "${json[@]}" -d '{"step":1,"answers":"9100"}' "$url/v1/desk/$order/answers"
check "answers that are too many" gets 400 bad-input admin "${json[@]}" -d '{"step":1,"answers":["9100","9100","9100","9100"]}' "$url/v1/desk/$order/answers"
check "an answer without its status" gets 400 bad-input admin "${json[@]}" -d '{"step":1,"answers":["91"]}' "$url/v1/desk/$order/answers"
check "a step that was not reached" gets 400 bad-input admin "${json[@]}" -d '{"step":9,"answers":["9100"]}' "$url/v1/desk/$order/answers"
check "a plan that was never shown is not approved" gets 400 bad-input admin "${json[@]}" -d '{"step":1,"digest":"'"$(printf '00%.0s' {1..32})"'"}' "$url/v1/desk/$order/approve"
check "an answer that no DESFire gives ends the order" gets 422 not-desfire admin "${json[@]}" -d '{"step":1,"answers":["6D00"]}' "$url/v1/desk/$order/answers"
check "a card that is for no order" gets 404 not-found one "${json[@]}" -d '{"uid":"04A1B2C3D4E5F6"}' "$url/v1/station/desk"
check "a card that no list names is not taken over" gets 404 not-found one "${json[@]}" -d '{"uid":"04A1B2C3D4E5F6"}' "$url/v1/station/takeover"
check "nor one without a UID of its own" gets 404 not-found one "${json[@]}" -d '{"uid":"08A1B2C3"}' "$url/v1/station/takeover"
check "nor by a person" gets 403 not-permitted admin "${json[@]}" -d '{"uid":"04A1B2C3D4E5F6"}' "$url/v1/station/takeover"
check "a takeover is nothing to order" gets 400 bad-input admin "${json[@]}" -d '{"what":"takeover","uid":"04A1B2C3D4E5F6"}' "$url/v1/desk"

# --- a token that hangs: taps wait for it, people do not
hangs() {
    local vault token waiting=() i status=0
    vault=$(pgrep -P "$server" -x tessere-vault) && token=$(pgrep -P "$vault" tessere-token) || return 1
    kill -STOP "$token"
    for ((i = 0; i < 16; i++)); do
        for who in one two three; do
            api "$who" "${json[@]}" -d "$tap" "$url/v1/taps" >/dev/null 2>&1 &
            waiting+=($!)
        done
    done
    sleep 2
    curl -sS -m 5 --cacert "$home/pki/ca.pem" --cert "$work/admin.pem" --key "$work/admin.key" "$url/v1/badges" | grep -q items || status=1
    kill -CONT "$token"
    wait "${waiting[@]}"
    return "$status"
}
sleep 10 # stations may have that many taps again
check "when the token hangs under many taps, people are answered" hangs
asked() { # strangers ask what the vault must answer: more of them than stations have readers
    local vault token waiting=() i status=0
    vault=$(pgrep -P "$server" -x tessere-vault) && token=$(pgrep -P "$vault" tessere-token) || return 1
    kill -STOP "$token"
    for ((i = 0; i < 20; i++)); do
        for what in readyz jwks; do
            api "" "$url/v1/$what" >/dev/null 2>&1 &
            waiting+=($!)
        done
    done
    sleep 1
    curl -sS -m 4 --cacert "$home/pki/ca.pem" --cert "$work/two.pem" --key "$work/two.key" "${json[@]}" -d '{"uid":"04A1B2C3D4E5F6"}' "$url/v1/station/desk" | grep -q '"code":"not-found"' || status=1
    curl -sS -m 4 --cacert "$home/pki/ca.pem" "$url/v1/healthz" | grep -q alive || status=2
    sleep 5
    curl -sS -m 4 --cacert "$home/pki/ca.pem" -w '%{http_code}' "$url/v1/readyz" | grep -q '"code":"token-failed".*503$' || status=3
    kill -CONT "$token"
    wait "${waiting[@]}"
    return "$status"
}
sleep 11 # those taps have ended
check "when the token hangs, strangers who ask for the vault hold no station up" asked
check "and taps go on when it wakes" bash -c "$(declare -f api); work='$work' home='$home'; api two -H 'Content-Type: application/json' -d '$tap' '$url/v1/taps' | grep -q frame"

# --- slowness
stalls() { # a connection that says a byte now and then ends; others are served meanwhile
    local start=$SECONDS
    exec 9<>"/dev/tcp/localhost/$port" || return 1
    for ((i = 0; i < 8; i++)); do
        printf 'x' >&9 2>/dev/null || return 0
        sleep 1
        read -r -t 0.01 -u 9 _
        [ $? -gt 128 ] || { exec 9>&-; [ $((SECONDS - start)) -lt 9 ]; return; }
    done
    exec 9>&-
    return 1
}
check "a connection that only drips is ended" stalls
check "the server lives, and is ready" bash -c "$(declare -f api); work='$work' home='$home'; api '' '$url/v1/readyz' | grep -q ready"
check "every route of the description is there, and no other" bash -c "$(declare -f api); work='$work' home='$home'; api '' '$url/v1/openapi.json' | python3 -c '
import json, re, sys
paths = json.load(sys.stdin)
assert paths[\"openapi\"].startswith(\"3.1\")
told = {(m.upper(), p) for p, o in paths[\"paths\"].items() for m in o}
rows = set(re.findall(r\"ROUTE\(\\\"(\w+)\\\", \\\"([^\\\"]+)\\\"\", open(\"$ROUTES\").read()))
assert told == rows, told ^ rows
print(len(told))
'"
check "the server ends in order" bash -c "kill $server; for i in {1..50}; do kill -0 $server 2>/dev/null || exit 0; sleep 0.1; done; exit 1"
check "the journal verifies" "$TESSERE" --home "$home" journal verify
finish
