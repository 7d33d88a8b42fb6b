#!/usr/bin/env bash
# Codes from taps, where others ask for a password: FreeRADIUS and LemonLDAP::NG are real, and so are
# agent, server, vault, card and pcscd; their configuration is the blocks of docs/integration. Then
# those who mean it ill. TAP output.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
support=$here/../../support
if [ -z "${TESSERE_CARD_PORT:-}" ]; then # packages need the network that a private pcscd has not
    # shellcheck disable=SC2016
    bash -c '. "$1"; need callouts' - "$here/../../../script/lib.sh" || exit 1
    exec "$support/with-pcscd" "$here/callouts.sh" "$@"
fi
# shellcheck source=tests/support/hospital.sh
. "$support/hospital.sh"
pages=$((port + 10)) portal=$((port + 11)) radius=$((port + 12))
url=https://localhost:$pages
secret=$(openssl rand -hex 32)
radius_pid="" portal_pid="" agent_pid="" server_pid=""
end_all() {
    local pid
    for pid in $agent_pid $server_pid $radius_pid $portal_pid; do kill "$pid" 2>/dev/null; done
    leave
}
trap end_all EXIT

# block PAGE NAME: with this test's addresses, paths and secrets
block() {
    "$support/page-block" "$PAGES/$1.md" "$2" |
        sed -e "s|https://\(llng:[^@]*@\)\?kms.hospital.example:8444|https://\1localhost:$pages|; s|SECRET-OF-VPN|$secret|; s|SECRET-OF-LLNG|$secret|" \
            -e "s|SECRET-OF-THE-GATEWAY|gateway-secret|; s|/etc/tessere/ca.pem|$home/pki/ca.pem|; s|port = 1812|port = $radius|"
}

# --- the hospital ------------------------------------------------------------------------------

set_up() {
    tessere init --finess 750712184 --name Hospital &&
        tessere server setup --hosts DNS:localhost,IP:127.0.0.1 --address 127.0.0.1 --port $port &&
        tessere person add alice --roles administrator,operator --out "$work/alice" || return 1
    printf 'sign-on:\n  issuer: %s\n  port: %s\n  clients: clients.yaml\n' "$url" $pages >>"$home/server.yaml"
    printf %s "$secret" | tee "$home/vpn.secret" >"$home/llng.secret"
    {
        block freeradius client
        block callouts client | tail -n +2
        printf '  - {id: safe, name: {fr: Coffre}, secret-file: vpn.secret, callouts: true, acr: badge+pin}\n'
        printf '  - {id: plain, name: {fr: Autre}, secret-file: vpn.secret, ciba: true}\n'
    } >"$home/clients.yaml"
    printf 'pin: {tries: 5, pauses: [0]}\nrules: [{group: "", factor: badge}]\n' >"$home/policy.yaml"
    start_server || return 1
    call alice POST /v1/stations '{"name":"urg-01"}' >"$work/station.json"
    "$TESSERE_AGENT" --state "$work/st" enrol --server "https://localhost:$port" --code "$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")" || return 1
    enrol_badge ev2 04A1B2C3D4E1F6 anne anne anne && enrol_badge ev2 04A1B2C3D4E2F6 bruno bruno bruno &&
        enrol_badge ev2 04A1B2C3D4E3F6 dwho dwho dwho || return 1
    echo 135790 | "$TESSERE" holder pin anne --server "https://localhost:$port" --identity "$work/alice" --ca "$home/pki/ca.pem" || return 1
    start_agent st
}

# code PARTY BADGE [PIN]: a person asks the station, and taps
code() {
    local pid i
    : >"$work/code.log"
    "$TESSERE_AGENT" --state "$work/st" --language en code --for "$1" >"$work/code" 2>"$work/code.log" </dev/null &
    pid=$!
    for ((i = 0; i < 100; i++)); do
        grep -q reader "$work/code.log" && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.1
    done
    insert 0 "$work/$2" || return 1
    [ -z "${3:-}" ] || echo "$3" >&7
    wait $pid || { cat "$work/code.log" "$work/agent.log"; return 1; }
    remove 0
    cat "$work/code"
    cat "$work/code" >>"$work/codes"
}

# ask PATH BODY [CLIENT]: a callout; its status, then its body
ask() {
    curl -sS -m 10 --cacert "$home/pki/ca.pem" -u "${3:-vpn}:${pass:-$secret}" -H 'Content-Type: application/json' -w '%{http_code} ' -o "$work/said" -d "$2" "$url/callout/$1" && cat "$work/said"
}

says() { # WANTED PATH BODY [CLIENT]
    local got
    got=$(ask "${@:2}")
    echo "$got"
    [ "$got" = "$1" ]
}

