# shellcheck shell=bash
# A relying system that listens, and what it has heard. To be sourced; $LISTENER is
# tests/thirdparty/events/listener.mjs, $LIB script/lib.sh, $work of tap.sh.
# shellcheck disable=SC2154
if [ -z "${MODULES:-}" ]; then
    # shellcheck disable=SC2016
    MODULES=$(bash -c '. "$1"; npm_packages tests/thirdparty/events' - "$LIB") || exit 1
    export MODULES
fi
export WEBHOOK_SECRET=whsec_dGVzc2VyZS10ZXN0LXNlY3JldC1vZi0zMi1ieXRlcyE=
declare -A listener_pid=()

# listen NAME PORT [CERTIFICATE KEY]: what it hears goes to $work/NAME.log
listen() {
    local name=$1 i
    echo ok >"$work/$name.does"
    : >"$work/$name.log"
    node "$LISTENER" "$2" "$work/$name.log" "$work/$name.does" "${@:3}" >"$work/$name.out" 2>&1 &
    listener_pid[$name]=$!
    for ((i = 0; i < 100; i++)); do
        [ -e "$work/$name.log.ready" ] && return 0
        sleep 0.1
    done
    cat "$work/$name.out"
    return 1
}

does() { # NAME BEHAVIOUR
    echo "$2" >"$work/$1.does"
}

end_listeners() {
    local name
    for name in "${!listener_pid[@]}"; do
        kill "${listener_pid[$name]}" 2>/dev/null
        wait "${listener_pid[$name]}" 2>/dev/null
    done
}

# hears NAME PYTHON [SECONDS]: until the expression is true of `all`, what it heard
hears() {
    local i
    for ((i = 0; i < ${3:-10} * 5; i++)); do
        if python3 -c 'import json, sys; all = [json.loads(l) for l in open(sys.argv[1])]; sys.exit(not eval(sys.argv[2], {**__builtins__.__dict__, "all": all}))' "$work/$1.log" "$2"; then
            return 0
        fi
        sleep 0.2
    done
    cat "$work/$1.log"
    return 1
}
