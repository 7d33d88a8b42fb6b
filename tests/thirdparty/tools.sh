#!/usr/bin/env bash
# Debian's opensc-tool, scriptor and libfreefare programs drive the software card through pcscd.
# Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"

new_card() { # NAME [option]...
    local name=$1
    shift
    "$TESSERE_CARD" new --memory 8k "$@" "$work/$name" >/dev/null
}

# says PATTERN COMMAND...: the command succeeds and its output has a line that matches
says() {
    local pattern=$1 out
    shift
    out=$("$@" 2>&1) || { printf '%s\n' "$out"; return 1; }
    grep -qE -- "$pattern" <<<"$out" || { printf 'no line like: %s\n%s\n' "$pattern" "$out"; return 1; }
}

# the loader splits LD_PRELOAD at spaces, which the path of the tree may have
cp "$NFC_SHIM" "$work/nfc_shim.so"
freefare() {
    LD_PRELOAD=$work/nfc_shim.so "$@"
}

send() { # HEX...: each an APDU, through opensc-tool; prints status words
    local apdu args=()
    for apdu; do
        args+=(-s "$apdu")
    done
    opensc-tool --reader 0 "${args[@]}"
}

atr_is_told() {
    says '3b:81:80:01:80:80' opensc-tool --reader 0 --atr
}

version_comes_in_three_frames() {
    local out
    out=$(send 9060000000 90AF000000 90AF000000) || return 1
    [ "$(grep -c 'SW1=0x91, SW2=0xAF' <<<"$out")" = 2 ] && grep -q 'SW1=0x91, SW2=0x00' <<<"$out" &&
        grep -qi '04 A1 B2 C3 D4 E5 F6' <<<"$out" || { echo "$out"; return 1; }
}

card_is_selected_by_its_iso_name() {
    says 'SW1=0x90, SW2=0x00' send 00A4040007D2760000850100 && says 'SW1=0x6A, SW2=0x82' send 00A4040007D276000085FFFF
}

# too short a command; create, select, file, write, read with free rights; deleting asks for a key
file_is_written_and_read_raw() {
    local out
    out=$(send 90CA00000301000000 90CA0000050100000F8100 905A00000301000000 90CD0000070100EEEE10000000 \
        903D00000B01000000040000CAFEF00D00 90BD0000070100000004000000 905A00000300000000 90DA00000301000000) || return 1
    grep -q 'CA FE F0 0D' <<<"$out" && [ "$(grep -c 'SW1=0x91, SW2=0x00' <<<"$out")" = 6 ] &&
        grep -q 'SW1=0x91, SW2=0x7E' <<<"$out" && grep -q 'SW1=0x91, SW2=0xAE' <<<"$out" || { echo "$out"; return 1; }
}

unknown_commands_are_refused() {
    says 'SW1=0x91, SW2=0x1C' send 9099000000 && says 'SW1=0x91, SW2=0xA0' send 905A00000399999900
}

scriptor_runs_a_session() {
    local out
    out=$(printf 'reset\n90 60 00 00 00\n90 AF 00 00 00\n90 AF 00 00 00\n90 6E 00 00 00\n90 45 00 00 00\n' |
        scriptor -r 'Tessere 00 00' 2>&1)
    # free memory in three bytes; factory key settings 0F, one key
    grep -qE '^< ([0-9A-F]{2} ){3}91 00' <<<"$out" && grep -qE '^< 0F 01 91 00' <<<"$out" || { echo "$out"; return 1; }
}

ndef_travels() {
    head -c 200 /dev/urandom >"$work/message"
    freefare mifare-desfire-create-ndef -y && freefare mifare-desfire-write-ndef -y -i "$work/message" &&
        freefare mifare-desfire-read-ndef -y -o "$work/got" && cmp "$work/message" "$work/got"
}

has_no_application() {
    says 'SW1=0x91, SW2=0x00' send 906A000000 && ! says '^([0-9A-F]{2} )+' send 906A000000
}

