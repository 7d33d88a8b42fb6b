#!/usr/bin/env bash
# The work of an encoding desk, with the real programs on a real pcscd: each command, and each way
# in which it can be refused. Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"

profiles=$(cd "$(dirname "$0")/../../share/profiles" && pwd)
export LC_ALL=C.UTF-8
unset LANGUAGE

tessere() {
    "$TESSERE" --home "${home:-$work/home}" --wait "${wait:-5}" "$@" </dev/null
}

new_card() { # NAME [option]...
    local name=$1
    shift
    "$TESSERE_CARD" new "$@" "$work/$name" >/dev/null
}

# exits STATUS CODE ARGUMENT...: tessere refuses with this exit status and this stable code
exits() {
    local wanted=$1 code=$2 status=0 out
    shift 2
    out=$(tessere --json "$@" 2>&1) || status=$?
    [ "$status" = "$wanted" ] && [ "$(field error code <<<"$out")" = "$code" ] || {
        printf 'exit status %s, wanted %s %s\n%s\n' "$status" "$wanted" "$code" "$out"
        return 1
    }
}

# field NAME...: the value at this path of the JSON on the standard input
field() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1:]:
    value = value[int(name) if isinstance(value, list) else name]
print(value)' "$@" 2>&1
}

says() { # PATTERN ARGUMENT...
    local pattern=$1 out
    shift
    out=$(tessere "$@" 2>&1) || { printf '%s\n' "$out"; return 1; }
    grep -qiE -- "$pattern" <<<"$out" || { printf 'no line like: %s\n%s\n' "$pattern" "$out"; return 1; }
}

json_is_json() { # ARGUMENT...
    tessere --json "$@" | python3 -m json.tool >/dev/null
}

without_pcscd() {
    PCSCLITE_CSOCK_NAME=$work/nobody exits 4 pcsc-down card scan
}

no_secret_in() { # TEXT FILE...: the PIN of the embedded token stands in none of them
    ! grep -rlF -f "$work/home/token/pin" "$@"
}

is_blank() { # the directory of the card in slot 0 is empty, and its key is the factory's
    says 'factory key' card scan && says 'applications +none' card scan
}

foreign_card() {
    python3 "$(dirname "$0")/foreign_card.py" "$TESSERE_CARD_PORT" &
    card_pid[0]=$!
    until is_present 0; do sleep 0.1; done
}

wrong_pin() {
    echo 000000 >"$work/wrong"
    chmod 600 "$work/wrong"
    exits 6 token-pin-wrong --pin-file "$work/wrong" key list
}

torn_at() { # EV N: the enrolment is torn at the N-th ChangeKey, repaired, tapped and blanked
    local image=torn-$1-$2
    new_card "$image" --ev "$1" --memory 4k
    insert 0 "$work/$image" --tear "after:$2:C4" || return 1
    local status=0
    wait=1 tessere badge enrol --ref "$image" --name Torn --yes || status=$?
    [ "$status" = 4 ] || return 1
    remove 0
    insert 0 "$work/$image" || return 1
    tessere badge repair --yes && says Torn tap && tessere badge blank --yes && is_blank || return 1
    remove 0
}

put_back_in_time() { # EV: the same command goes on when the card is back
    new_card "back-$1" --ev "$1" --memory 4k
    insert 0 "$work/back-$1" --tear after:2:C4 --back 1500 || return 1
    tessere badge enrol --ref "back-$1" --name Back --yes && says Back tap
}

