#!/usr/bin/env bash
# Keys of another system, given by custodians: badges of theirs are taken over without a file of keys.
# Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
says() { # PATTERN COMMAND...
    local pattern=$1
    shift
    "$@" >"$work/out" 2>&1
    cat "$work/out"
    grep -qE -- "$pattern" "$work/out"
}
# given LINES WORDS...: a ceremony, with these lines on the standard input
given() {
    local lines=$1
    shift
    "$TESSERE" --home "$home" "$@" --confirmed-by Alice,Bert <"$lines"
}
# refused PATTERN COMMAND...: fails, says so, and no key was given
refused() {
    local pattern=$1 before
    shift
    before=$(tessere fleet key list)
    "$@" >"$work/out" 2>&1 && { cat "$work/out"; return 1; }
    cat "$work/out"
    grep -qE -- "$pattern" "$work/out" && [ "$before" = "$(tessere fleet key list)" ]
}
kcv() { openssl mac -cipher AES-128-CBC -macopt "hexkey:$1" -in "$work/zeros" CMAC | cut -c 1-6; }
# Of a TDEA key, by the legacy cipher that is in every openssl's default provider.
tdea_kcv() { openssl enc -des-ede -K "$1" -in "$work/zeros" -nopad | head -c 3 | xxd -p -u; }
words_of() { grep -E '^([a-z]{5} ){21}[a-z]{5}$' "$1"; }
theirs() { "$TESSERE_CARD" new --ev ev2 --uid "$1" "$work/$2" >/dev/null && "$FOREIGN_IMAGE" "$work/$2" "$key"; }
takeover() { # PATTERN IMAGE: at the desk, without a file of keys
    local status
    insert 0 "$work/$2"
    says "$1" tessere badge takeover --fleet "$work/fleet.yaml" --yes
    status=$?
    remove 0
    return "$status"
}

head -c 16 /dev/zero >"$work/zeros"
key=5A0102030405060708090A0B0C0D0E0F one=00112233445566778899AABBCCDDEEFF
two=$(python3 -c 'import sys; print("%032X" % (int(sys.argv[1], 16) ^ int(sys.argv[2], 16)))' "$key" "$one")
cat >"$work/fleet.yaml" <<'YAML'
layouts:
  - {id: library, application: "F585C0", crypto: aes, keys: 3, proof-key: 1, diversification: shared, old-application: delete}
YAML
printf 'uid,ref,name\n04A1B2C3D4E5F1,10001,Anne Martin\n04A1B2C3D4E5F2,10002,Bruno Petit\n04A1B2C3D4E5F3,10003,Chloe Roux\n04A1B2C3D4E5F4,10004,David Noir\n' >"$work/list.csv"

tessere init --finess 750712184 --name Hospital --ceremony >/dev/null
tessere ceremony init --custodians Alice,Bert --confirmed-by Alice,Bert >"$work/init" 2>&1
words_of "$work/init" >"$work/shares"
tessere fleet import "$work/list.csv" >/dev/null
theirs 04A1B2C3D4E5F1 anne
theirs 04A1B2C3D4E5F2 bruno
theirs 04A1B2C3D4E5F3 chloe
theirs 04A1B2C3D4E5F4 david
{ cat "$work/shares"; echo "$one $(kcv "$one")"; echo "$two $(kcv "$two")"; } >"$work/lines"
head -n -1 "$work/lines" >"$work/alone"
sed '$s/......$/000000/' "$work/lines" >"$work/mistyped"
{ cat "$work/alone"; tail -n 1 "$work/alone"; } >"$work/twice"

