# shellcheck shell=bash
# For tests with server, station and badges: a hospital in $work/home. To be sourced inside
# with-pcscd; the programs are in the environment.
# shellcheck source=tests/support/card.sh
. "$(dirname "${BASH_SOURCE[0]}")/card.sh"
export LC_ALL=C.UTF-8
unset LANGUAGE
home=$work/home
port=18450
server_pid="" agent_pid=""

tessere() {
    "$TESSERE" --home "$home" --wait 5 "$@" </dev/null
}

# A first start makes signing keys, which takes a busy machine long.
start_server() {
    : >"$work/server.log" # one before it was ready in it
    "$TESSERED" --home "$home" >"$work/server.log" 2>&1 &
    server_pid=$!
    for ((i = 0; i < 600; i++)); do
        grep -q ready "$work/server.log" && return 0
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/server.log"
    return 1
}

stop_server() {
    kill "$server_pid"
    wait "$server_pid"
}

# What is typed at the station comes from $work/keyboard.
start_agent() { # STATE
    rm -f "$work/keyboard"
    mkfifo "$work/keyboard"
    : >"$work/agent.log"
    "$TESSERE_AGENT" --state "$work/$1" --json --ask-pin run <>"$work/keyboard" >"$work/agent.out" 2>"$work/agent.log" &
    agent_pid=$!
    exec 7>"$work/keyboard"
    for ((i = 0; i < 600; i++)); do
        grep -q ready "$work/agent.log" && return 0
        kill -0 "$agent_pid" 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/agent.log"
    return 1
}

stop_agent() {
    kill "$agent_pid"
    wait "$agent_pid"
}

# call PERSON METHOD PATH [BODY]: the API, as a person
call() {
    local who=$1 method=$2 path=$3
    shift 3
    curl -sS -m 10 --cacert "$home/pki/ca.pem" --cert "$work/$who.pem" --key "$work/$who.key" \
        -H 'Content-Type: application/json' -X "$method" ${1:+-d "$1"} "https://localhost:$port$path"
}

# taps IMAGE [option of tessere-card run]...: puts the badge on the station's reader and takes it away ($stays seconds after it was
# let in); shows what the station said
taps() {
    local before now i
    before=$(wc -l <"$work/agent.out")
    insert 0 "$work/$1" "${@:2}" || return 1
    for ((i = 0; i < 100; i++)); do
        now=$(wc -l <"$work/agent.out")
        [ "$now" -gt "$before" ] && break
        sleep 0.1
    done
    sleep "${stays:-0}"
    remove 0
    tail -n +$((before + 1)) "$work/agent.out" | head -1
}

# outcome WANTED IMAGE [option of tessere-card run]...
outcome() {
    local line
    line=$(taps "${@:2}")
    printf '%s\n' "$line" "$(tail -3 "$work/agent.log")"
    grep -q "\"outcome\":\"$1\"" <<<"$line"
}

enrol_badge() {
    "$TESSERE_CARD" new --ev "$1" --uid "$2" "$work/$3" >/dev/null && insert 0 "$work/$3" &&
        tessere badge enrol --ref "$4" --name "$5" --yes && remove 0
}
