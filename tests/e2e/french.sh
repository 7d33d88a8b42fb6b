#!/usr/bin/env bash
# What goes wrong is told in French to whom speaks it, all of it: head, detail and remedy. What a
# program reads is the same in every language. Without a card or a server. TAP output.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8 LANGUAGE=fr

tessere() { "$TESSERE" --home "$work/home" "$@" </dev/null; }

says() { # TEXT ARGUMENT...: what tessere answers has this text
    local text=$1 out
    shift
    out=$(tessere "$@" 2>&1)
    grep -qF -- "$text" <<<"$out" || { printf 'not told: %s\n%s\n' "$text" "$out"; return 1; }
}

list() { # RECORD...: a list of badges of others
    printf '%s\n' "uid,ref,name" "$@" >"$work/list.csv"
}

refused_list() { # TEXT RECORD...
    local text=$1
    shift
    list "$@"
    says "list.csv:2 : $text" fleet import "$work/list.csv"
}

configured() { # SED TEXT ARGUMENT...: says, with tessere.yaml changed for that time
    local program=$1 is=0
    shift
    cp "$work/home/tessere.yaml" "$work/kept"
    sed -i "$program" "$work/home/tessere.yaml"
    says "$@" || is=1
    cp "$work/kept" "$work/home/tessere.yaml"
    return $is
}

# As when too many taps fail: no card taps here.
paused_by_itself() {
    python3 - "$work/home/store.db" <<'PYTHON'
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
store.execute("UPDATE campaign SET why = '8 of the last 20 tries failed: card-auth' WHERE id = 2")
store.commit()
PYTHON
}

details_for_programs_are_english() {
    grep -qF '"context": "no campaign 99"' <<<"$(tessere --json campaign show 99)" || return 1
    list 80010203040504,1,x
    grep -qF 'uid: its bytes are in reverse order' <<<"$(tessere --json fleet import "$work/list.csv")"
}

check "an establishment" tessere init --finess 970400123 --name 'Centre hospitalier'
check "a list's mistake has its detail in French" refused_list "uid : ses octets sont dans l'ordre inverse" 80010203040504,1,x
check "a file's mistake too" refused_list "uid : octet 1 : le guillemet qui s'ouvre ici n'est pas fermé" '"80010203040504,1,x'
echo nom >"$work/names.csv"
check "words that stand in a list are French" says "colonnes : ce sont badge, uid, serial, ref, name et at, et aucune autre" badge issue "$work/names.csv"
check "what is not there is told in French" says "pas de campagne 99" campaign show 99
check "a mistake in a configuration is told in French" configured 's/^pin-file/pin-fil/' "pin-fil : ce champ n'existe pas ; connus : finess" key list
check "what the vault says without a value is French" configured 's/^token:.*/token: "pkcs11:token=x?pin-value=1"/' "l'URI du jeton porte pin-value ou pin-source" key rotate auth --yes
check "a rotation" tessere key rotate auth --yes
check "and another" tessere key rotate auth --yes
check "why a campaign ended is told in French" says "terminée : clé renouvelée de nouveau" campaign show 1
check "a campaign that paused by itself" paused_by_itself
check "why it did is told in French" says "8 des 20 derniers essais ont échoué : card-auth" campaign list
check "what a person gave as a reason stays as it is" eval "tessere campaign pause 2 --reason 'stock of cards' && says ': stock of cards' campaign show 2"
check "details for programs are English" details_for_programs_are_english
check "who speaks English is told the same in English" eval "(export LANGUAGE=en; says 'no campaign 99' campaign show 99 && says 'rotated again' campaign list)"
finish
