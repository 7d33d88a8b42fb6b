#!/usr/bin/env bash
# A rotation that nobody notices: badges follow it inside their taps at a station, torn or not; the
# old generation ends when nothing needs it. Server, vault, agent, pcscd are real. TAP output.
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
stays=1

# campaign PATTERN: `tessere campaign show` says so; the number of the campaign is in $number
campaign() {
    local out
    out=$(tessere campaign show "${number:-1}" 2>&1)
    echo "$out"
    grep -qE -- "$1" <<<"$out"
}

refused() { # PATTERN COMMAND...
    local out pattern=$1
    shift
    ! out=$("$@" 2>&1) && grep -qE -- "$pattern" <<<"$out" || { echo "$out"; return 1; }
}

approve() { # the proposal in $work/made, by both
    local id who
    id=$(sed -n 's/^number //p' "$work/made")
    for who in alice bert; do
        "$TESSERE" --server "https://localhost:$port" --identity "$work/$who" --ca "$home/pki/ca.pem" proposal approve "$id" --yes || return 1
    done
}

by_both() { # WHAT: alice proposes it, bert approves too
    "$TESSERE" --server "https://localhost:$port" --identity "$work/alice" --ca "$home/pki/ca.pem" proposal make "$1" >"$work/made" || return 1
    approve
}

far() { # the same figures by the server
    "$TESSERE" --server "https://localhost:$port" --identity "$work/olga" --ca "$home/pki/ca.pem" "$@"
}

sums() { # what the groups say adds up to what is said of all
    far --json campaign show "${number:-1}" | python3 -c '
import json, sys
o = json.load(sys.stdin)
for k in ("all", "done", "seen", "not_seen", "failed"):
    assert sum(g[k] for g in o["groups"]) == o["badges"][k], k
assert all(g["done"] + g["seen"] + g["not_seen"] == g["all"] for g in o["groups"])'
}

move_to() { # STATE: the reader is another station's from now on
    stop_agent
    start_agent "$1"
}

same_figures() {
    diff <(tessere campaign show 1) <(far campaign show 1) && diff <(tessere campaign list) <(far campaign list) &&
        diff <(tessere campaign badges 1) <(far campaign badges 1)
}

check "the hospital is set up" tessere init --finess 750712184 --name Hospital "$@"
check "a server is set up" tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port $port
check "Alice administers it" tessere person add alice --roles administrator --out "$work/alice"
check "so does Bert" tessere person add bert --roles administrator --out "$work/bert"
check "Olga works at the badge desk" tessere person add olga --roles operator --out "$work/olga"
check "the server starts" start_server
call alice POST /v1/stations '{"name":"ward-1","group":"ward"}' >"$work/station.json"
code=$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")
check "a station is enrolled" "$TESSERE_AGENT" --state "$work/st" enrol --server "https://localhost:$port" --code "$code"
call alice POST /v1/stations '{"name":"lab-1","group":"lab"}' >"$work/station.json"
code=$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")
check "and one of another group" "$TESSERE_AGENT" --state "$work/lab" enrol --server "https://localhost:$port" --code "$code"
check "a badge for Anne, an EV2" enrol_badge ev2 04A1B2C3D4E501 anne 10001 "Anne Martin"
check "one for Bruno, an EV1" enrol_badge ev1 04A1B2C3D4E502 bruno 10002 "Bruno Petit"
check "one for Chloe" enrol_badge ev3 04A1B2C3D4E503 chloe 10003 "Chloe Roux"
check "one for Denis, who is on leave" enrol_badge ev2 04A1B2C3D4E504 denis 10004 "Denis Faure"
check "the station is ready" start_agent st
check "Anne taps" outcome ok anne
check "there is no campaign without a rotation" refused "no campaign 1" tessere campaign resume 1
check "the key of taps is rotated: its badges follow" bash -c "'$TESSERE' --home '$home' --json key rotate auth --yes </dev/null | grep -q '\"generation\": 2'"
check "nobody is done" campaign '0 of 4 badges are done'
check "Anne's badge counts where it tapped last" campaign 'stations "ward": 0 done, 0 seen, 1 not seen; 0 failed'
check "those of whom no station knows count apart" campaign 'never tapped: 0 done, 0 seen, 3 not seen; 0 failed'
check "the old generation is needed" bash -c "! '$TESSERE' --home '$home' --json badge show 1 | grep -q '\"auth\": 2'"
check "Anne taps and is let in" outcome ok anne
check "her badge has its new key" campaign '1 of 4 badges are done'
check "she taps again" outcome ok anne
check "Bruno, with his EV1" outcome ok bruno
check "he is done" campaign '2 of 4 badges are done'
check "Chloe is let in, and takes her badge away in the middle of it" outcome ok chloe --tear after:1:C4
check "she is not done, or nobody knows yet" campaign '[23] of 4 badges are done'
check "she is let in all the same" outcome ok chloe
check "by her second tap the campaign has her" outcome ok chloe
check "she is done, and nothing failed" campaign '3 of 4 badges are done'
check "all three in the ward, where they were" campaign 'stations "ward": 3 done, 0 seen, 0 not seen; 0 failed'
check "which adds up" sums
check "what the server tells is the same" same_figures
check "Denis is who lacks" bash -c "'$TESSERE' --home '$home' campaign badges 1 | grep -c Faure | grep -qx 1"
check "Olga may pause it" far campaign pause 1 --reason "lunch"
check "it is paused" campaign 'paused: lunch'
check "Olga may not resume it" refused 'role may not' far campaign resume 1
check "the reader moves to the laboratory" move_to lab
check "Denis is back, and taps" outcome ok denis
check "his badge stays as it is" campaign '1 tapped since, and are not done'
check "and counts in the laboratory" campaign 'stations "lab": 0 done, 1 seen, 0 not seen; 0 failed'
check "that adds up too" sums
check "and is the same by the server" same_figures
check "it goes on" tessere campaign resume 1
check "a pace is set" tessere campaign limit 1 --pace 600 --pause-at 30
check "from now on two decide" tessere roster found
check "the old generation cannot be retired: Denis needs it" refused 'still needed' by_both "retire auth 1"
check "nor the one in use" refused 'still needed' by_both "retire auth 2"
check "nor by one alone: it is to be proposed" refused 'proposal make "retire auth 1 write-off"' tessere key retire auth 1 --write-off
check "Denis taps" outcome ok denis
check "all are done" campaign '4 of 4 badges are done'
check "he in the laboratory" campaign 'stations "lab": 1 done, 0 seen, 0 not seen; 0 failed'
check "the others in the ward" campaign 'stations "ward": 3 done, 0 seen, 0 not seen; 0 failed'
check "and it adds up" sums
check "the reader moves back to the ward" move_to st
check "now it can be retired" by_both "retire auth 1"
check "and with it the campaign has ended" campaign 'ended: the former generation is retired'
check "Anne taps" outcome ok anne

