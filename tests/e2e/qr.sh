#!/usr/bin/env bash
# Shares as QR codes, on pages and on a terminal: read by zbarimg, another's decoder, and given back as it
# types them. TAP output.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8
unset LANGUAGE
home=$work/home

tessere() { "$TESSERE" --home "$home" "$@" </dev/null; }
given() { # SHARES WORDS...
    local shares=$1
    shift
    "$TESSERE" --home "$home" "$@" --confirmed-by Alice,Bert <"$shares"
}
scan() { zbarimg --quiet --raw --nodbus "$1"; }
page() { # N: what a reader makes of the code of a page
    sed -n 's/.*\(<svg.*<\/svg>\).*/\1/p' "$work/sheets/share-$1.html" >"$work/code.svg" &&
        rsvg-convert --zoom 2 --background-color white --output "$work/code.png" "$work/code.svg" && scan "$work/code.png"
}
words() { # N: the words that a page shows
    sed -n 's/^<li>\([a-z]*\)$/\1/p' "$work/sheets/share-$1.html" | tr '\n' ' ' | sed 's/ $//'
}
same() { # SCANNED WORDS: 22 words, in either case
    [ "$(wc -w <<<"$2")" = 22 ] && [ "${1,,}" = "$2" ]
}
sheets() { tessere ceremony init --custodians "Alice,Bert,Carla & <Cie>" --sheets "$1" --confirmed-by Alice,Bert; }

mkdir "$work/sheets"
check "an establishment is set up" tessere init --finess 750712184 --ceremony
mkdir "$home/sheets"
check "no page of a share is written into the home" eval '! sheets "$home/sheets" >"$work/o" 2>&1 && grep -q "do not lie in the home" "$work/o" && [ -z "$(ls "$home/sheets")" ]'
check "nor into a directory that is not there" eval '! sheets "$work/none" >"$work/o" 2>&1 && grep -q "no such directory" "$work/o"'
check "a ceremony writes its shares as pages" eval 'sheets "$work/sheets" >"$work/shown" 2>&1 || { cat "$work/shown"; false; }'
check "and shows none" eval '! grep -qE "([a-z]{5} ){21}" "$work/shown"'
check "for their owner alone to read" eval '[ "$(stat -c %a "$work"/sheets/share-{1,2,3}.html | sort -u)" = 600 ]'
check "a name is text there, whatever is in it" grep -q 'Carla &amp; &lt;Cie>' "$work/sheets/share-3.html"
for n in 1 2 3; do
    check "the code of page $n says what its words say" eval 'same "$(page '$n')" "$(words '$n')"'
done
{ page 1; page 3; } >"$work/two"
rm -rf "$home"/token
check "what the reader typed of two pages restores" given "$work/two" ceremony restore
{ words 2; echo; words 3; echo; } >"$work/two"
rm -rf "$home"/token*
check "so do the words" given "$work/two" ceremony restore

terminal() {
    TERM=xterm "$TERMINAL_QR" "$work/screen" "$TESSERE" --home "$home" ceremony init --rehearsal --custodians Xavier,Yves --confirmed-by Alice,Bert || { cat "$work/screen.text"; return 1; }
    grep -oE '([a-z]{5} ){21}[a-z]{5}' "$work/screen.text" >"$work/rehearsed"
}
check "a terminal shows a code under the words" terminal
for n in 1 2; do
    check "the code of share $n says what its words say" eval 'same "$(scan "$work/screen-'$n'.pgm")" "$(sed -n '$n'p "$work/rehearsed")"'
done
check "and is wiped from it with them" eval '[ "$(grep -c $'"'"'\033\[2J\033\[3J\033\[H'"'"' "$work/screen.text")" = 2 ]'
for n in 1 2; do scan "$work/screen-$n.pgm"; done >"$work/two"
check "what the reader typed of the terminal restores the rehearsal" given "$work/two" ceremony restore --rehearsal
finish
