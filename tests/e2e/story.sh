#!/usr/bin/env bash
# A hospital's day, end to end: server, vault, station and badge, through a real pcscd. Reads as a
# story. Run by meson inside with-pcscd, once with keys that stay in the token: what follows the
# script's name is for `tessere init`. TAP output.
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"

# The assertion of the last tap is verified with the published keys, by openssl.
assertion_verifies() {
    tail -1 "$work/agent.out" >"$work/last.json"
    curl -sS --cacert "$home/pki/ca.pem" "https://localhost:$port/v1/jwks" >"$work/jwks.json"
    python3 - "$work" <<'P'
import base64, json, subprocess, sys
work = sys.argv[1]
def raw(text): return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
def integer(b):
    b = b.lstrip(b"\0") or b"\0"
    return b"\x02" + bytes([len(b) + (b[0] >> 7)]) + (b"\0" if b[0] >> 7 else b"") + b
token = json.load(open(work + "/last.json"))["assertion"]
head, body, signature = token.split(".")
key = [k for k in json.load(open(work + "/jwks.json"))["keys"] if k["kid"] == json.loads(raw(head))["kid"]][0]
point = b"\x04" + raw(key["x"]) + raw(key["y"])
spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point
s = raw(signature)
der = integer(s[:32]) + integer(s[32:])
open(work + "/k.der", "wb").write(spki)
open(work + "/s.der", "wb").write(b"\x30" + bytes([len(der)]) + der)
open(work + "/m", "w").write(head + "." + body)
claims = json.loads(raw(body))
print(claims)
assert claims["sub"] == "10001234567" and claims["amr"] == ["hwk"] and claims["station"] == "ward-1"
assert claims["exp"] > claims["iat"] and claims["generation"] == 1
subprocess.run(["openssl", "dgst", "-sha256", "-verify", work + "/k.der", "-keyform", "DER",
                "-signature", work + "/s.der", work + "/m"], check=True)
P
}

says() { # PATTERN ARGUMENT...
    local pattern=$1
    shift
    tessere "$@" >"$work/said" 2>&1
    cat "$work/said"
    grep -qE -- "$pattern" "$work/said"
}
check "the hospital is set up" tessere init --finess 750712184 --name Hospital "$@"
check "a server is set up, with a CA of its own" \
    tessere server setup --hosts DNS:localhost,IP:127.0.0.1 --address 127.0.0.1 --port $port
check "Alice administers it" tessere person add alice --roles administrator --out "$work/alice"
check "Olga works at the badge desk" tessere person add olga --roles operator --out "$work/olga"
cat >"$home/policy.yaml" <<'Y'
pin: {tries: 3, pauses: [0]}
rules:
  - {group: "", factor: badge}
  - {group: pharmacy, factor: pin-always}
Y
check "the server starts" start_server

check "Alice adds a station and gets its one-time code" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call alice POST /v1/stations '{\"name\":\"ward-1\",\"group\":\"ward\"}' >'$work/station.json' && grep -q code '$work/station.json'"
code=$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")
check "a code with a wrong sign is noticed at once" \
    bash -c "! '$TESSERE_AGENT' --state '$work/st' enrol --server https://localhost:$port --code '${code/[A-Z]/0}0'"
check "the station is enrolled by its code" \
    "$TESSERE_AGENT" --state "$work/st" enrol --server "https://localhost:$port" --code "$code"
check "the code is good for one station" \
    bash -c "! '$TESSERE_AGENT' --state '$work/st2' enrol --server https://localhost:$port --code '$code'"
