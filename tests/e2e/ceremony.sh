#!/usr/bin/env bash
# Ceremonies end to end: masters with a backup, shares, a token that is deleted, a badge that taps
# again. Minutes are judged by openssl and by hashes computed here. Run by meson inside with-pcscd,
# once with keys that stay in the token: what follows the script's name is for `tessere init`. TAP.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"
export LC_ALL=C.UTF-8
unset LANGUAGE
home=$work/home

tessere() { "$TESSERE" --home "$home" --wait 5 "$@" </dev/null; }
# given SHARES WORDS...: a ceremony, with these shares on the standard input
given() {
    local shares=$1
    shift
    "$TESSERE" --home "$home" "$@" --confirmed-by Alice,Bert <"$shares"
}
# says PATTERN COMMAND...: succeeds and says so
says() {
    local pattern=$1
    shift
    "$@" >"$work/says" 2>&1 || { cat "$work/says"; return 1; }
    cat "$work/says"
    grep -q -- "$pattern" "$work/says"
}
# refused PATTERN COMMAND...: fails, says so, and leaves token, store and backup as they were
refused() {
    local pattern=$1 before
    shift
    before=$(state)
    "$@" >"$work/refused" 2>&1 && { cat "$work/refused"; return 1; }
    cat "$work/refused"
    grep -q -- "$pattern" "$work/refused" && [ "$before" = "$(state)" ]
}
# Which keys there are, and every file of every ceremony.
state() {
    tessere key list 2>&1
    find "$home/ceremony" -type f -exec sha256sum {} + 2>/dev/null | sort
}
custodian() { # NAME [option of openssl req]...
    local name=$1
    shift
    openssl req -x509 -nodes -keyout "$work/$name.key" -out "$work/$name.pem" -subj "/CN=$name" -days 30 "$@" 2>/dev/null
}
# opens N NAME: a custodian opens their share with openssl alone
opens() {
    openssl cms -decrypt -inform DER -in "$(newest)/share-$1.cms" -inkey "$work/$2.key" -recip "$work/$2.pem" \
        -out "$work/$2.share"
}
newest() { find "$home/ceremony" -name backup.json -not -path '*rehearsal*' -printf '%T@ %h\n' | sort -n | tail -1 | cut -d' ' -f2; }
former() { find "$home/ceremony" -name backup.json -printf '%T@ %h\n' | sort -n | head -1 | cut -d' ' -f2; }
words_of() { grep -E '^([a-z]{5} ){21}[a-z]{5}$' "$1"; }

insert_once() { is_present 0 || insert 0 "$work/badge"; }
tap_works() { insert_once && says 'Martin' tessere tap --count 1; }