check "without the key nothing proves that the badge is one of theirs" takeover 'no key that was given' anne
check "a component whose check value does not fit is refused" refused 'check value does not fit' given "$work/mistyped" ceremony give library --type aes
check "so is a key with another check value" refused 'of the key that was given' given "$work/lines" ceremony give library --type aes --kcv 000000
check "one component is too few" refused 'at least 2 are needed' given "$work/alone" ceremony give library --type aes
check "the same component twice is no key" refused 'given already' given "$work/twice" ceremony give library --type aes
parity=$(python3 -c 'import sys; print("%032X" % (int(sys.argv[1], 16) ^ 1))' "$one")
{ cat "$work/shares"; echo "$one $(tdea_kcv "$one")"; echo "$parity $(tdea_kcv "$parity")"; } >"$work/parity"
check "nor are two that differ where DES has parity bits" refused 'given already' given "$work/parity" ceremony give library --type 2k3des
check "nobody confirms: no key" refused 'two people' bash -c "'$TESSERE' --home '$home' ceremony give library --type aes <'$work/lines'"
check "a name that is none is refused" refused 'small letters' given "$work/lines" ceremony give 'Old key' --type aes
rehearse() {
    tessere ceremony init --rehearsal --custodians Xavier,Yves --confirmed-by Alice,Bert >"$work/rehearsal" 2>&1
    { words_of "$work/rehearsal"; tail -n 2 "$work/lines"; } >"$work/rehearsed"
    given "$work/rehearsed" ceremony give library --type aes --rehearsal >"$work/out" 2>&1
    cat "$work/out"
    grep -q REHEARSAL "$work/out" && grep -q '"rehearsal":true.*"given":' "$home"/ceremony/rehearsal-*/minutes-give-*.json &&
        [ -z "$(tessere fleet key list)" ]
}
check "a rehearsal is marked, and keeps no key" rehearse
check "two components give the key, their check values and its own shown" says "check value $(kcv "$key") .CMAC-0" given "$work/lines" ceremony give library --type aes --kcv "$(kcv "$key")"
check "those of the components too" grep -q "component 2 has the check value $(kcv "$two")" "$work/out"
check "it is in the list, with who confirmed it" says "library +aes +$(kcv "$key") .* Alice, Bert" tessere fleet key list
check "the minutes say so, in both languages" bash -c "cd '$home'/ceremony/[0-9A-F]* && grep -q '\"given\":{' minutes-give-*.json && test -s minutes-give-*.sig && grep -q \"Acte<td>remise d'une clé d'un autre système (give library aes $(kcv "$key"))\" minutes-give-*.fr.html && grep -q 'another system was given (give' minutes-give-*.en.html"
# Under a clock that stands, as of two in one second.
both_kept() {
    local before after name
    before=$(find "$home/ceremony" -name 'minutes-give-*.json' | wc -l)
    for name in first second; do
        LD_PRELOAD='/usr/$LIB/faketime/libfaketime.so.1' FAKETIME='2031-01-01 00:00:00' given "$work/rehearsed" ceremony give "$name" --type aes --rehearsal || return 1
    done
    after=$(find "$home/ceremony" -name 'minutes-give-*.json' | wc -l)
    [ $((after - before)) = 2 ]
}
check "of two in one second both have minutes" both_kept
check "its name is taken" refused 'is called library' given "$work/lines" ceremony give library --type aes
check "no file of the home has it, nor the screen" bash -c "! grep -rqiaE '$key|$one|$two' '$home' '$work/out' && ! LC_ALL=C grep -rqaP '\x5A\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F' '$home'"
check "at the desk it takes a badge over, without a file of keys" takeover 'Badge 1 of Anne Martin \(10001\) is taken over' anne

tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port $port >/dev/null
tessere person add alice --roles administrator --out "$work/alice" >/dev/null
cp "$work/fleet.yaml" "$home/"
echo 'takeover: {fleet: fleet.yaml}' >>"$home/server.yaml"
check "the server starts without a file of keys" start_server
call alice POST /v1/stations '{"name":"ward-1","group":"ward"}' >"$work/station.json"
"$TESSERE_AGENT" --state "$work/ward" enrol --server "https://localhost:$port" --code "$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")" >/dev/null
check "a station waits for cards" start_agent ward
check "a tap takes a badge over" outcome ok bruno
check "and it taps as any other" outcome ok bruno
echo "$key" >"$work/searched"
if [ "$(id -u)" = 0 ]; then
    check "the server's memory never had the key" "$SEARCH_MEMORY" "$server_pid" --hex "$work/searched"
fi
stop_agent
stop_server
advises() { tessere --json doctor 2>/dev/null | grep -q keys-in-file; }
check "the doctor has nothing to say of keys in a file" eval '! advises'
sed -i 's/^takeover:.*/takeover: {fleet: fleet.yaml, keys-file: keys}/' "$home/server.yaml"
check "but advises against one, where there was a ceremony" advises

rm -rf "$home"/token
check "the masters are restored in a fresh token" given "$work/shares" ceremony restore
check "where the key opens badges again" takeover 'Chloe Roux \(10003\) is taken over' chloe
tampered() {
    local was
    was=$(sqlite3 "$home/store.db" "SELECT hex(wrapped) FROM given_key")
    sqlite3 "$home/store.db" "UPDATE given_key SET wrapped = zeroblob(57)" && ! tessere journal verify &&
        takeover 'key of another system cannot be used' david && sqlite3 "$home/store.db" "UPDATE given_key SET wrapped = x'$was'"
}
check "a row that was edited is found, and opens nothing" tampered
check "it is forgotten" tessere fleet key forget library --yes
check "and opens nothing any more" takeover 'no key that was given' david
check "the list still tells of it" says 'library .* forgotten' tessere fleet key list
check "the journal is whole" says 'journal is whole' tessere journal verify
finish
