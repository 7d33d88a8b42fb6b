#!/usr/bin/env bash
# A TPM 2.0 as the token, by swtpm and tpm2-pkcs11, which keeps no AES key: masters in a ceremony, a badge that
# is enrolled and taps, another TPM onto which two shares bring them. Run by meson inside with-pcscd. TAP.
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
# shellcheck source=tests/support/swtpm.sh
. "$(dirname "$0")/../support/swtpm.sh"
trap 'tpm_stop; leave' EXIT

tessere() { tpm_forget && "$TESSERE" --home "$home" --wait 5 "$@" </dev/null; }
given() { # SHARES WORDS...
    local shares=$1
    shift
    tpm_forget && "$TESSERE" --home "$home" "$@" --confirmed-by Alice,Bert <"$shares"
}
says() { # PATTERN COMMAND...
    local pattern=$1
    shift
    "$@" >"$work/says" 2>&1 || { cat "$work/says"; return 1; }
    cat "$work/says"
    grep -q -- "$pattern" "$work/says"
}
fails() { # PATTERN COMMAND...
    local pattern=$1
    shift
    "$@" >"$work/fails" 2>&1 && { cat "$work/fails"; return 1; }
    cat "$work/fails"
    grep -q -- "$pattern" "$work/fails"
}
ceremony() {
    tessere ceremony init --custodians Alice,Bert,Carla --confirmed-by Alice,Bert >"$work/init.out" 2>&1 || { cat "$work/init.out"; return 1; }
    grep -E '^([a-z]{5} ){21}[a-z]{5}$' "$work/init.out" >"$work/shares"
    sed -n '1p;3p' "$work/shares" >"$work/two"
    [ "$(wc -l <"$work/shares")" = 3 ]
}
tap_works() { is_present 0 || insert 0 "$work/badge"; says Martin tessere tap --count 1; }
# The token's objects: data and the RSA pair, and no key of AES.
has_no_aes_key() {
    tpm_tool --login --pin 123456 --list-objects >"$work/objects" 2>&1
    grep -q 'Data object' "$work/objects" && ! grep -q 'Secret Key' "$work/objects"
}
advises() { # the doctor, of masters that are used outside of the token
    tessere --json doctor | python3 -c 'import json,sys
found = [c for c in json.load(sys.stdin)["checks"] if c["check"] == "master-use"]
print(found)
sys.exit(found[0]["result"] != "advice" or found[0]["code"] != "token-wraps" or "C_GenerateKey" not in found[0]["context"])'
}
enrol_station() {
    call alice POST /v1/stations '{"name":"ward-1","group":"ward"}' >"$work/station.json" &&
        "$TESSERE_AGENT" --state "$work/st" enrol --server "https://localhost:$port" \
            --code "$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")" && start_agent st
}
another_tpm() {
    tpm_stop
    rm -rf "$work/tpm"
    tpm_start && tpm_make
}

check "a TPM starts, with a token in it" eval 'tpm_start && tpm_make'
check "badge keys cannot stay in it, and what it lacks is named" fails 'lacks CKM_AES_ECB_ENCRYPT_DATA' tessere init --finess 750712185 --token "$tpm_uri" --pin-file "$work/pin" --in-token auth
rm -rf "$home"
check "it is the token of an establishment, which is told what it does" says 'masters lie in it wrapped' tessere init --finess 750712184 --token "$tpm_uri" --pin-file "$work/pin" --ceremony
check "a ceremony makes the masters, beside it, and three shares" ceremony
check "it says so" grep -q 'key auth is made beside it' "$work/init.out"
check "its minutes say so" eval 'grep -q "\"made\":\"beside\"" "$home"/ceremony/*/minutes-init-*.json'
check "every master is in the token" eval 'says seal tessere key list && ! grep -q missing "$work/says"'
check "and no AES key" has_no_aes_key
check "the doctor advises of it, by name" advises
check "a badge is enrolled" eval '"$TESSERE_CARD" new --ev ev3 --uid 04A1B2C3D4E5F6 "$work/badge" && insert 0 "$work/badge" && tessere badge enrol --ref 10003456789 --name "Martin" --yes'
check "it taps" tap_works
check "a master is rotated, with a backup" given "$work/two" ceremony rotate auth
check "the badge follows" tessere badge repair --yes
check "and taps" tap_works
check "what is anchored in the TPM is found: the journal is whole" says 'journal is whole' tessere journal verify

remove 0

check "a server is set up" eval 'tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port $port && tessere person add alice --roles administrator --out "$work/alice"'
tpm_forget
check "it starts with the TPM, on as many sessions as it has workers" start_server
check "a station is enrolled" enrol_station
check "the badge taps there" outcome ok badge
check "and again" outcome ok badge
stop_agent 2>/dev/null
stop_server

check "another TPM takes its place" another_tpm
check "its masters are missing" eval 'tessere key list | grep -c missing | grep -qx 7'
check "without them nothing is authenticated" eval '! tessere tap --count 1'
check "two shares of three bring them into it" given "$work/two" ceremony restore
check "every key is what it was" eval '! tessere key list | grep -qE "missing|another key|safely"'
check "the badge taps again" tap_works

# The files of tpm2-pkcs11, without the TPM that they were made by.
cp -r "$work/tpm/store" "$work/store"
check "a third TPM has the files of the second" eval 'another_tpm && rm -rf "$work/tpm/store" && cp -r "$work/store" "$work/tpm/store"'
check "and cannot open them" eval '! tessere tap --count 1'
remove 0
finish