journal_says() { # OUTCOME: of the last callout
    sqlite3 "$home/store.db" "SELECT CAST(body AS TEXT) FROM entry WHERE json_extract(CAST(body AS TEXT), '\$.kind') = 'callout' ORDER BY id DESC LIMIT 1" | tee "$work/entry"
    grep -q "\"outcome\":\"$1\"" "$work/entry"
}

check "a hospital with a station and people is set up" set_up

# --- the calls ---------------------------------------------------------------------------------

yes='"result":true' no='200 {"result":false,"info":{}}'
a_code_is_a_password_once() {
    local c
    c=$(code vpn anne) || { echo "$c"; return 1; }
    ask password "{\"user\":\"anne\",\"password\":\"$c\"}" | tee "$work/answer"
    grep -q "^200 .*$yes.*\"uid\":\"anne\".*acr:badge\"" "$work/answer" && says "$no" password "{\"user\":\"anne\",\"password\":\"$c\"}"
}
check "a code from a tap is a password, once" a_code_is_a_password_once

a_code_is_a_second_factor() {
    local c
    c=$(code llng anne) || return 1
    says '200 {"result":true}' 2f/init '{"user":"anne"}' llng && says '200 {"result":true}' 2f/init '{"user":"nobody"}' llng &&
        says '200 {"result":false}' 2f/verify '{"user":"anne","code":"22222222"}' llng &&
        says '200 {"result":true}' 2f/verify "{\"user\":\"anne\",\"code\":\"${c,,}\"}" llng
}
check "a code from a tap is a second factor, in small letters too" a_code_is_a_second_factor

a_pin() {
    local c
    c=$(code safe anne 135790) || return 1
    ask password "{\"user\":\"anne\",\"password\":\"$c\"}" safe | grep "acr:badge+pin"
}
check "a relying party that needs a PIN has each code cost one, at the station" a_pin

others() {
    local c
    sleep 2 # a name has so many tries in a second
    c=$(code vpn anne) || return 1
    says "$no" password "{\"user\":\"anne\",\"password\":\"$c\"}" llng && says "$no" password "{\"user\":\"bruno\",\"password\":\"$c\"}" &&
        ask password "{\"user\":\"anne\",\"password\":\"$c\"}" | grep "$yes"
}
check "a code is of one person and one relying party" others

guessed() {
    local c i
    sleep 5
    c=$(code vpn anne) || return 1
    for i in 2 3 4 5 6; do says "$no" password "{\"user\":\"anne\",\"password\":\"ABCDEFG$i\"}" || return 1; done
    says "$no" password "{\"user\":\"anne\",\"password\":\"$c\"}" && journal_says tap-code-locked
}
check "a code that was guessed at five times counts no more" guessed

expired() {
    local c
    c=$(code vpn bruno) || return 1
    sqlite3 "$home/store.db" "UPDATE tap_code SET expires_at = expires_at - 61 WHERE holder_ref = 'bruno'"
    says "$no" password "{\"user\":\"bruno\",\"password\":\"$c\"}" && journal_says tap-code-late
}
check "a code is worth nothing after a minute" expired

too_often() { # on one connection, which is quick on a busy machine too
    curl -sS -m 10 --cacert "$home/pki/ca.pem" -u "vpn:$secret" -H 'Content-Type: application/json' -w '\n%{http_code}\n' \
        -d '{"user":"whoever","password":"22222222"}' -K <(yes "url = \"$url/callout/password\"" | head -30) >"$work/answer"
    cat "$work/answer"
    tail -1 "$work/answer" | grep -qx 429 && journal_says too-often && says "$no" password '{"user":"other","password":"22222222"}'
}
check "who tries one name often is slowed down, for a name that is nobody's too" too_often

not_clients() {
    pass=wrong ask password '{"user":"anne","password":"x"}' | grep ^403 && ask password '{"user":"anne","password":"x"}' plain | grep ^403 &&
        ! "$TESSERE_AGENT" --state "$work/st" code --for plain && ! "$TESSERE_AGENT" --state "$work/st" code --for nobody
}
check "only a relying party with its secret and callouts: true may ask, and gets codes" not_clients

bad_bodies() {
    local body
    for body in '' '[]' '{"user":{}}' '{"user":"a","user":"b"}' "{\"user\":\"$(printf 'a%.0s' {1..9000})\"}" '{"user":"a\u0000"}'; do
        ask password "$body" | tee "$work/answer" | head -c 60
        grep -qE '^4(00|13)' "$work/answer" || return 1
    done
    says "$no" password "{\"user\":\"$(printf 'a%.0s' {1..600})\",\"password\":\"\"}" && ask password '{"user":1,"password":true}' | grep '"result":false'
}
check "bodies that are none are refused" bad_bodies

