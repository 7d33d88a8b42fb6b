# shellcheck shell=bash
# For tests in shell: TAP lines, and a folder to work in. To be sourced.
set -uo pipefail

work=$(mktemp -d)
tests=0 failures=0

# check NAME COMMAND...: one test; its output is shown if it fails
check() {
    local name=$1 status=0
    shift
    tests=$((tests + 1))
    "$@" >"$work/output" 2>&1 </dev/null || status=$?
    if [ "$status" = 0 ]; then
        echo "ok $tests - $name"
    else
        failures=$((failures + 1))
        echo "not ok $tests - $name"
        echo "# exit status $status"
        sed 's/^/# /' "$work/output" | cut -c 1-400 | head -40
    fi
    return 0
}

# until_so COMMAND...: within half a minute
until_so() {
    local until=$((SECONDS + 30))
    while ! "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || { "$@"; return; }
        sleep 0.1
    done
}

# A port for a server of this test. Others run beside it; clients' own ports begin at 32768.
a_port() {
    echo $((20000 + RANDOM % 12000))
}

finish() {
    echo "1..$tests"
    [ "$failures" = 0 ]
    exit
}