# Minutes: as docs/ceremonies.md says.
minutes_verify() { # JSON
    local json=$1 key
    key=$(jq_ "$json" 'd["journal"]["key"]')
    # the key line of a note: name+hash+base64(01 || Ed25519); SubjectPublicKeyInfo is a fixed head and the 32 bytes
    { printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00'; printf '%s' "$key" | cut -d+ -f3- | base64 -d | tail -c 32; } >"$work/key.der"
    openssl pkey -pubin -inform DER -in "$work/key.der" -out "$work/key.pem" &&
        openssl pkeyutl -verify -pubin -inkey "$work/key.pem" -rawin -in "$json" -sigfile "${json%.json}.sig"
}
jq_() { python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"; }
minutes_of() { find "$(newest)" -name "minutes-$1-*.json" | sort | tail -1; }
altered_minutes_fail() {
    local json
    json=$(minutes_of init)
    sed 's/Alice/Mallory/' "$json" >"$work/altered.json"
    cp "${json%.json}.sig" "$work/altered.sig"
    ! minutes_verify "$work/altered.json"
}
# The minutes' entry is in the journal under a checkpoint signed by the same key, and says the same.
minutes_in_journal() {
    local json
    json=$(minutes_of init)
    tessere journal prove "$(jq_ "$json" 'd["journal"]["entry"]')" >"$work/proof" || return 1
    python3 "$(dirname "$0")/../support/check_proof.py" "$work/proof" "$work/key.pem" >"$work/entry" || return 1
    grep -q "\"backup\":\"$(jq_ "$json" 'd["backup_sha256"]')\"" "$work/entry" &&
        grep -q "\"ceremony\":\"$(jq_ "$json" 'd["ceremony"]')\"" "$work/entry"
}
backup_is_that_of_minutes() {
    [ "$(sha256sum <"$(newest)/backup.json" | cut -d' ' -f1 | tr a-f A-F)" = "$(jq_ "$(minutes_of "$1")" 'd["backup_sha256"]')" ]
}

custodian alice -newkey rsa:2048
custodian bert -newkey ec -pkeyopt ec_paramgen_curve:P-256
custodian eve -newkey rsa:2048
custodian sign -newkey rsa:2048 -addext keyUsage=digitalSignature

check "an establishment is set up without masters" says 'tessere ceremony init' tessere init --finess 750712184 --ceremony "$@"
check "nobody confirms: no ceremony, and nothing is left of it" refused 'two people' tessere ceremony init --custodians "alice=$work/alice.pem,bert=$work/bert.pem"
check "one person twice is not two" refused 'two people' tessere ceremony init --custodians "alice=$work/alice.pem,bert=$work/bert.pem" --confirmed-by Alice,Alice
check "nor under a name in capitals, with a space" refused 'two people' tessere ceremony init --custodians "alice=$work/alice.pem,bert=$work/bert.pem" --confirmed-by 'Alice,aLICE '
check "one custodian under two names would be a quorum of one" refused 'one person' tessere ceremony init --custodians "alice=$work/alice.pem,bert=$work/alice.pem" --confirmed-by Alice,Bert
check "nor has one name two shares" refused 'one person' tessere ceremony init --custodians Alice,Alice --confirmed-by Alice,Bert
rehearse_first() {
    tessere ceremony init --rehearsal --custodians Xavier,Yves --confirmed-by Alice,Bert >"$work/first.out" 2>&1 || { cat "$work/first.out"; return 1; }
    words_of "$work/first.out" >"$work/first"
    given "$work/first" ceremony restore --rehearsal && tessere ceremony destroy "$(basename "$home"/ceremony/rehearsal-*)" --yes
}
check "before the first ceremony one can be rehearsed, and its shares given back" rehearse_first
check "a certificate for signing alone is refused" refused 'not for encipherment' tessere ceremony init --custodians "alice=$work/alice.pem,sign=$work/sign.pem" --confirmed-by Alice,Bert
openssl req -x509 -key "$work/alice.key" -out "$work/again.pem" -subj /CN=bert -days 30 2>/dev/null
check "nor is one key" refused 'sealed for this key already' tessere ceremony init --custodians "alice=$work/alice.pem,bert=$work/again.pem" --confirmed-by Alice,Bert
check "a quorum of one is refused" refused 'quorum 2 or more' tessere ceremony init --custodians "alice=$work/alice.pem,bert=$work/bert.pem" --quorum 1 --confirmed-by Alice,Bert
init() {
    tessere ceremony init --custodians "Alice=$work/alice.pem,Bert=$work/bert.pem,Carla" --confirmed-by Alice,Bert >"$work/init.out" 2>&1 || { cat "$work/init.out"; return 1; }
    words_of "$work/init.out" >"$work/carla.share"
}
check "a ceremony makes the masters, and three shares of which two are needed" init
check "every master is in the token" says 'seal' tessere key list
check "no share lies beside the home but sealed" eval '! grep -rqlf "$work/carla.share" "$home"'
check "a second ceremony of that kind is refused" refused 'tessere init --ceremony' tessere ceremony init --custodians "a=$work/alice.pem,b=$work/bert.pem" --confirmed-by Alice,Bert
check "before anybody was shown a share" eval '! grep -q share.2 "$work/refused"'
check "a first generation begins no campaign, as no badge has a former one" eval '[ -z "$(tessere campaign list)" ]'
check "alice opens her share by openssl" opens 1 alice
check "bert, with a key on a curve, too" opens 2 bert
check "the minutes verify by openssl" minutes_verify "$(minutes_of init)"
check "altered minutes do not" altered_minutes_fail
check "their entry is proved to be in the journal" minutes_in_journal
check "their backup is the one that lies beside them" backup_is_that_of_minutes init
check "they can be read in French" grep -q 'Acte<td>création des clés maîtresses (init)' "$(minutes_of init | sed 's/json$/fr.html/')"
check "a badge is enrolled" eval '"$TESSERE_CARD" new --ev ev2 --uid 04A1B2C3D4E5F6 "$work/badge" && insert_once && tessere badge enrol --ref 10003456789 --name "Martin" --yes'
check "it taps" tap_works

cat "$work/alice.share" "$work/bert.share" >"$work/two"
printf 'lusab babad\n' >"$work/short"
# One letter of the third word becomes another one; a z there already becomes a b.
sed -E '1{s/^(.{14})z/\1b/;t;s/^(.{14})./\1z/}' "$work/two" >"$work/mistyped"
cat "$work/alice.share" "$work/alice.share" >"$work/twice"
cp "$work/alice.share" "$work/one"
check "a mistyped share is told" refused 'not a share as it was written' given "$work/mistyped" ceremony restore
check "half a share is told" refused '2 words, and a share has 22' given "$work/short" ceremony restore
check "a repeated share is told" refused 'given already' given "$work/twice" ceremony restore
check "too few are told" refused 'too few shares or components: 1 of 2' given "$work/one" ceremony restore

check "two ceremonies at once are not held: one would write the other's masters out of the backup" refused 'another ceremony is being held' flock "$home/ceremony" "$TESSERE" --home "$home" ceremony restore --confirmed-by Alice,Bert
check "rotation: the newest generation has a backup too" given "$work/two" ceremony rotate auth
check "and is in use" says 'auth *2  in use' tessere key list
check "the badge taps, on its former generation" tap_works

rm -rf "$home"/token
check "without its token nothing is authenticated" eval '! tessere tap --count 1'
check "two shares restore it, Carla's from paper" eval 'cat "$work/carla.share" "$work/bert.share" >"$work/two" && given "$work/two" ceremony restore'
check "every key is what it was" eval '! tessere key list | grep -qE "missing|another key|safely"'
check "the badge taps again" tap_works
check "and goes over to the newest generation" tessere badge repair --yes
check "and taps" tap_works
check "the journal is whole: it is signed by the same key as before" says 'journal is whole' tessere journal verify
check "the minutes of the restoration verify" minutes_verify "$(minutes_of restore)"

cp -r "$(newest)" "$work/former"
share() {
    given "$work/two" ceremony share --custodians "Eve=$work/eve.pem,Carla,Bert=$work/bert.pem" >"$work/share.out" 2>&1 || { cat "$work/share.out"; return 1; }
    opens 1 eve && words_of "$work/share.out" | cat "$work/eve.share" - >"$work/new"
}
check "a certificate that is not there is found before a share is asked for" refused 'nosuch.pem' given /dev/null ceremony share --custodians "Eve=$work/nosuch.pem,Carla"
check "so is one who confirms alone" refused 'two people' tessere ceremony share --custodians "Eve=$work/eve.pem,Carla" --confirmed-by Alice
check "the shares go over to other custodians" share
check "shares of the former ceremony are of another one" refused 'of another ceremony' given "$work/two" ceremony restore
check "the newest backup is not destroyed" refused 'no newer backup' tessere ceremony destroy "$(basename "$(newest)")" --yes
check "the one that it replaced is" tessere ceremony destroy "$(basename "$(former)")" --yes
check "a copy of that one and its shares are not taken up by this token" refused 'another ceremony as the one in force' given "$work/two" ceremony restore --backup "$work/former"
rm -rf "$home"/token*
cp -r "$(newest)" "$work/damaged"
sed -i '0,/"kcv": "[0-9A-F]*"/s//"kcv": "000000"/' "$work/damaged/backup.json"
check "a backup whose check value was changed is refused" eval '! given "$work/new" ceremony restore --backup "$work/damaged" 2>&1 | tee "$work/o" | grep -q done && grep -q "not the one that it must be" "$work/o"'
check "and no master is in the token" eval 'tessere key list | grep -c missing | grep -qx 7'
head -c 400 "$(newest)/backup.json" >"$work/damaged/backup.json"
check "one that was cut is refused by name" eval '! given "$work/new" ceremony restore --backup "$work/damaged" 2>"$work/o" && grep -q "backup.json" "$work/o"'
check "a copy of the backup from elsewhere restores" eval 'cp -r "$(newest)" "$work/copy" && rm -rf "$home/ceremony" && given "$work/new" ceremony restore --backup "$work/copy"'
check "the badge taps again, once more" tap_works
check "its backup is back in its place" test -f "$home/ceremony/$(basename "$(newest)")/backup.json"

# A master from elsewhere: components and check values as openssl computes them.
kcv() { # HEX
    openssl mac -cipher "AES-$((${#1} * 4))-CBC" -macopt "hexkey:$1" -in "$work/zeros" CMAC | cut -c 1-6
}
head -c 16 /dev/zero >"$work/zeros"
components() { # BYTES COUNT: components of a key, which goes to $work/key; "component kcv" on each line
    python3 - "$1" "$2" "$work/key" <<'PYTHON'
import os, sys
n, count = int(sys.argv[1]), int(sys.argv[2])
parts = [os.urandom(n) for _ in range(count)]
key = bytes(n)
for part in parts:
    key = bytes(x ^ y for x, y in zip(key, part))
    print(part.hex())
open(sys.argv[3], "w").write(key.hex())
PYTHON
}
with_kcv() { while read -r part; do echo "$part $(kcv "$part")"; done; }
components 16 3 | with_kcv >"$work/components"
key=$(cat "$work/key")
cat "$work/new" "$work/components" >"$work/imported"
head -n -2 "$work/imported" >"$work/alone"
check "one component is too few" refused 'at least 2 are needed' given "$work/alone" ceremony import read --kcv "$(kcv "$key")"
check "a key with another check value is refused" refused "which has $(kcv "$key" | tr a-f A-F)" given "$work/imported" ceremony import read --kcv 000000
check "three components make a master" given "$work/imported" ceremony import read --kcv "$(kcv "$key")"
check "it is in use" says "read *2  in use *$(kcv "$key")" tessere key list
components 32 2 | with_kcv | cat "$work/new" - >"$work/transport"
check "it goes out as a key block" given "$work/transport" ceremony export read --block "$work/block"
check "the block is TR-31, version D" grep -qE '^D0112K0AX00E0000[0-9A-F]{96}$' "$work/block"
check "the journal tells of it" eval 'sqlite3 "$home/store.db" "SELECT CAST(body AS TEXT) FROM entry" | grep "\"what\":\"export\"" | grep -q "\"key\":\"read 2\""'
check "the block does not come in again, as another role's key" refused 'key read of generation 2 has its check value' given "$work/transport" ceremony import write --block "$work/block" --kcv "$(kcv "$key")"
sed 's/E0000./E00000/' "$work/block" | head -c 111 >"$work/broken"
check "a block that was changed is refused" refused 'key block' given "$work/transport" ceremony import write --block "$work/broken" --kcv "$(kcv "$key")"
check "the badge goes over to what is new" tessere badge repair --yes
rm -rf "$home"/token*
check "what came from elsewhere is restored too" given "$work/new" ceremony restore
check "and the badge taps" tap_works

rehearse() {
    tessere ceremony init --rehearsal --custodians Xavier,Yves --confirmed-by Alice,Bert >"$work/rehearsal.out" 2>&1 || { cat "$work/rehearsal.out"; return 1; }
    words_of "$work/rehearsal.out" >"$work/rehearsed"
}
tessere key list >"$work/keys"
check "a rehearsal is held" rehearse
check "its shares restore a rehearsal" given "$work/rehearsed" ceremony restore --rehearsal
check "and nothing else" refused 'another ceremony' given "$work/rehearsed" ceremony restore
check "no key of it is in use, and its token is gone" eval 'tessere key list | cmp - "$work/keys" && ! ls -d "$home"/rehearsal-token*'
check "it is marked: on the screen, in the minutes, in the journal" eval 'grep -q REHEARSAL "$work/rehearsal.out" && grep -q "\"rehearsal\":true" "$home"/ceremony/rehearsal-*/minutes-init-*.json && grep -q RÉPÉTITION "$home"/ceremony/rehearsal-*/minutes-init-*.fr.html && sqlite3 "$home/store.db" "SELECT CAST(body AS TEXT) FROM entry" | grep "\"rehearsal\":true" | grep -q ceremony'
check "its minutes verify" minutes_verify "$(find "$home"/ceremony/rehearsal-* -name 'minutes-init-*.json')"

# Without its clock a machine is in the past: the newest ceremony is still the last one that was held.
set_back() {
    LD_PRELOAD='/usr/$LIB/faketime/libfaketime.so.1' FAKETIME=-1d rehearse && given "$work/rehearsed" ceremony restore --rehearsal
}
check "a clock set back does not make a former ceremony the newest one" set_back

# A quorum of three stays one of three; names are asked for until there are two.
shared_on() {
    tessere ceremony init --rehearsal --custodians Xavier,Yves,Zoe --quorum 3 --confirmed-by Alice,Bert >"$work/three.out" 2>&1 || return 1
    words_of "$work/three.out" >"$work/three"
    refused '3 custodians are needed as before' given /dev/null ceremony share --rehearsal --custodians Ulla,Vera &&
        given "$work/three" ceremony share --rehearsal --custodians Ulla,Vera,Willy >"$work/on.out" 2>&1 &&
        grep -q '3 shares; any 3 of them' "$work/on.out"
}
check "other custodians have the former quorum, and it is said" shared_on
asked() {
    "$(dirname "$0")/../support/terminal.py" "$TESSERE" --home "$home" ceremony init --rehearsal --custodians "alice=$work/alice.pem,bert=$work/bert.pem" -- \
        '?name 1 of 2' '' '?name 1 of 2' Alice '?name 2 of 2' Alice '?name 2 of 2' ' ' '?name 2 of 2' Bert >"$work/asked" 2>&1
}
check "who confirms is asked until two people are named" asked
remove 0
finish