check "a badge is enrolled for nurse Anne" enrol_badge ev2 04A1B2C3D4E5F6 anne 10001234567 "Anne Martin"
check "an old EV1 badge is enrolled for Bruno" enrol_badge ev1 04B1B2B3B4B5B6 bruno 10007654321 "Bruno Petit"
olga=(--server "https://localhost:$port" --identity "$work/olga" --ca "$home/pki/ca.pem" --wait 5)
on_desk() { # IMAGE COMMAND...: Olga's own reader, the server's vault
    local image=$1 status=0
    shift
    insert 0 "$work/$image" || return 1
    "$TESSERE" "$@" "${olga[@]}" </dev/null || status=$?
    remove 0
    return $status
}
same_scan() { # what the server tells of a card is what the desk sees itself
    insert 0 "$work/anne" && tessere card scan >"$work/scan.here" &&
        "$TESSERE" card scan "${olga[@]}" >"$work/scan.there" </dev/null && remove 0 &&
        diff "$work/scan.here" "$work/scan.there"
}
for name in chloe denis; do "$TESSERE_CARD" new --ev ev3 --uid "04C1C2C3C4C5$(printf %02X "'$name")" "$work/$name" >/dev/null; done
check "Olga asks the server what card this is: it says what the desk would say" same_scan
refused_without_yes() {
    on_desk chloe badge enrol --ref 10001112223 --name "Chloe Roux"
    [ $? = 3 ] && on_desk chloe --json card scan | grep -q '"has_application": *false'
}
check "a plan that Olga does not approve is not written" refused_without_yes
check "she enrols Chloe's badge through the server" on_desk chloe badge enrol --ref 10001112223 --name "Chloe Roux" --until 2099-12-31 --yes
torn_at_server() {
    insert 0 "$work/denis" --tear after:2:C4
    ! "$TESSERE" badge enrol --ref 10003334445 --name "Denis Blanc" --yes "${olga[@]}" </dev/null &&
        remove 0 && on_desk denis badge repair --yes && on_desk denis card scan --json | grep -q '"conform": *true'
}
check "Denis's is lifted in the middle of a key change: repaired through the server" torn_at_server
check "the station's agent starts" start_agent st
ordered() { # IMAGE COMMAND...: at the desk's word, on the station's reader
    local image=$1 pid i
    shift
    "$TESSERE" "$@" "${olga[@]}" --station 1 </dev/null >"$work/ordered" 2>&1 &
    pid=$!
    for ((i = 0; i < 100; i++)); do
        grep -q "reader of station 1" "$work/ordered" && break
        sleep 0.1
    done
    outcome ok "$image" && tail -1 "$work/agent.out" | grep -q '"desk":true'
    wait $pid && cat "$work/ordered"
}
"$TESSERE_CARD" new --ev ev2 --uid 04D1D2D3D4D5D6 "$work/emma" >/dev/null
check "Olga takes a batch of cards in" "$TESSERE" stock receive --supplier Printer --count 5 --name A0 "${olga[@]}"
check "Olga orders Emma's badge, the card is put down in the ward" ordered emma badge enrol --ref 10005556667 --name "Emma Noir" --yes --batch 1
check "it is of the batch" says 'blank 4, begun 0, encoded 1,' stock list
check "Emma taps there: granted" outcome ok emma
check "Olga has the badge made blank there" ordered emma badge blank --yes
check "then it is not one of ours" outcome card-foreign emma
check "Chloe taps: granted" outcome ok chloe
check "Anne taps: granted" outcome ok anne
check "the assertion of her tap verifies with the published keys" assertion_verifies
check "Bruno taps with AuthenticateAES: granted" outcome ok bruno
"$TESSERE_CARD" new --ev ev2 --uid 04FFFFFFFFFFFF "$work/blank" >/dev/null
check "a blank card is not ours" outcome card-foreign blank
check "the agent ends" stop_agent
check "Alice adds a station in the pharmacy" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call alice POST /v1/stations '{\"name\":\"pharmacy-1\",\"group\":\"pharmacy\"}' >'$work/station.json'"
code=$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")
check "it is enrolled" "$TESSERE_AGENT" --state "$work/ph" enrol --server "https://localhost:$port" --code "$code"
check "its agent starts" start_agent ph
check "Anne taps in the pharmacy: she needs a PIN and has none" outcome pin-missing anne
check "at the desk she sets one" bash -c "echo 135790 | '$TESSERE' holder pin 10001234567 --server https://localhost:$port --identity '$work/olga' --ca '$home/pki/ca.pem'"
typed() { # PIN... and then the tap of Anne
    local pin
    for pin in "$@"; do echo "$pin" >&7; done
}
typed 135790
check "she taps and types it: granted" outcome ok anne
check "her assertion says so" grep -q . "$work/agent.out"
check "with badge and PIN" python3 -c "
import base64,json
t=json.loads(open('$work/agent.out').read().splitlines()[-1])['assertion'].split('.')[1]
assert json.loads(base64.urlsafe_b64decode(t+'=='))['amr']==['hwk','pin']"
typed 000000 135790
check "she mistypes it once: granted at the second try" outcome ok anne
typed 000000 111111 222222
check "three wrong ones in a row: locked" outcome pin-locked anne
check "Olga ends the lock" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call olga POST /v1/holders/10001234567/pin/unlock | grep -q '\"pin_locked\":false'"
typed 135790
check "granted again" outcome ok anne
check "the pharmacy's agent ends" stop_agent
check "the first station's agent starts again" start_agent st
check "Olga suspends Bruno's badge" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call olga POST /v1/badges/2/suspend '{\"reason\":\"forgotten\"}' | grep -q suspended"
check "Bruno taps: refused" outcome badge-suspended bruno
check "Olga may not add stations" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call olga POST /v1/stations '{\"name\":\"x\"}' | grep -q not-permitted"
check "Anne's badge is lost: Olga revokes it" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call olga POST /v1/badges/1/revoke '{\"reason\":\"lost\"}' | grep -q revoked"
check "whoever found it taps: refused" outcome badge-revoked anne
check "Olga ends Bruno's suspension" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call olga POST /v1/badges/2/reinstate | grep -q active"
# The same commands by the server, with a person's own rights and nothing of the establishment's here.
far() { # PERSON ARGUMENT...
    local who=$1
    shift
    TESSERE_IDENTITY=$work/$who TESSERE_CA=$home/pki/ca.pem "$TESSERE" --server "https://localhost:$port" "$@" </dev/null
}
same() { # PERSON ARGUMENT...: the server says what the desk says
    local who=$1
    shift
    tessere "$@" >"$work/said.here" && far "$who" "$@" >"$work/said.far" && cat "$work/said.far" &&
        diff "$work/said.here" "$work/said.far"
}
check "Olga lists the badges by the server: as at the desk" same olga badge list
check "and only Emma's" same olga badge list --holder "mma Noi"
check "and in JSON" same olga badge list --json
check "and shows one with its history" same olga badge show 2
check "and lists the holders" same olga holder list
check "Alice lists people" same alice person list
check "and stations" same alice station list --json
same_keys() {
    local wanted='import json,sys; print([[k[n] for n in ("role","generation","state","kcv")] for k in json.load(sys.stdin)["keys"]])'
    [ "$(tessere key list --json | python3 -c "$wanted")" = "$(far olga key list --json | python3 -c "$wanted")" ]
}
check "the keys are the same" same_keys
check "Olga suspends Bruno's badge by the command" far olga badge suspend 2 --reason "forgotten again"
check "Bruno taps: refused again" outcome badge-suspended bruno
check "she ends that" far olga badge reinstate 2
check "she suspends Bruno himself" far olga holder suspend 10007654321
check "he taps: refused as a person" outcome holder-suspended bruno
check "she ends that too" far olga holder reinstate 10007654321
check "he taps: granted" outcome ok bruno
check "she lends it until a day that is over" far olga badge validity 2 --until 2026-01-31 --temporary
check "he taps: refused" outcome badge-expired bruno
check "from a day that is still to come, at the desk" tessere badge validity 2 --from 2099-01-01
check "he taps: refused" outcome badge-not-yet-valid bruno
check "without limit again" far olga badge validity 2
check "he taps: granted" outcome ok bruno
issued_only() {
    cp "$home/policy.yaml" "$work/policy.before" 2>/dev/null || printf 'rules:\n  - {group: "", factor: badge}\n' >"$work/policy.before"
    { echo "issued-only: true" && cat "$work/policy.before"; } >"$home/policy.yaml" && kill -HUP "$server_pid" && sleep 1
}
check "from now on only badges that were handed over are taken" issued_only
check "he taps: refused, his was not" outcome not-issued bruno
check "it is handed over" far olga badge issue 2
check "he taps: granted" outcome ok bruno
cp "$work/policy.before" "$home/policy.yaml" && kill -HUP "$server_pid" && sleep 1
far_says() { # PATTERN ARGUMENT...
    local pattern=$1
    shift
    far olga "$@" >"$work/said" 2>&1
    cat "$work/said"
    grep -qE -- "$pattern" "$work/said"
}
printf 'badge,ref\n3,10001112223\n1,10001234567\n' >"$work/handed.csv"
check "a list is handed over whole or not: Anne's badge is revoked" far_says 'handed.csv:3: badge: badge 1 is revoked' badge issue "$work/handed.csv"
check "the office has Chloe's still" says 'the office has it' badge show 3
sed -i 3d "$work/handed.csv"
check "then it is handed over" far_says '1 badge is handed over' badge issue "$work/handed.csv"
check "she brings it back" far_says 'is back' badge return 3 --reason left
check "it is destroyed" far_says '1 destroyed' stock destroy --badge 3 --reason shredded
check "a card is missing" far_says '1 lost' stock lose --batch 1 --count 1 --reason "not in the box"
check "that many are not there" far_says 'has 4 blank cards, not 5' stock lose --batch 1 --count 5 --reason "not in the box"
check "the server counts as the desk does" same olga stock list
check "and in JSON" same olga stock list --json
check "a batch is told alone" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call olga GET /v1/stock/batches/1 | grep -q '\"lost\":1'"
check "a day that is none is refused by name" bash -c "'$TESSERE' --home '$home' badge validity 2 --until 31/01/2026 2>&1 | grep -q 2027-03-31"
check "a badge that is none is said to be none" bash -c "$(declare -f far); work='$work' home='$home' port=$port TESSERE='$TESSERE'; ! far olga badge show 999 && far olga badge show 999 --json | grep -q '\"code\": *\"not-found\"'"
not_olga() {
    local status=0
    far olga station add x || status=$?
    [ "$status" = 3 ]
}
check "Olga may not add stations by the command either" not_olga
third_station() {
    far alice station add lab-1 --group lab --json >"$work/third.json" && grep -q '"code"' "$work/third.json" &&
        far alice station suspend 3 && far alice station reinstate 3 && far alice station revoke 3 &&
        far alice station list | grep lab-1 | grep -q ended
}
check "Alice adds a station, and ends it" third_station
check "and reads the newest checkpoint" bash -c "$(declare -f far); work='$work' home='$home' port=$port TESSERE='$TESSERE'; far alice journal checkpoint | head -1 | grep -q '^tessere/750712184$'"
approver() { # PERSON ARGUMENT...
    local who=$1
    shift
    "$TESSERE" "$@" --server "https://localhost:$port" --identity "$work/$who" --ca "$home/pki/ca.pem" </dev/null
}
echo "stock-two-people: true" >>"$home/tessere.yaml"
check "cards need two people, and nobody could be the second" says 'no roster of approvers' stock receive --supplier Printer --count 3
check "Carl keeps keys too" tessere person add carl --roles custodian --out "$work/carl"
check "from now on keys need two approvals" tessere roster found --quorum 2
check "nobody makes a master key alone any more" bash -c "! '$TESSERE' --home '$home' key rotate auth --yes"
check "nobody takes a batch in alone either" says 'proposal make "stock-receive 3; Printer; A1; "' stock receive --supplier Printer --count 3 --name A1
check "nor writes a badge off" says 'proposal make "stock-lose badge 2; in the lift"' stock lose --badge 2 --reason "in the lift"
check "Alice proposes a rotation" approver alice proposal make "rotate auth"
check "she approves it: that is one" approver alice proposal approve 1 --yes
check "she cannot approve it twice" bash -c "! '$TESSERE' proposal approve 1 --yes --server https://localhost:$port --identity '$work/alice' --ca '$home/pki/ca.pem'"
check "Olga may not approve" bash -c "! '$TESSERE' proposal approve 1 --yes --server https://localhost:$port --identity '$work/olga' --ca '$home/pki/ca.pem'"
check "the key is not there yet" bash -c "[ \"\$('$TESSERE' --home '$home' key list | grep -c ' 2 ')\" = 0 ]"
check "Carl approves: the vault makes the key" bash -c "'$TESSERE' proposal approve 1 --yes --server https://localhost:$port --identity '$work/carl' --ca '$home/pki/ca.pem' | grep -q done"
check "generation 2 is active" bash -c "'$TESSERE' --home '$home' key list | grep -E 'auth +2 +in use'"
check "Alice proposes the batch" approver alice proposal make "stock-receive 3; Printer; A1"
check "she approves it" approver alice proposal approve 2 --yes
check "she is not the second person too" bash -c "! '$TESSERE' proposal approve 2 --yes --server https://localhost:$port --identity '$work/alice' --ca '$home/pki/ca.pem'"
check "the batch is not there yet" bash -c "! '$TESSERE' --home '$home' stock list | grep -q 'Batch 2'"
check "Carl approves it" approver carl proposal approve 2 --yes
check "the batch is there" says 'Batch 2: 3 cards of Printer' stock list
check "a proposal that no person could mean is refused" says 'batch ID COUNT; REASON' proposal make "stock-destroy batch 1; bent" --server "https://localhost:$port" --identity "$work/alice" --ca "$home/pki/ca.pem"
check "Alice proposes that one was bent" approver alice proposal make "stock-destroy batch 2 1; bent"
check "and approves it" approver alice proposal approve 3 --yes
check "and Carl does" approver carl proposal approve 3 --yes
check "two are left" says 'blank 2, .*destroyed 1' stock list
check "Bruno taps with his old key: still good" outcome ok bruno
mapfile -t vaults < <(pgrep -P "$server_pid" tessere-vault)
check "the vault dies" kill -9 "${vaults[@]}"
sleep 1
check "Bruno taps: the server has started it again" outcome ok bruno
check "the server is stopped and started" bash -c "kill $server_pid; while kill -0 $server_pid 2>/dev/null; do sleep 0.1; done"
check "it is back" start_server
check "it takes no batch in from one alone either" far_says 'proposal make "stock-receive 9; Printer; ; "' stock receive --supplier Printer --count 9
check "Bruno taps: the station has found it again" outcome ok bruno
check "Alice revokes the station" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call alice POST /v1/stations/1/revoke | grep -q ended"
check "Bruno taps there: the station is refused" outcome station-revoked bruno
check "the agent ends" stop_agent
check "Bruno leaves; his badge is revoked" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call olga POST /v1/badges/2/revoke '{\"reason\":\"left\"}' | grep -q revoked"
check "what was answered about him is kept for a repeated request" bash -c "curl -sS -m 10 --cacert '$home/pki/ca.pem' --cert '$work/olga.pem' --key '$work/olga.key' -H 'Content-Type: application/json' -H 'Idempotency-Key: bruno' -d '{}' https://localhost:$port/v1/holders/10007654321/leave | grep -q ended && sqlite3 '$home/store.db' 'SELECT body FROM reply' | grep -q 10007654321"
check "nobody has him forgotten alone" bash -c "! '$TESSERE' --home '$home' journal erase 10007654321 --yes"
check "Alice proposes it; the proposal does not hold his number" bash -c "$(declare -f approver); work='$work' home='$home' port=$port; approver alice proposal make 'erase 10007654321' >'$work/erase' && ! grep -q 10007654321 '$work/erase'"
erase=$(sed -n 's/^number //p' "$work/erase")
check "Alice approves" approver alice proposal approve "$erase" --yes
check "Carl approves: Bruno is forgotten" bash -c "$(declare -f approver); work='$work' home='$home' port=$port; approver carl proposal approve $erase --yes | grep -q done"
check "the server ends" stop_server
check "no trace of his number is in the store" bash -c "! grep -aq 10007654321 '$home/store.db'"
check "the journal of the day verifies" tessere journal verify
finish
