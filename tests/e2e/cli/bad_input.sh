#!/usr/bin/env bash
# Each thing that can go wrong at a desk has an error of its own: its stable name, its exit status,
# a remedy; and nothing is lost. Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../../support/card.sh"
export LC_ALL=C
home=$work/home

tessere() {
    "$TESSERE" --home "$home" "$@"
}

new_card() { # NAME [option]...
    local name=$1
    shift
    "$TESSERE_CARD" new --memory 8k "$@" "$work/$name" >/dev/null
}

# fails STATUS NAME ARGUMENT...: tessere ends with this status and this error, and says a remedy
fails() {
    local wanted=$1 name=$2 out status=0
    shift 2
    out=$(tessere --json "$@" 2>&1) || status=$?
    printf '%s\n' "$out"
    [ "$status" = "$wanted" ] || { echo "exit status $status, not $wanted"; return 1; }
    grep -q "\"code\": \"$name\"" <<<"$out" || { echo "the error is not $name"; return 1; }
    grep -qE '"remedy": ".{5,}"' <<<"$out" || { echo "no remedy"; return 1; }
    grep -q "\"exit\": $wanted" <<<"$out"
}

works() {
    tessere "$@"
}

without_pcscd() {
    PCSCLITE_CSOCK_NAME=$work/nobody fails 4 pcsc-down card scan
}

without_reader() {
    fails 4 no-reader card scan --reader "No Such Reader"
}

with_two_cards() {
    new_card second --ev ev1
    insert 1 "$work/second" && fails 4 two-cards card scan && remove 1
}

enrol() {
    works badge enrol --ref 10001234567 --name "Ada Test" --yes
}

tear_and_repair() {
    remove 0
    new_card torn --ev ev3
    insert 0 "$work/torn" --tear after:20 --back 700 || return 1
    fails 4 card-removed badge enrol --ref 10007654321 --name "Bob Test" --yes || return 1
    # put back half done, it opens nothing
    fails 3 badge-not-enrolled tap --wait 5 || fails 5 key-too-weak tap --wait 5 || return 1
    works badge repair --yes --wait 5 && works tap --wait 5
}

of_another_establishment() {
    local mine=$home
    home=$work/other
    works init --finess 130786049 --name "Another" >/dev/null || return 1
    fails 5 card-auth tap --wait 2 && fails 5 card-foreign badge repair --yes
    local status=$?
    home=$mine
    return $status
}

that_is_no_desfire() {
    remove 0
    python3 "$(dirname "$0")/other_card.py" "$TESSERE_CARD_PORT" &
    local pid=$! status=0
    for ((i = 0; i < 100; i++)); do
        is_present 0 && break
        sleep 0.1
    done
    fails 5 not-desfire card scan || status=$?
    kill $pid
    wait $pid 2>/dev/null
    return $status
}

that_is_full() {
    remove 0
    new_card full --ev ev2 --memory 2k
    insert 0 "$work/full" || return 1
    local aid size # applications of others, with a file each, leave some hundred bytes
    while read -r aid size; do
        opensc-tool --reader 0 -s "905A00000300000000" -s "90CA000005${aid}0F0100" \
            -s "905A000003${aid}00" -s "90CD0000070100EEEE${size}00" >/dev/null 2>&1
    done <<<$'010000 200200\n020000 200200\n030000 200100'
    fails 5 card-full badge enrol --ref 1 --name Full --yes
}

with_a_wrong_pin() {
    printf 'not-the-pin' >"$work/pin"
    chmod 600 "$work/pin"
    fails 6 token-pin-wrong key list --pin-file "$work/pin"
}

without_a_pin() {
    fails 6 token-pin-source key list --pin-file "$work/no-such-pin"
}

without_token() {
    cp "$home/tessere.yaml" "$work/kept.yaml"
    sed -i 's|token=Tessere|token=Nobody|' "$home/tessere.yaml"
    local status=0
    fails 6 token-absent key list || status=$?
    cp "$work/kept.yaml" "$home/tessere.yaml"
    works key list && return $status
}

