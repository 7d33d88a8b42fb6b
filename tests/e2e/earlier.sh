#!/usr/bin/env bash
# Backups as earlier versions made them (tests/vectors/backups), restored by this one: verified, brought
# to this schema, their masters back, their badges tapped. Run inside with-pcscd. TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"

export LC_ALL=C.UTF-8
unset LANGUAGE
schema=$(sed -n 's/^STORE_MIGRATION(\([0-9]*\),.*/\1/p' "$MIGRATIONS" | sort -n | tail -1)
tessere() { "$TESSERE" --home "$home" --wait 5 "$@" </dev/null; }
restored() {
    tessere backup restore "$vector"/*.backup --custodian "$vector/custodian.key" --key "$(cat "$vector/journal.key")" &&
        [ "$(sqlite3 "$home/store.db" 'SELECT max(version) FROM schema')" = "$schema" ]
}
masters_back() { "$TESSERE" --home "$home" ceremony restore --confirmed-by Alice,Bert <"$vector/shares"; }
verifies() { tessere journal verify --key "$(cat "$vector/journal.key")" && tessere journal verify; }
on() { # CARD COMMAND...: the card is on the reader meanwhile
    local status=0 card=$1
    shift
    insert 0 "$work/$card.card" && tessere "$@" || status=$?
    remove 0
    return "$status"
}
taps() { # CARD CODE: ok, or the refusal
    local out
    out=$(on "$1" --json tap 2>&1) || true
    printf '%s\n' "$out" | grep -E "\"(outcome|code)\": *\"$2\"" || { printf '%s\n' "$out"; return 1; }
}

for vector in "$VECTORS"/*/; do
    vector=${vector%/} name=$(basename "$vector") home=$work/$name
    check "$name: it is restored, and brought to this schema" restored
    check "$name: its masters come back" masters_back
    check "$name: its journal verifies by the key of then" verifies
    [ -e "$vector/anne.card" ] || continue
    cp "$vector/anne.card" "$vector/bruno.card" "$work/"
    check "$name: its badge taps" taps anne ok
    check "$name: the one that was revoked is refused" taps bruno badge-revoked
    # Before 0.1.0 nothing told encoded from handed over, and those badges count as handed over.
    case $name in schema*) issued=2 ;; *) issued=0 ;; esac
    check "$name: $issued badges count as handed over" bash -c "'$TESSERE' --home '$home' stock list --json | grep -q '\"issued\": $issued'"
    "$TESSERE_CARD" new --ev ev2 --uid 04A1B2C3D4E5F8 "$work/new.card" >/dev/null
    check "$name: another is encoded" on new badge enrol --ref chloe --name Chloe --yes
    check "$name: and taps" taps new ok
    check "$name: the journal goes on" verifies
    rm -f "$work"/*.card
done
finish
