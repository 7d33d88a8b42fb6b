#!/usr/bin/env bash
# What the command line says without a card, a token or an establishment. TAP output.
#   words.sh TESSERE CLI.DEF
# shellcheck disable=SC2317 # functions are called by check
set -u
tessere=$1 table=$2
export LC_ALL=C.UTF-8 LANGUAGE=en TESSERE_HOME=/nonexistent/tessere
n=0 status=0

check() { # NAME COMMAND...
    local name=$1 out
    shift
    n=$((n + 1))
    if out=$("$@" 2>&1); then
        echo "ok $n - $name"
    else
        status=1
        echo "not ok $n - $name"
        printf '%s\n' "$out" | sed 's/^/# /'
    fi
}

mapfile -t commands < <(sed -n 's/^CLI("\([^"]*\)".*/\1/p' "$table")

help_names_all() {
    local out command
    out=$("$tessere" help) || return 1
    for command in "${commands[@]}"; do
        grep -q -- "^  $command " <<<"$out" || { echo "help lacks $command"; return 1; }
    done
}

complete_to() { # WORD... : the completion offers what the last word begins
    eval "$("$tessere" completion)"
    COMP_WORDS=(tessere "$@") COMP_CWORD=$# COMPREPLY=()
    _tessere
    printf '%s\n' "${COMPREPLY[@]}"
}

completion_names_all() {
    local command
    for command in "${commands[@]}"; do
        case $command in
        *" "*)
            # shellcheck disable=SC2086 # the words of a command are words
            complete_to ${command% *} "" | grep -qx -- "${command##* }" || { echo "no $command"; return 1; }
            ;;
        *) complete_to "" | grep -qx -- "$command" || { echo "no $command"; return 1; } ;;
        esac
    done
    [ "$(complete_to "" | sort | uniq -d)" = "" ] || { echo "a word twice"; return 1; }
}

errors_are_json() {
    local command
    for command in "${commands[@]}"; do
        case $command in help | version | completion) continue ;; esac
        # shellcheck disable=SC2086 # the words of a command are words
        "$tessere" --json $command </dev/null 2>/dev/null |
            python3 -c 'import json, sys; e = json.load(sys.stdin)["error"]; assert e["exit"] == 2 and e["code"] and e["remedy"]' ||
            { echo "$command"; return 1; }
    done
}

speaks_french() {
    LC_ALL=fr_FR.UTF-8 LANGUAGE='' "$tessere" help | grep -q 'révoquer un badge'
}

json_does_not_depend_on_the_language() {
    [ "$("$tessere" --json badge list | grep '"code"')" = \
        "$(LANGUAGE=fr "$tessere" --json badge list | grep '"code"')" ]
}

no_colours_in_a_pipe() {
    ! "$tessere" help | grep -q $'\033'
}

options_anywhere() {
    "$tessere" version --json | grep -q '"version"' && "$tessere" --json version | grep -q '"version"' &&
        "$tessere" --version | grep -q '^tessere ' && "$tessere" --help | grep -q 'badge enrol'
}

a_wrong_use_exits_2() {
    local status=0
    "$tessere" "$@" >/dev/null 2>&1 </dev/null || status=$?
    [ "$status" = 2 ]
}

check "help names every command" help_names_all
check "the completion names every command, once" completion_names_all
check "every command's error is JSON with code, remedy and exit status" errors_are_json
check "French is spoken where its locale was never made" speaks_french
check "codes do not depend on the language" json_does_not_depend_on_the_language
check "no colours in a pipe" no_colours_in_a_pipe
check "options may stand anywhere" options_anywhere
check "an unknown command exits 2" a_wrong_use_exits_2 nonsense
check "a missing operand exits 2" a_wrong_use_exits_2 badge show
check "an operand too many exits 2" a_wrong_use_exits_2 badge list more
check "an option without its argument exits 2" a_wrong_use_exits_2 tap --reader
check "an option of another command exits 2" a_wrong_use_exits_2 tap --finess 750712184
check "an argument to a switch exits 2" a_wrong_use_exits_2 tap --json=yes
echo "1..$n"
exit $status