# --- without a card ---------------------------------------------------------------------------
check "help and version work without anything" eval "'$TESSERE' help && '$TESSERE' version && '$TESSERE' completion | bash -n"
check "an unknown command is refused" eval "'$TESSERE' bogus; [ \$? = 2 ]"
check "no establishment: said" exits 2 not-initialised key list
check "an establishment is set up" tessere init --finess 750712184 --name "Hôpital d'essai"
check "it is not set up twice" eval "! tessere init --finess 750712184 --name again"
check "six roles have a key" eval '[ "$(tessere --json key list | grep -c "\"kcv\"")" = 6 ]'
check "the PIN stands in no file but its own" no_secret_in "$work/home/tessere.yaml" "$work/home/store.db"
check "a wrong PIN is refused" wrong_pin
check "pcscd down: said" without_pcscd
check "no card: said" eval "wait=1 exits 4 no-card card scan"
check "a malformed profile: said" eval 'echo "id: [" >"$work/bad.yaml"; exits 2 profile-syntax profile check "$work/bad.yaml"'
for profile in "$profiles"/*.yaml; do
    check "the profile $(basename "$profile") is sound" tessere profile check "$profile"
done

foreign_card
check "a card that is no DESFire: said" exits 5 not-desfire card scan
remove 0

# --- each kind of card, from blank to blank ---------------------------------------------------
for ev in ev1 ev2 ev3; do
    new_card "$ev" --ev "$ev" --memory 8k
    insert 0 "$work/$ev"
    check "$ev: a blank card is not conform" says 'not conform' card scan
    check "$ev: an unknown badge is refused" exits 3 badge-unknown tap
    check "$ev: it is enrolled" tessere badge enrol --ref "ref-$ev" --name "Holder $ev" --yes
    check "$ev: it conforms" eval "says '^conform' card scan && ! says 'factory key' card scan"
    check "$ev: a tap names the holder" says "Holder $ev" tap
    check "$ev: enrolling it again changes nothing" eval "tessere badge enrol --ref ref-$ev --name 'Holder $ev' --yes; says 'Holder $ev' tap"
    id=$(tessere --json badge list --holder "Holder $ev" | field badges 0 id)
    check "$ev: it is found in the list" [ "${id:-0}" -gt 0 ]
    check "$ev: suspended, it is refused" eval "tessere badge suspend $id --reason leave && exits 3 badge-suspended tap"
    check "$ev: reinstated, it is welcome" eval "tessere badge reinstate $id && says 'Holder $ev' tap"
    check "$ev: blanked, nothing of ours is left" eval "tessere badge blank --yes && is_blank"
    remove 0
    check "$ev: torn and put back in time, the enrolment goes on" put_back_in_time "$ev"
    remove 0
    for n in 1 2 3 4; do
        check "$ev: torn at its key change $n, repaired, blanked" torn_at "$ev" "$n"
    done
done

# --- rotation, two cards, revocation ----------------------------------------------------------
new_card left --ev ev2 --uid 04111111111111
new_card right --ev ev3 --uid 04222222222222
insert 0 "$work/left"
check "a badge is enrolled" tessere badge enrol --ref left --name Gauche --yes
check "its auth key is rotated" tessere key rotate auth --yes
check "a badge of the former generation is still welcome" says Gauche tap
check "its former generation is not retired" exits 8 generation-needed key retire auth 1
check "repaired, it has the new generation" eval "tessere badge repair --yes && says 'generation 2' tap"
check "nor the one in use" exits 8 generation-needed key retire auth 2
check "nor one that is not there" exits 8 not-found key retire auth 7
check "with those that are counted it ends by one command" eval "says '3 badges that have it' key retire auth 1 --write-off && says 'auth  *1  retired' key list"
check "and it is said once" exits 8 badge-state key retire auth 1
check "that it ended the campaign is listed" says 'the former generation is retired' campaign list
check "a generation is to be named" exits 2 usage key retire auth
insert 1 "$work/right"
check "two cards: said" exits 4 two-cards card scan
check "two cards: the reader is named" eval "says 0411111111111 card scan --reader '00 00' && says 0422222222222 card scan --reader '00 01'"
remove 1
id=$(tessere --json badge list --holder Gauche | field badges 0 id)
check "a revoked badge is refused" eval "tessere badge revoke $id --reason lost && exits 3 badge-revoked tap"
check "revoked is for good" eval "! tessere badge reinstate $id"
for command in "badge list" "badge show $id" "key list" "profile show" "card scan"; do
    # shellcheck disable=SC2086
    check "--json of: $command" json_is_json $command
done
check "French is spoken" eval "(LANGUAGE=fr '$TESSERE' --home '$work/none' key list 2>&1; true) | grep -q 'établissement'"
check "a tap is recorded and read again" eval "tessere --record '$work/tape' card scan && says SelectApplication trace '$work/tape'"

# --- another establishment, other profiles ----------------------------------------------------
home=$work/home-other
check "another establishment is set up" tessere init --finess 690781810 --name Autre
check "it cannot tap that badge" eval "tessere tap; s=\$?; [ \$s = 3 ] || [ \$s = 5 ]"
check "it cannot enrol that badge" exits 5 card-foreign badge enrol --ref x --name X --yes
check "what the vault says of it is told in French" eval "(LANGUAGE=fr tessere badge enrol --ref x --name X --yes 2>&1; true) | grep -qF \"la clé de la carte n'est ni l'une des nôtres ni une clé d'usine\""
remove 0
home=$work/home-guest
check "a guest profile is used" tessere init --finess 690781810 --name Invité --profile "$profiles/guest.yaml"
new_card shared --ev ev2
insert 0 "$work/shared"
check "another issuer's application is put on the card" eval "opensc-tool --reader 0 -s 90CA0000050900000F8100 | grep -q 'SW1=0x91, SW2=0x00'"
check "a guest badge is enrolled" tessere badge enrol --ref g --name Invitée --yes
check "a guest badge is tapped" says Invitée tap
check "blanked, the other issuer's application is still there" eval "tessere badge blank --yes && opensc-tool --reader 0 -s 906A000000 | grep -q '09 00 00'"
remove 0
home=$work/home-random
check "a profile for random UIDs is used" tessere init --finess 690781810 --name Hasard --profile "$profiles/hospital-random-uid.yaml"
new_card hidden --ev ev2
insert 0 "$work/hidden"
check "a badge with a random UID is enrolled" tessere badge enrol --ref r --name Hasard --yes
remove 0
insert 0 "$work/hidden"
check "it shows a random UID" eval "opensc-tool --reader 0 -s FFCA000000 | grep -qE '^08 '"
check "it is tapped by its serial" says Hasard tap
finish