same_answer() { # a name that is nobody's, a person without a code, and one with another
    local name
    code vpn dwho || return 1
    for name in nobody bruno dwho; do
        curl -sS -i --cacert "$home/pki/ca.pem" -u "vpn:$secret" -d "user=$name&password=23456789" "$url/callout/password" |
            grep -vi '^date:\|^x-request\|request-id' >"$work/answer.$name" || return 1
    done
    cat "$work/answer.nobody"
    cmp "$work/answer.nobody" "$work/answer.bruno" && cmp "$work/answer.nobody" "$work/answer.dwho"
}
check "nothing in the answer says whether a name is somebody's" same_answer

given_up() { # nobody waits for the code any more: the next tap is not for it
    local pid
    : >"$work/code.log"
    "$TESSERE_AGENT" --state "$work/st" --language en code --for vpn --user anne >"$work/code" 2>"$work/code.log" </dev/null &
    pid=$!
    for ((i = 0; i < 100; i++)); do grep -q reader "$work/code.log" && break; sleep 0.1; done
    sqlite3 "$home/store.db" "SELECT count(*) FROM challenge WHERE state = 0 AND holder_ref = 'anne'" | grep -qx 1 || return 1
    kill $pid
    ! wait $pid && cat "$work/code.log" && [ ! -s "$work/code" ] &&
        sqlite3 "$home/store.db" "SELECT count(*) FROM challenge WHERE state = 0 AND holder_ref = 'anne'" | grep -qx 0
}
check "a code that nobody waits for any more takes nobody's tap" given_up

# --- FreeRADIUS --------------------------------------------------------------------------------

start_radius() {
    local d=$work/raddb
    mkdir -p "$d/run" && block freeradius module >"$d/module" && block freeradius site >"$d/site" && block freeradius nas >"$d/clients" || return 1
    cat >"$d/radiusd.conf" <<R
prefix = /usr
libdir = /usr/lib/freeradius
logdir = $d
run_dir = $d/run
name = radiusd
max_request_time = 15
pidfile = $d/run/pid
security {
    max_attributes = 200
    reject_delay = 0
    status_server = no
}
thread pool {
    start_servers = 2
    max_servers = 4
    min_spare_servers = 1
    max_spare_servers = 2
}
modules {
    expr {
    }
    \$INCLUDE $d/module
}
\$INCLUDE $d/clients
\$INCLUDE $d/site
R
    : >"$work/radius.log"
    freeradius -d "$d" -n radiusd -f -l stdout -xx >"$work/radius.log" 2>&1 &
    radius_pid=$!
    for ((i = 0; i < 100; i++)); do
        grep -q 'Ready to process' "$work/radius.log" && return 0
        kill -0 $radius_pid 2>/dev/null || break
        sleep 0.1
    done
    tail -20 "$work/radius.log"
    return 1
}

radius() { # WANTED USER PASSWORD
    printf 'User-Name = "%s"\nUser-Password = "%s"\nMessage-Authenticator = 0x00\n' "$2" "$3" >"$work/request"
    radclient -x -r 1 -t 8 -f "$work/request" "127.0.0.1:$radius" auth gateway-secret 2>&1 | tee "$work/radius.answer"
    grep -q "Received $1 " "$work/radius.answer"
}

radius_lets_in() {
    local c
    c=$(code vpn anne) || return 1
    radius Access-Accept anne "$c" && grep -A3 'Received Access-Accept' "$work/radius.answer" | grep -q Message-Authenticator &&
        radius Access-Reject anne "$c" && radius Access-Reject anne 'x&client_id=llng' && radius Access-Reject nobody x
}
check "FreeRADIUS starts with the page's configuration" start_radius
check "FreeRADIUS lets a person in by a code, once, with Message-Authenticator" radius_lets_in

radius_without_authenticator() {
    printf 'User-Name = "anne"\nUser-Password = "x"\n' >"$work/request"
    ! radclient -x -r 1 -t 2 -f "$work/request" "127.0.0.1:$radius" auth gateway-secret 2>&1 | tee "$work/radius.answer" | grep 'Received'
}
check "a request without Message-Authenticator is not answered" radius_without_authenticator

revoked() {
    local c
    c=$(code vpn bruno) && call alice POST /v1/badges/2/revoke '{"reason":"lost"}' >/dev/null || return 1
    radius Access-Reject bruno "$c" && journal_says tap-undone
}
check "a badge that is revoked between tap and code lets nobody in" revoked

# --- LemonLDAP::NG -----------------------------------------------------------------------------