without_module() {
    cp "$home/tessere.yaml" "$work/kept.yaml"
    sed -i 's|module-path=[^;&"]*|module-path=/no/such/module.so|' "$home/tessere.yaml"
    local status=0
    fails 6 token-module key list || status=$?
    cp "$work/kept.yaml" "$home/tessere.yaml"
    return $status
}

with_a_malformed_profile() {
    sed 's/^application:/applicatoin:/' "$PROFILES/hospital.yaml" >"$work/bad.yaml"
    local out
    out=$(fails 2 profile-syntax profile check "$work/bad.yaml") || { echo "$out"; return 1; }
    grep -qE 'bad.yaml:[0-9]+: applicatoin' <<<"$out"
}

with_no_establishment() {
    local mine=$home
    home=$work/nowhere
    fails 2 not-initialised badge list
    local status=$?
    home=$mine
    return $status
}

twice_set_up() {
    fails 2 config init --finess 750712184
}

with_a_locked_store() {
    sqlite3 "$home/store.db" <<<'BEGIN IMMEDIATE;
.shell sleep 8' &
    local pid=$! status=0
    sleep 1
    fails 7 store-locked badge suspend 1 || status=$?
    kill $pid 2>/dev/null
    wait $pid 2>/dev/null
    return $status
}

of_a_newer_version() {
    cp "$home/store.db" "$work/kept.db"
    sqlite3 "$home/store.db" 'INSERT INTO schema VALUES (999)' || return 1
    local status=0
    fails 7 store-newer badge list || status=$?
    sqlite3 "$home/store.db" 'DELETE FROM schema WHERE version = 999'
    works badge list && return $status
}

that_is_damaged() {
    local mine=$home
    home=$work/damaged
    cp -r "$mine" "$home"
    rm -f "$home"/store.db-*
    head -c 8192 /dev/urandom >"$home/store.db"
    fails 7 store-corrupt badge list
    local status=$?
    home=$mine
    return $status
}

that_is_not_there() {
    local mine=$home
    home=$work/gone
    cp -r "$mine" "$home"
    rm -f "$home"/store.db*
    fails 7 store-open badge list
    local status=$?
    home=$mine
    return $status
}

in_a_wrong_state() {
    fails 8 badge-state badge reinstate 1 && fails 8 not-found badge show 999
}

with_wrong_words() {
    fails 2 usage badge && fails 2 usage tap --no-such && fails 2 usage key rotate nobody &&
        fails 2 usage badge show abc && fails 2 usage badge enrol
}

insert 0 "$work/none" >/dev/null 2>&1 # no such image: nothing is on the reader
check "an establishment is set up" works init --finess 750712184 --name "CH Test"
check "the PC/SC service down is told" without_pcscd
check "no reader is told" without_reader
check "no card is told" fails 4 no-card card scan
new_card first --ev ev2
check "a card is put on the reader" insert 0 "$work/first"
check "two cards are told" with_two_cards
check "a badge is enrolled" enrol
check "a badge that is enrolled is not enrolled again" fails 8 duplicate badge enrol --ref 2 --name X --yes
check "a badge of another establishment is left alone" of_another_establishment
check "a torn enrolment is repaired" tear_and_repair
check "a card that is not a DESFire is told" that_is_no_desfire
check "a full card is told before anything is written" that_is_full
check "a wrong PIN is told" with_a_wrong_pin
check "a PIN file that is not there is told" without_a_pin
check "a token that is not there is told, and found when it is named again" without_token
check "a module that is not there is told" without_module
check "a malformed profile is told with its line" with_a_malformed_profile
check "a home without an establishment is told" with_no_establishment
check "an establishment is not set up twice" twice_set_up
check "a locked store is told" with_a_locked_store
check "a store of a newer version is told" of_a_newer_version
check "a damaged store is told" that_is_damaged
check "a store that is not there is told" that_is_not_there
check "a badge in a wrong state is told" in_a_wrong_state
check "wrong words are told" with_wrong_words
finish
