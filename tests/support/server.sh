# shellcheck shell=bash
# For tests with a server and without cards: a home, a port, the server's start and end. To be
# sourced. $TESSERE and $TESSERED are the programs.
# shellcheck source=tests/support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

home=$work/home
port=$(a_port)
# shellcheck disable=SC2034 # for those who source this
url=https://localhost:$port
server=''

# set_up [ARGUMENT-OF-INIT]...: an establishment with a server, which is not started
set_up() {
    "$TESSERE" --home "$home" init --finess 750712184 "$@" >/dev/null &&
        "$TESSERE" --home "$home" server setup --hosts DNS:localhost --address 127.0.0.1 --port "$port" >/dev/null
}

start() {
    rm -f "$work/log"
    "$TESSERED" --home "$home" 2>"$work/log" &
    server=$!
    for ((i = 0; i < 600; i++)); do
        grep -q ready "$work/log" && return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/log"
    return 1
}

stop() {
    local status=0
    [ -n "$server" ] || return 0
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null || status=$?
    server=''
    return "$status"
}

leave() {
    stop
    rm -rf "$work"
}
trap leave EXIT
