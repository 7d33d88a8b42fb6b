#!/usr/bin/env bash
# The memory of a station's agent under load, searched: taps with PIN on two readers, an enrolment by
# the desk over the same relay. No key of a badge, no master key, no PIN, no PIN of the token. The
# dump is taken the whole time, and what a person typed is searched for between taps: while it is
# typed it is there. Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"
export LC_ALL=C.UTF-8
unset LANGUAGE
home=$work/home port=18451 url=https://localhost:18451 pin=805274196352
server_pid="" agent_pid=""
tessere() { "$TESSERE" --home "$home" --wait 5 "$@" </dev/null; }
end_all() {
    exec 7>&-
    for pid in $agent_pid $server_pid; do kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done
    leave
}
trap end_all EXIT

set_up() {
    tessere init --finess 750712184 --name Hospital &&
        tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port $port &&
        tessere person add olga --roles administrator,operator --out "$work/olga" || return 1
    printf 'rules:\n  - {group: "", factor: pin-always}\n' >"$home/policy.yaml"
    "$TESSERED" --home "$home" >"$work/server.log" 2>&1 &
    server_pid=$!
    for ((i = 0; i < 100; i++)); do grep -q ready "$work/server.log" && break; sleep 0.1; done
    local n
    for n in 1 2; do
        "$TESSERE_CARD" new --ev ev$((n + 1)) --uid 04A1B2C3D4E50$n "$work/card$n" >/dev/null && insert 0 "$work/card$n" &&
            tessere badge enrol --ref "1000$n" --name "Holder $n" --yes && remove 0 &&
            echo $pin | "$TESSERE" holder pin "1000$n" --server $url --identity "$work/olga" --ca "$home/pki/ca.pem" || return 1
    done
    "$TESSERE_CARD" new --ev ev2 --uid 04A1B2C3D4E5F9 "$work/card3" >/dev/null
    "$SOFTHSM_VALUES" "$home/token/tokens" "$home/token/pin" >"$work/masters" &&
        [ "$(wc -l <"$work/masters")" -ge 6 ]
}

start_agent() {
    local code
    code=$(curl -sS --cacert "$home/pki/ca.pem" --cert "$work/olga.pem" --key "$work/olga.key" -H 'Content-Type: application/json' \
        -d '{"name":"one"}' $url/v1/stations | sed 's/.*"code":"\([^"]*\)".*/\1/')
    "$TESSERE_AGENT" --state "$work/st" enrol --server $url --code "$code" && mkfifo "$work/keyboard" || return 1
    "$TESSERE_AGENT" --state "$work/st" --json --ask-pin run <>"$work/keyboard" >"$work/agent.out" 2>"$work/agent.log" &
    agent_pid=$!
    exec 7>"$work/keyboard"
    for ((i = 0; i < 100; i++)); do grep -q ready "$work/agent.log" && return 0; sleep 0.1; done
    return 1
}

told() { wc -l <"$work/agent.out"; }
until_told() { # COUNT: the agent has told that many outcomes
    local i
    for ((i = 0; i < 150; i++)); do
        [ "$(told)" -ge "$1" ] && return 0
        sleep 0.1
    done
    return 1
}
search() { # ARGUMENT...: of search_memory, which must be root where the agent is not dumpable
    "${SUDO[@]}" "$SEARCH_MEMORY" "$agent_pid" "$@"
}
SUDO=()
[ "$(id -u)" = 0 ] || SUDO=(sudo -n)
images=(--image "$work/card1" --image "$work/card2")

load() { # taps on both readers, searched all the time
    local round before
    (while [ ! -e "$work/over" ]; do search "${images[@]}" --hex "$work/masters" --text "$(cat "$home/token/pin")" || : >"$work/found"; done) >"$work/searches" 2>&1 &
    local searcher=$!
    for ((round = 0; round < 4; round++)); do
        before=$(told)
        printf '%s\n%s\n' $pin $pin >&7
        insert 0 "$work/card1" && insert 1 "$work/card2" && until_told $((before + 2)) || break
        remove 0
        remove 1
    done
    : >"$work/over"
    wait $searcher
    cat "$work/searches" "$work/agent.out"
    [ "$round" = 4 ] && [ "$(grep -c '"outcome":"ok"' "$work/agent.out")" = 8 ]
}

desk() { # an enrolment over the agent's relay
    local pid
    "$TESSERE" badge enrol --ref 10003 --name "Holder 3" --yes --server $url --identity "$work/olga" --ca "$home/pki/ca.pem" --station 1 </dev/null >"$work/ordered" 2>&1 &
    pid=$!
    for ((i = 0; i < 100; i++)); do grep -q "reader of station 1" "$work/ordered" && break; sleep 0.1; done
    insert 0 "$work/card3" && wait $pid && remove 0
}

check "a hospital with two badges and their PINs; the masters are known to this test" set_up
check "the agent runs" start_agent
check "badges tap on both readers while its memory is searched" load
check "it was searched several times" test "$(grep -c "0 found" "$work/searches")" -ge 3
check "no key of a badge, no master key and no PIN of the token was there" test ! -e "$work/found"
check "no typed PIN is left after the taps" search --text $pin --times 3
check "a badge is enrolled over its relay" desk
check "none of its new keys is left, nor any other" search "${images[@]}" --image "$work/card3" --hex "$work/masters" --times 3
check "the search finds what is there" bash -c "! $(declare -p SUDO | sed 's/declare -a //'); \"\${SUDO[@]}\" '$SEARCH_MEMORY' $agent_pid --text 'localhost:18451'; [ \$? = 1 ]"
awk '/found$/ { n++; for (i = 1; i < NF; i++) if ($(i + 1) == "bytes:") b += $i } END { print "# " n " searches under load, " b " bytes in all" }' "$work/searches"
finish