start_portal() { # JSON...: blocks, joined
    local d=$work/llng
    [ -z "$portal_pid" ] || { kill "$portal_pid"; wait "$portal_pid" 2>/dev/null; }
    rm -rf "$d"
    mkdir -p "$d/conf" "$d/sessions/lock" "$d/psessions/lock" "$d/notifications"
    cat >"$d/lemonldap-ng.ini" <<I
[all]
localSessionStorage =
[configuration]
type = File
dirName = $d/conf
[portal]
portalSkin = bootstrap
templateDir = /usr/share/lemonldap-ng/portal/templates
staticPrefix = /static
languages = en
I
    python3 - "$d" "http://auth.example.test:$portal" "$@" >"$d/conf/lmConf-1.json" <<'P'
import json, sys
d, portal = sys.argv[1:3]
conf = {"cfgNum": 1, "cfgAuthor": "test", "cfgDate": 1, "cfgVersion": "2.16.1", "domain": "example.test", "portal": portal + "/", "key": "qwertyui",
        "securedCookie": 0, "cookieName": "lemonldap", "whatToTrace": "uid", "requireToken": 0, "tokenUseGlobalStorage": 1,
        "globalStorage": "Apache::Session::File", "globalStorageOptions": {"Directory": d + "/sessions", "LockDirectory": d + "/sessions/lock", "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256"},
        "persistentStorage": "Apache::Session::File", "persistentStorageOptions": {"Directory": d + "/psessions", "LockDirectory": d + "/psessions/lock"},
        "passwordDB": "Null", "registerDB": "Null", "authentication": "Demo", "userDB": "Demo",
        "exportedVars": {"uid": "uid"}, "locationRules": {}, "localSessionStorage": "", "logLevel": "info"}
for text in sys.argv[3:]:
    conf.update(json.loads(text))
print(json.dumps(conf))
P
    LLNG_DEFAULTCONFFILE=$d/lemonldap-ng.ini plackup -o 127.0.0.1 -p $portal -E deployment /usr/share/lemonldap-ng/portal/htdocs/index.psgi >"$work/llng.log" 2>&1 </dev/null &
    portal_pid=$!
    for ((i = 0; i < 150; i++)); do
        curl -s -o /dev/null "http://127.0.0.1:$portal/" && return 0
        kill -0 $portal_pid 2>/dev/null || break
        sleep 0.1
    done
    tail -20 "$work/llng.log"
    return 1
}

form() { # COOKIES PATH FIELD=VALUE...: what the portal answers
    local fields=() f
    for f in "${@:3}"; do fields+=(--data-urlencode "$f"); done
    curl -sS -m 20 -i -b "$1" -c "$1" -H "Host: auth.example.test:$portal" -H 'Accept: text/html' "${fields[@]}" "http://127.0.0.1:$portal$2"
}
is_in() { grep -qi '^set-cookie: lemonldap=[0-9a-f]\{32\}' "$work/page"; }

llng_password() {
    local c
    c=$(code llng anne) && start_portal "$(block callouts password)" || return 1
    form "$work/jar1" / user=anne "password=ABCDEFGH" >"$work/page"
    is_in && return 1
    form "$work/jar2" / user=anne "password=$c" >"$work/page"
    is_in || { head -40 "$work/page"; tail "$work/llng.log"; return 1; }
    grep -rhq 'acr:badge' "$work/llng/sessions" || return 1
    form "$work/jar3" / user=anne "password=$c" >"$work/page"
    ! is_in
}
check "LemonLDAP::NG lets a person in by a code as the password, once" llng_password

token_of() { grep -o 'name="token"[^>]*value="[^"]*"' "$work/page" | sed 's/.*value="//; s/"//'; }
llng_second() {
    local c
    start_portal "$(block callouts second)" && c=$(code llng dwho) || return 1
    form "$work/jar4" / user=dwho password=dwho >"$work/page"
    is_in && return 1
    form "$work/jar4" /rest2fcheck "token=$(token_of)" code=ABCDEFGH >"$work/page2"
    grep -qi '^set-cookie: lemonldap=[0-9a-f]\{32\}' "$work/page2" && return 1
    form "$work/jar5" / user=dwho password=dwho >"$work/page"
    form "$work/jar5" /rest2fcheck "token=$(token_of)" "code=$c" >"$work/page"
    is_in || { head -60 "$work/page"; tail "$work/llng.log"; return 1; }
}
check "LemonLDAP::NG lets nobody in by a password without the code as second factor" llng_second

# --- the end -----------------------------------------------------------------------------------

no_code_in_logs() {
    local c
    [ -s "$work/codes" ] || return 1
    while read -r c; do
        ! grep -rla "$c" "$home" "$work"/*.log --exclude=radius.log || return 1
    done <"$work/codes"
}
check "no code is in the home or a log" no_code_in_logs
verifies() { tessere journal checkpoint >/dev/null && tessere journal verify; }
check "the journal verifies with all that" verifies

server_away() {
    local c
    c=$(code vpn anne) && stop_server || return 1
    server_pid=""
    radius Access-Reject anne "$c"
}
check "FreeRADIUS lets nobody in while the server is away" server_away
finish
