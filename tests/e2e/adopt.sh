#!/usr/bin/env bash
# The database is lost: the token and the badges bring it back. Run by meson inside with-pcscd. TAP
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

tessere init --finess 750712184 --name Hospital >"$work/init"
badges=(anne bruno chloe denis)
n=0
for name in "${badges[@]}"; do
    n=$((n + 1))
    "$TESSERE_CARD" new --ev "$([ $((n % 2)) = 1 ] && echo ev2 || echo ev1)" --uid "04A1B2C3D4E5F$n" "$work/$name" >/dev/null
    on "$name" badge enrol --ref "1000$n" --name "$name" --yes >/dev/null
done
cp "$home/store.db" "$work/before.db"
tessere key rotate auth --yes >"$work/rotated"
mv "$work/before.db" "$home/store.db" # as if it had been cut between the token and the database
gone_on() { tessere key rotate auth --yes >"$work/again" && cat "$work/rotated" "$work/again" && cmp "$work/rotated" "$work/again"; }
check "a rotation that was cut after its key was made goes on with that key" gone_on
on anne badge repair --yes >/dev/null
check "a badge of the new generation taps" on anne tap
check "one that has not followed yet taps too" on bruno tap
tessere key list --json | python3 -c 'import json,sys; print(sorted([k["role"], k["generation"], k["state"], k["kcv"]] for k in json.load(sys.stdin)["keys"]))' >"$work/keys.before"

check "an establishment that has its database is left as it is" refused initialised tessere adopt --yes
cp "$home/store.db" "$work/kept.db"
rm -f "$home"/store.db*
check "without its database nothing is known" bash -c "! '$TESSERE' --home '$home' badge list"
check "nothing is made anew without approval" bash -c "! '$TESSERE' --home '$home' adopt </dev/null"
start=$(date +%s%N)
check "the database is made anew from the token" bash -c "set -o pipefail; '$TESSERE' --home '$home' adopt --name Hospital --yes </dev/null | tee '$work/adopted'"
check "its keys are listed as minutes list them" bash -c "grep -o 'key [a-z]*' '$work/adopted' | uniq | tr -d '\n' | grep -x 'key picckey appkey authkey readkey writekey seal'"
check "that a generation was compromised is to be said again" grep -q 'compromise ROLE GENERATION' "$work/adopted"
tessere key list --json | python3 -c 'import json,sys; print(sorted([k["role"], k["generation"], k["state"], k["kcv"]] for k in json.load(sys.stdin)["keys"]))' >"$work/keys.after"
check "each key, generation and check value is as it was" diff "$work/keys.before" "$work/keys.after"
check "twice is refused" refused initialised tessere adopt --yes
check "a badge is not known yet: refused, and not damaged" refused badge-unknown on anne tap
unchanged() { # NAME REF: taken in again, and nothing written to its keys
    local before after
    before=$(on "$1" card scan --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["keys"])') &&
        on "$1" badge enrol --ref "$2" --name "$1" --yes &&
        after=$(on "$1" card scan --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["keys"])') || return 1
    printf '%s\n' "$before" "$after"
    [ "$before" = "$after" ]
}
check "a badge of the newest generation is taken in again, its keys untouched" unchanged anne 10001
for name in bruno chloe denis; do
    check "$name's is taken in, and brought to the newest generation" on "$name" badge enrol --ref "1000x$name" --name "$name" --yes
done
for name in "${badges[@]}"; do check "$name's badge taps again" on "$name" tap; done
echo "# database lost, ${#badges[@]} badges: $((($(date +%s%N) - start) / 1000000)) ms until each tapped again, cards put on and taken off by hand"
check "the journal begins anew, is whole and says so" bash -c "'$TESSERE' --home '$home' journal verify && sqlite3 '$home/store.db' \"SELECT body FROM entry\" | grep -q '\"kind\":\"adopt\"'"
printf 'tampered' >"$home/profile.yaml"
rm -f "$home"/store.db*
check "with a profile that is none, nothing is made" bash -c "! '$TESSERE' --home '$home' adopt --yes </dev/null"

# A token that knows approvers does not take a history without them.
other=$work/other
"$TESSERE" --home "$other" init --finess 690781810 >/dev/null
"$TESSERE" --home "$other" server setup --hosts DNS:localhost >/dev/null
for name in alice carl; do "$TESSERE" --home "$other" person add $name --roles administrator --out "$work/$name" >/dev/null; done
"$TESSERE" --home "$other" roster found >/dev/null
rm -f "$other"/store.db*
check "with a roster in the token, only a copy of the database helps" refused refused "$TESSERE" --home "$other" adopt --yes
finish