random_uid_is_shown() {
    freefare mifare-desfire-ev1-configure-random-uid -y || return 1
    remove 0 && insert 0 "$work/$ev" || return 1
    # PC/SC GET DATA: four bytes that start with 08 (ISO/IEC 14443-3 §6.5.4)
    says '^08 ' send FFCA000000
}

host() { # EV: libfreefare's own suite; its tests are counted here one by one
    local line name
    freefare env CMOCKA_MESSAGE_OUTPUT=TAP "$FREEFARE_HOST" 2>&1 | sed '/^1\.\./d; /^# ok/d' >"$work/host"
    while IFS= read -r line; do
        case $line in
        "ok "* | "not ok "*)
            tests=$((tests + 1))
            name=${line#*- }
            [ "${line%% *}" = ok ] || failures=$((failures + 1))
            echo "${line%%ok *}ok $tests - $1: $name"
            ;;
        *) echo "# $line" ;;
        esac
    done <"$work/host"
    check "$1: libfreefare's host went to its end" [ "$(grep -cE '^(not )?ok ' "$work/host")" -ge 52 ]
}

for ev in ev1 ev2 ev3; do
    new_card "$ev" --ev "$ev" --uid 04A1B2C3D4E5F6
    insert 0 "$work/$ev" || { echo "not ok 1 - a card on the reader"; exit 1; }
    check "$ev: opensc-tool tells the ATR" atr_is_told
    check "$ev: opensc-tool reads the version in three frames" version_comes_in_three_frames
    check "$ev: opensc-tool selects the card by its ISO name" card_is_selected_by_its_iso_name
    check "$ev: opensc-tool writes and reads a file" file_is_written_and_read_raw
    check "$ev: opensc-tool is refused what does not exist" unknown_commands_are_refused
    check "$ev: scriptor runs a session" scriptor_runs_a_session
    check "$ev: mifare-desfire-info tells the UID" says 'UID: +0x04a1b2c3d4e5f6' freefare mifare-desfire-info
    check "$ev: mifare-desfire-info tells the memory" says '0x1a \(=8192 bytes\)' freefare mifare-desfire-info
    host "$ev"
    check "$ev: an NDEF message is created, written and read" ndef_travels
    check "$ev: mifare-desfire-format empties the card" freefare mifare-desfire-format -y
    check "$ev: no application is left" has_no_application
    check "$ev: mifare-desfire-access writes and reads a file" freefare mifare-desfire-access
    check "$ev: the default key is configured" freefare mifare-desfire-ev1-configure-default-key -y
    check "$ev: the ATS is configured" freefare mifare-desfire-ev1-configure-ats -y
    check "$ev: a random UID is configured and shown" random_uid_is_shown
    remove 0
done

# two cards at once, told apart
new_card left --ev ev1 --uid 04000000000001
new_card right --ev ev3 --uid 04000000000002
insert 0 "$work/left" && insert 1 "$work/right"
check "two cards: the first reader has the first" says '04 00 00 00 00 00 01' opensc-tool --reader 0 -s FFCA000000
check "two cards: the second reader has the second" says '04 00 00 00 00 00 02' opensc-tool --reader 1 -s FFCA000000
remove 1
check "two cards: one leaves, the other stays" says '04 00 00 00 00 00 01' opensc-tool --reader 0 -s FFCA000000

# a tear: the application was created, its answer was lost, and pcscd goes on
remove 0
insert 0 "$work/left" --tear after:1:CA --back 1500
torn_command_fails() {
    # not opensc-tool: looking for its drivers, it sends a GET DATA (CA) of its own
    ! echo '90 CA 00 00 05 05 00 00 0F 81 00' | scriptor -r 'Tessere 00 00' 2>&1 | grep -q '91 00'
}
check "a torn command fails at the reader" torn_command_fails
until ! is_present 0; do sleep 0.1; done
until is_present 0; do sleep 0.1; done
check "the card that came back has what took effect" says '05 00 00' send 906A000000
finish