# A generation that leaked.
check "the key is rotated again, by two" by_both "rotate auth"
number=2
check "a campaign begins" campaign 'to generation 3, running'
check "Anne taps, and is done" outcome ok anne
check "the former generation is declared compromised" by_both "compromise auth 2"
check "hers counts in the ward, and his not seen in the laboratory" campaign 'stations "lab": 0 done, 0 seen, 1 not seen; 0 failed'
check "of two groups and with one done, it adds up" sums
check "Bruno is refused, and told what to do" outcome generation-compromised bruno
check "Anne is not" outcome ok anne
printf 'compromised-days: 7\nrules: [{group: "", factor: badge}]\n' >"$work/policy.yaml"
"$TESSERE" --server "https://localhost:$port" --identity "$work/alice" --ca "$home/pki/ca.pem" proposal make policy --file "$work/policy.yaml" >"$work/made"
check "a week is given to such badges, by two" approve
sleep 1.2
check "a policy that takes such badges for a week wants their PIN" outcome pin-missing bruno
check "three are left" campaign '1 of 4 badges are done'
tessere campaign pause 2 >/dev/null
check "they are written off, exactly they" by_both "retire auth 2 write-off"
check "Chloe is refused: her badge is too old" outcome generation-retired chloe
check "the station stops" stop_agent

# A badge of others whose takeover was torn, and the generation that it was given then ends.
printf 'layouts:\n  - {id: library, application: "F585C0", crypto: aes, keys: 4, proof-key: 1, diversification: shared, old-application: delete}\n' >"$work/fleet.yaml"
printf 'uid,ref,name\n04A1B2C3D4E5F9,10009,Emma Blanc\n' >"$work/list.csv"
echo 00000000000000000000000000000000 >"$work/keys"
chmod 600 "$work/keys"
theirs() {
    "$TESSERE_CARD" new --ev ev2 --uid 04A1B2C3D4E5F9 "$work/emma" >/dev/null && insert 0 "$work/emma" &&
        opensc-tool --reader 0 --send-apdu 90:5A:00:00:03:00:00:00:00 --send-apdu 90:CA:00:00:05:C0:85:F5:0B:84:00 >"$work/theirs" 2>&1 && remove 0
}
torn() {
    theirs && tessere fleet import "$work/list.csv" && insert 0 "$work/emma" --tear after:3:C4 &&
        refused 'left before the work was done' tessere badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes && remove 0
}
check "a takeover is torn in the middle" torn
check "the key is rotated once more" by_both "rotate auth"
check "and what the torn badge has is declared compromised" by_both "compromise auth 3"
check "the server stops" stop_server
insert 0 "$work/emma"
check "at the desk it goes on all the same" tessere badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes
check "and its holder is let in" tessere tap --count 1
remove 0
check "the journal verifies" tessere journal verify
finish
