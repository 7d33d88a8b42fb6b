# shellcheck shell=bash
# For tests with software cards: TAP lines, and cards that come and go. To be sourced inside
# with-pcscd. $TESSERE_CARD is the program tessere-card.
# shellcheck source=tests/support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

declare -A card_pid=()

# slot 0 is "Tessere 00 00", slot 1 is "Tessere 00 01"
insert() { # SLOT IMAGE [option of tessere-card run]...
    local slot=$1 image=$2 i
    shift 2
    "$TESSERE_CARD" run --port $((TESSERE_CARD_PORT + slot)) "$@" "$image" >"$work/card$slot.log" 2>&1 &
    card_pid[$slot]=$!
    for ((i = 0; i < 100; i++)); do
        is_present "$slot" && return 0
        sleep 0.1
    done
    echo "# the card never appeared on slot $slot: $(cat "$work/card$slot.log")"
    return 1
}

is_present() { # SLOT
    opensc-tool --list-readers 2>/dev/null | grep -qE "^$1 +Yes"
}

remove() { # SLOT
    local i
    [ -n "${card_pid[$1]:-}" ] || return 0
    kill "${card_pid[$1]}" 2>/dev/null
    wait "${card_pid[$1]}" 2>/dev/null
    unset "card_pid[$1]"
    for ((i = 0; i < 100; i++)); do
        is_present "$1" || return 0
        sleep 0.1
    done
    return 1
}

leave() {
    local slot
    for slot in "${!card_pid[@]}"; do
        kill "${card_pid[$slot]}" 2>/dev/null
        wait "${card_pid[$slot]}" 2>/dev/null
    done
    rm -rf "$work"
}
trap leave EXIT
