#!/usr/bin/env bash
# The database is lost, the token is lost, both are lost: every badge taps again, and the time that
# it took. What is left: the configuration, the directory of the ceremony, and two custodians' shares.
# Run inside with-pcscd (script/loss). TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"

home=$work/home
export LC_ALL=C.UTF-8
unset LANGUAGE
badges=(ev1 ev2 ev3 ev2b)
tessere() { "$TESSERE" --home "$home" --wait 5 "$@" </dev/null; }
with_shares() { "$TESSERE" --home "$home" "$@" --confirmed-by Alice,Bert <"$work/shares"; }
on() { # IMAGE ARGUMENT...
    local image=$1 status=0
    shift
    insert 0 "$work/$image" && tessere "$@" || status=$?
    remove 0
    return "$status"
}
each() { # ARGUMENT...: on every badge; NAME stands for its name
    local name
    for name in "${badges[@]}"; do on "$name" "${@//NAME/$name}" || return 1; done
}
none_taps() {
    local name
    for name in "${badges[@]}"; do ! on "$name" tap || return 1; done
}

# comes_back NAME COMMAND...: it does, every badge taps, and the journal holds
comes_back() {
    local name=$1 start
    shift
    start=$(date +%s%N)
    check "$name: what is left brings the establishment back" "$@"
    check "$name: every badge taps again" each tap
    echo "# $name: ${#badges[@]} badges tap again $((($(date +%s%N) - start) / 1000000)) ms later, with the cards' coming and going"
    check "$name: the journal is whole" tessere journal verify
}

check "masters are made in a ceremony: two custodians, one share each" bash -c "
    '$TESSERE' --home '$home' init --finess 750712184 --name Hospital --ceremony &&
        '$TESSERE' --home '$home' ceremony init --custodians Xavier,Yves --confirmed-by Alice,Bert >'$work/words' </dev/null &&
        grep -E '^([a-z]{5} ){21}[a-z]{5}\$' '$work/words' >'$work/shares'"
for name in "${badges[@]}"; do
    "$TESSERE_CARD" new --ev "${name%b}" --uid "04A1B2C3D4$(printf '%s' "$name" | sha256sum | cut -c 1-4 | tr a-f A-F)" "$work/$name" >/dev/null
done
check "badges are encoded" each badge enrol --ref NAME --name NAME --yes
check "they tap" each tap
cp -a "$home" "$work/kept"

rm -f "$home"/store.db*
check "the database is deleted: nobody taps" none_taps
database() { tessere adopt --name Hospital --yes && each badge enrol --ref NAME --name NAME --yes; }
comes_back "without database" database

rm -rf "$home"
cp -a "$work/kept" "$home"
rm -rf "$home/token"
check "the token is deleted: nobody taps" none_taps
comes_back "without token" with_shares ceremony restore

rm -rf "$home"
both() {
    tessere init --finess 750712184 --name Hospital --ceremony && cp -a "$work/kept/ceremony" "$home/ceremony" &&
        with_shares ceremony restore && each badge enrol --ref NAME --name NAME --yes
}
check "all is deleted, and a copy of the ceremony's directory is left: nobody taps" none_taps
comes_back "without both" both
finish
