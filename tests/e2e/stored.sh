#!/usr/bin/env bash
# Badge keys that are drawn and kept in the database, of role auth; the others are derived: a badge's
# life, a backup put back, and what the database's loss costs. Run by meson inside with-pcscd. TAP
# output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"

home=$work/home
export LC_ALL=C.UTF-8
unset LANGUAGE
tessere() { "$TESSERE" --home "$home" --wait 5 "$@" </dev/null; }
on() { # IMAGE ARGUMENT...
    local image=$1 status=0
    shift
    insert 0 "$work/$image" && tessere "$@" || status=$?
    remove 0
    return "$status"
}
refused() { # CODE COMMAND...
    local code=$1 out
    shift
    out=$("$@" --json)
    echo "$out"
    grep -q "\"code\": *\"$code\"" <<<"$out"
}
stored() { # COUNT
    local n
    n=$(sqlite3 "$home/store.db" 'SELECT count(*) FROM stored_key')
    echo "$n stored keys"
    [ "$n" = "$1" ]
}
said() { # CHECK RESULT: of the doctor
    tessere doctor --json >"$work/doctor" # which may have other advice
    python3 -c '
import json, sys
found = {k["check"]: k["result"] for k in json.load(sys.stdin)["checks"]}
print(found)
sys.exit(found[sys.argv[1]] != sys.argv[2])' "$1" "$2" <"$work/doctor"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/alice.key" -subj /CN=alice -out "$work/alice.pem" 2>/dev/null
for ((n = 1; n <= 3; n++)); do "$TESSERE_CARD" new --ev "ev$n" --uid "04A1B2C3D4E5F$n" "$work/card$n" >/dev/null; done

check "a role that is to be both is refused by name" bash -c "
    '$TESSERE' --home '$work/none' init --finess 750712184 --in-token auth --stored read,auth 2>&1 | grep 'both name auth' && [ ! -e '$work/none' ]"
check "an establishment whose auth keys are stored" tessere init --finess 750712184 --name Hospital --stored auth
both() { sed 's/^stored:.*/&\nin-token: auth/' "$home/tessere.yaml" >"$work/both" && mkdir -p "$work/bad" && cp "$work/both" "$work/bad/tessere.yaml" && "$TESSERE" --home "$work/bad" key list --json </dev/null; }
check "nor does its configuration name one twice" bash -c "$(declare -f both); home='$home' work='$work' TESSERE='$TESSERE'; both | grep 'both name auth'"
lists() { tessere key list --json | python3 -c 'import json,sys; print([k["role"] for k in json.load(sys.stdin)["keys"] if k["stored"]])' | grep "^\['auth'\]$"; }
check "the list of keys says so" lists
check "the doctor advises a backup while there is none" said stored-backup advice
for ((n = 1; n <= 3; n++)); do
    check "an EV$n badge is enrolled" on "card$n" badge enrol --ref "1000$n" --name "Holder $n" --yes
    check "and taps" on "card$n" tap
done
check "each has one stored key" stored 3
check "a scan finds it to conform" bash -c "$(declare -f on insert remove is_present tessere); declare -A card_pid; $(declare -p work home TESSERE TESSERE_CARD TESSERE_CARD_PORT); on card2 card scan --json | grep -q '\"conform\": *true'"
check "no key is in the database in clear: its bytes are wrapped" bash -c "sqlite3 '$home/store.db' 'SELECT DISTINCT length(wrapped) FROM stored_key' | grep -x 24"

# --- the next generation -----------------------------------------------------------------------------
check "auth is rotated" tessere key rotate auth --yes
check "a badge that is behind taps" on card1 tap
check "it is brought to the new generation, with another stored key" on card1 badge repair --yes
check "and taps" on card1 tap
check "both its keys are there" stored 4
torn() {
    insert 0 "$work/card2" --tear after:1:C4
    ! tessere badge repair --yes && remove 0 && on card2 tap && on card2 badge repair --yes && on card2 tap
}
check "one that is torn in the middle of it taps, is repaired, and taps" torn
check "a badge is returned to blank" on card3 badge blank --yes
check "and enrolled again" on card3 badge enrol --ref 10003 --name "Holder 3" --yes
check "and taps" on card3 tap

# --- moved and altered -------------------------------------------------------------------------------
cp "$home/store.db" "$work/kept.db"
sqlite3 "$home/store.db" "UPDATE stored_key SET wrapped = (SELECT wrapped FROM stored_key WHERE badge = x'7504A1B2C3D4E5F1' AND generation = 2) WHERE badge = x'7504A1B2C3D4E5F3' AND generation = 2"
check "another badge's key in its place is refused" refused stored-key-broken on card3 tap
check "and found by who verifies the journal" refused journal-broken tessere journal verify
cp "$work/kept.db" "$home/store.db"
rm -f "$home"/store.db-*

# --- a backup, and the loss --------------------------------------------------------------------------
check "a backup is made" tessere backup create --recipients "Alice=$work/alice.pem"
check "the doctor is content with it" said stored-backup ok
mv "$home" "$work/lost"
check "all is lost but the token: the backup is put back" bash -c "
    '$TESSERE' --home '$home' backup restore '$work'/lost/backup/*.backup --custodian '$work/alice.key' &&
        mv '$work/lost/token' '$home/token'"
for ((n = 1; n <= 3; n++)); do check "badge $n taps again" on "card$n" tap; done
check "the journal verifies" tessere journal verify
sed -i 's/^stored:.*//' "$home/tessere.yaml"
check "a configuration that forgets what is stored is found by the doctor" said stored-keys trouble
echo "stored: auth" >>"$home/tessere.yaml"
rm -f "$home"/store.db*
check "without a backup, the loss is told by name before anything is made anew" bash -c "
    out=\$('$TESSERE' --home '$home' adopt </dev/null 2>&1); echo \"\$out\"; grep -q 'role auth are stored' <<<\"\$out\" && grep -q 'backup restore' <<<\"\$out\""
told() { tessere adopt --yes --json | tee "$work/adopted" | python3 -c 'import json,sys; print(json.load(sys.stdin)["lost"])' | grep "'role': 'auth'"; }
check "it is made anew all the same when that is said" told
check "a badge does not tap: its stored key is missing" refused stored-key-missing on card1 tap
check "nor is it taken in as it is" bash -c "! '$TESSERE' --home '$home' badge list | grep -q 10001"
finish
