#!/usr/bin/env bash
# A ceremony, its rotation and its restoration, each ended at every step that lasts (tests/support/cut.c),
# before and after it. Afterwards no master without a backup is in use, nothing is half done, and the
# same command, or the shares, bring it to its end. TAP output.
#   ceremony.sh [EACH]: every EACH-th step; all of them without it, which takes some minutes
set -uo pipefail
export LC_ALL=C.UTF-8
unset LANGUAGE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
home=$work/home
cp "$CUT" "$work/cut.so" # a space in a path would part LD_PRELOAD
each=${1:-1}
tessere() { "$TESSERE" --home "$home" "$@" </dev/null; }
given() { "$TESSERE" --home "$home" "$@" --confirmed-by Alice,Bert <"$work/shares"; }
words_of() { grep -E '^([a-z]{5} ){21}[a-z]{5}$' "$1" >"$work/shares"; }
keep() { rm -rf "${work:?}/$1" && cp -a "$home" "$work/$1"; }
back() { rm -rf "$home" && cp -a "$work/$1" "$home"; }
backups() { cat "$home"/ceremony/*/backup.json 2>/dev/null; }

# Every key that the store names is in the token, as it was made, and in a backup.
sound() {
    local role generation kcv out
    out=$(tessere --json key list) || { echo "# key list fails"; return 1; }
    while read -r role generation kcv there; do
        [ "$there" = True ] || { echo "# $role $generation is in use and not in the token"; return 1; }
        backups | tr -d '\n ' | grep -q "\"role\":\"$role\",\"generation\":$generation,\"kcv\":\"$kcv\"" ||
            { echo "# $role $generation is in use without a backup"; return 1; }
    done < <(printf '%s' "$out" | python3 -c 'import json,sys
for k in json.load(sys.stdin)["keys"]: print(k["role"], k["generation"], k["kcv"], k["in_token"])')
}
whole() { # COUNT: so many keys, all sound, and the journal holds
    sound && [ "$(tessere --json key list | grep -c '"in_token": true')" = "$1" ] && tessere journal verify >"$work/o" 2>&1
}

# After a cut, whoever held the ceremony goes on: with its shares where a backup was written, else anew.
goes_on_init() {
    words_of "$work/out"
    if [ -n "$(backups)" ]; then
        given ceremony restore >"$work/o" 2>&1
    else
        tessere ceremony init --custodians Xavier,Yves --confirmed-by Alice,Bert >"$work/o" 2>&1
    fi
}
goes_on_rotate() { given ceremony rotate auth >"$work/o" 2>&1; }
goes_on_restore() { given ceremony restore >"$work/o" 2>&1; }
sound_restore() { :; } # until it has ended, the token lacks what the store names

cut_everywhere() { # NAME START KEYS COMMAND...
    local name=$1 start=$2 keys=$3 side n status tried=0 bad=0
    shift 3
    for side in before after; do
        for ((n = 1; n < 500; n += each)); do
            back "$start"
            local -a cut=("LD_PRELOAD=$work/cut.so" "CUT_AT=$n")
            [ "$side" = before ] || cut+=(CUT_AFTER=1)
            env "${cut[@]}" "$TESSERE" --home "$home" "$@" --confirmed-by Alice,Bert <"$work/shares" >"$work/out" 2>&1
            status=$?
            [ "$status" = 99 ] || break
            tried=$((tried + 1))
            if [ "$name" != restore ] && ! sound >"$work/why"; then
                bad=$((bad + 1)) && echo "# $name, $side step $n: $(cat "$work/why")"
            # a rotation that was cut after the store knew it is followed by one more
            elif ! "goes_on_$name" || ! { whole "$keys" || { [ "$name" = rotate ] && whole $((keys + 1)); }; }; then
                bad=$((bad + 1)) && echo "# $name, $side step $n: cannot be brought to its end: $(tail -2 "$work/o" | head -1)"
            fi
            [ "$name" != init ] || : >"$work/shares"
        done
        [ "$status" = 0 ] || { echo "# $name ends with status $status without a cut: $(tail -2 "$work/out")"; bad=$((bad + 1)); }
    done
    [ "$bad" = 0 ] || printf 'not '
    echo "ok - $name: cut at $tried steps"
    [ "$bad" = 0 ] && [ "$tried" -gt $((20 / each)) ]
}

: >"$work/shares"
tessere init --finess 750712184 --ceremony >/dev/null || exit 1
keep empty
result=0
cut_everywhere init empty 6 ceremony init --custodians Xavier,Yves || result=1
back empty
tessere ceremony init --custodians Xavier,Yves --confirmed-by Alice,Bert >"$work/out" || exit 1
words_of "$work/out"
keep made
cut_everywhere rotate made 7 ceremony rotate auth || result=1
back made
rm -rf "$home"/token
keep lost
cut_everywhere restore lost 6 ceremony restore || result=1
echo "1..3"
exit $result
