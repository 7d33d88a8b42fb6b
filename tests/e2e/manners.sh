#!/usr/bin/env bash
# How each program answers somebody who does not know it yet, or asks for what cannot be: without a
# server, a station, a token or a reader. TAP output.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8 LANGUAGE=en
n=0 status=0

result() { # ok|not ok, name
    n=$((n + 1))
    echo "$1 $n - $2"
    [ "$1" = ok ] || status=1
}

# says EXIT NAME PART... -- COMMAND...: the command ends so, and its words have every part; no `!PART`
says() {
    local exit_status=$1 name=$2 out got part parts=() is=ok
    shift 2
    while [ "$1" != -- ]; do
        parts+=("$1")
        shift
    done
    shift
    out=$("$@" 2>&1 </dev/null)
    got=$?
    [ "$got" = "$exit_status" ] || is="not ok"
    for part in "${parts[@]}"; do
        case $part in
        !*) ! grep -qF -- "${part#!}" <<<"$out" || is="not ok" ;;
        *) grep -qF -- "$part" <<<"$out" || is="not ok" ;;
        esac
    done
    result "$is" "$name"
    [ "$is" = ok ] || printf '%s\n' "exit status $got" "$out" | sed 's/^/# /'
}

# --- who asks is told, on the standard output
quiet() { "$@" 2>/dev/null; }
for program in "$TESSERE" "$TESSERED" "$TESSERE_AGENT" "$TESSERE_VAULT" "$TESSERE_TOKEN" "$TESSERE_STARTER" \
    "$TESSERE_SESSION" "$TESSERE_CARD"; do
    name=${program##*/}
    for word in --help -h help; do
        says 0 "$name $word shows how it is used" "usage: $name " -- quiet "$program" $word
    done
    says 0 "$name --version" "$name $VERSION" "!usage" -- quiet "$program" --version
done
for program in "$TESSERED" "$TESSERE_AGENT" "$TESSERE_STARTER" "$TESSERE_CARD"; do
    name=${program##*/}
    says 2 "$name --nonsense is refused, and shows how it is used" --nonsense "usage: $name " -- "$program" --nonsense
done
says 2 "tessered takes no other word" "usage: tessered " -- "$TESSERED" nonsense
says 2 "tessere-agent names a command that does not exist" "no such command: nonsense" -- "$TESSERE_AGENT" nonsense

# --- the agent's socket, without an agent
mkdir "$work/station"
echo '{"server": "https://localhost:1"}' >"$work/station/station.json"
printf 'state: %s\nsocket: {path: %s}\n' "$work/station" "$work/socket" >"$work/agent.yaml"
printf 'state: %s\n' "$work/nowhere" >"$work/bare.yaml"
for command in browser pair confirm "code --for vpn"; do
    # shellcheck disable=SC2086
    says 4 "tessere-agent $command names the socket of the agent that does not run" \
        "$work/socket: No such file or directory" "systemctl status tessere-agent" "!the server" \
        -- "$TESSERE_AGENT" --config "$work/agent.yaml" $command
done
for command in browser pair confirm; do
    says 2 "tessere-agent $command says where a socket is named" "socket: path:" "--socket" \
        -- "$TESSERE_AGENT" --config "$work/bare.yaml" $command
done
says 2 "a station that is not enrolled is told how" "$work/nowhere/station.json" \
    "tessere-agent enrol --server URL --code CODE" "!tessere init" \
    -- "$TESSERE_AGENT" --config "$work/bare.yaml" code --for vpn
says 2 "the path of a socket that is too long is said to be" "at most 107 bytes" \
    -- "$TESSERE_AGENT" --config "$work/bare.yaml" --socket "/$(printf '%0200d' 0)" pair

echo "1..$n"
exit $status
