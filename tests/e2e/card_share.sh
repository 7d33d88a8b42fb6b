#!/usr/bin/env bash
# Shares that custodians open with cards of their own: SoftHSM2 tokens stand in for them, with a key of RSA and
# one on a curve, and a TPM. TAP output.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
# shellcheck source=tests/support/swtpm.sh
. "$(dirname "$0")/../support/swtpm.sh"
trap 'tpm_stop; rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8
unset LANGUAGE
home=$work/home
module=$(find /usr/lib -name libsofthsm2.so | head -1)

tessere() { "$TESSERE" --home "$home" "$@" </dev/null; }
given() { # SHARES WORDS...
    local shares=$1
    shift
    "$TESSERE" --home "$home" "$@" --confirmed-by Alice,Bert <"$shares"
}
refused() { # PATTERN COMMAND...
    local pattern=$1
    shift
    "$@" >"$work/refused" 2>&1 && { cat "$work/refused"; return 1; }
    cat "$work/refused"
    grep -q -- "$pattern" "$work/refused"
}
uri() { echo "pkcs11:token=$1;object=$1;type=private?module-path=$module"; }

# The cards are no token of the vault's: a configuration of their own.
export SOFTHSM2_CONF=$work/cards.conf
mkdir "$work/cards"
printf 'directories.tokendir = %s\nlog.level = ERROR\n' "$work/cards" >"$SOFTHSM2_CONF"

# certify NAME TOOL...: a certificate of a card's key, by another key: what counts is whose key is in it
openssl genpkey -algorithm RSA -out "$work/ca.key" 2>/dev/null
certify() {
    local name=$1
    shift
    "$@" --read-object --type pubkey --label "$name" --output-file "$work/$name.der" &&
        openssl pkey -pubin -inform DER -in "$work/$name.der" -out "$work/$name.pub" &&
        openssl x509 -new -subj "/CN=$name" -force_pubkey "$work/$name.pub" -key "$work/ca.key" -days 30 -out "$work/$name.pem"
}
card() { # NAME KEY-TYPE USAGE
    local tool=(pkcs11-tool --module "$module" --token-label "$1" --login --pin 123456)
    softhsm2-util --init-token --free --label "$1" --so-pin 12345678 --pin 123456 &&
        "${tool[@]}" --keypairgen --key-type "$2" --label "$1" --id 01 "--usage-$3" && certify "$1" "${tool[@]}"
}
tpm_card() {
    local tool=(tpm_tool --token-label TPM --login --pin 123456)
    tpm_start && tpm_make && "${tool[@]}" --keypairgen --key-type rsa:2048 --label tina --id 01 && certify tina "${tool[@]}"
}

check "Alice has a card with a key of RSA" card alice rsa:2048 decrypt
check "Bert has one with a key on a curve" card bert EC:prime256v1 derive
check "Eve has one, and no share" card eve rsa:2048 decrypt
check "Tina's key is in a TPM" tpm_card
check "an establishment is set up" tessere init --finess 750712184 --ceremony
check "its masters' shares are sealed for the cards" tessere ceremony init --custodians "Alice=$work/alice.pem,Bert=$work/bert.pem,Carla,Tina=$work/tina.pem" --confirmed-by Alice,Bert
grep -oE '^([a-z]{5} ){21}[a-z]{5}$' "$work/output" >"$work/carla"

printf '%s\n' 1 123456 "$(cat "$work/carla")" >"$work/alice-first"
printf '%s\n' "$(cat "$work/carla")" 1 123456 >"$work/alice-last"
printf '%s\n' "$(cat "$work/carla")" 2 123456 >"$work/bert-last"
printf '%s\n' "$(cat "$work/carla")" 4 123456 >"$work/tina-last"
printf '%s\n' 1 123456 1 123456 >"$work/twice"
printf '%s\n' 1 999999 >"$work/wrong"
rm -rf "$home"/token*
check "Alice's card opens her share, and Carla types hers" given "$work/alice-first" ceremony restore --card "$(uri alice)"
check "every key is what it was" eval '! tessere key list | grep -qE "missing|another key|safely"'
rm -rf "$home"/token*
check "Bert's opens his by agreement" given "$work/bert-last" ceremony restore --card "$(uri bert)"
check "the cards open a rotation too" given "$work/alice-last" ceremony rotate auth --card "$(uri alice)"
tpm_forget
check "Tina's TPM opens hers" given "$work/tina-last" ceremony rotate read --card "pkcs11:token=TPM;object=tina;type=private?module-path=$tpm_module"
rm -rf "$home"/token*
check "a card in place of both: the same share twice is refused" refused "given already" given "$work/twice" ceremony restore --card "$(uri alice)"
check "Eve's card opens none" refused 'share-1.cms: it is sealed for another key' given "$work/alice-first" ceremony restore --card "$(uri eve)"
check "a PIN that is wrong is said to be" refused "PIN incorrect" given "$work/wrong" ceremony restore --card "$(uri alice)"
check "a PIN on the command line is not taken" refused 'without a PIN' given "$work/alice-first" ceremony restore --card "pkcs11:token=alice?pin-value=123456"
check "a module that is not there is named" refused 'none.so' given "$work/alice-first" ceremony restore --card "pkcs11:token=alice?module-path=/none.so"
check "one of another kind opens none either" refused 'sealed for another key' given "$work/bert-last" ceremony restore --card "$(uri alice)"
check "a share that is for no card is named" eval 'printf "3\n123456\n" >"$work/third" && refused share-3.cms given "$work/third" ceremony restore --card "$(uri alice)"'
check "without --card a number is no share" refused 'not a share as it was written' given "$work/alice-first" ceremony restore
# at_terminal: a share by the card and one in words, typed at a terminal, which shows neither PIN nor words
at_terminal() {
    timeout 30 python3 - "$work/carla" "$TESSERE" --home "$home" ceremony restore --card "$(uri alice)" --confirmed-by Alice,Bert <<'PYTHON'
import os, pty, re, sys, time
with open(sys.argv[1]) as f:
    words = f.read().strip()
answers = [(b"Share 1 of 2", "1"), (b"PIN of the card: ", "123456"), (b"Share 2 of 2", words)]
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        piece = os.read(fd, 4096)
    except OSError:
        break
    shown += piece
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", shown)
    if answers and plain.endswith(b": ") and answers[0][0] in plain.splitlines()[-1]:
        time.sleep(0.2)  # what is typed before the echo is off is thrown away
        os.write(fd, answers.pop(0)[1].encode() + b"\n")
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(status, len(answers), shown.decode(errors="replace"))
sys.exit(status != 0 or answers != [] or b"123456" in shown or words.encode() in shown)
PYTHON
}
check "at a terminal neither the PIN nor the words are shown" at_terminal
mkdir "$work/copy"
cp "$home"/ceremony/*/backup.json "$home"/ceremony/*/share-1.cms "$work/copy/"
check "a share is found beside a copy of the backup" given "$work/alice-first" ceremony restore --card "$(uri alice)" --backup "$work/copy"
finish
