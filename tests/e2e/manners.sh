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
# shellcheck disable=SC2317 # called by says
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

# --- what a server is asked with is looked for first: the network is not blamed
touch "$work/bare.key"
says 2 "an identity that is not there is named" "--identity: $work/nobody.pem: No such file" "!does not answer" -- \
    "$TESSERE" badge list --server https://localhost:1 --identity "$work/nobody" --ca "$work/ca.pem"
touch "$work/bare.pem"
says 2 "so is a CA" "--ca: $work/ca.pem: No such file" -- \
    "$TESSERE" badge list --server https://localhost:1 --identity "$work/bare" --ca "$work/ca.pem"
long=$(printf 'é%.0s' {1..60})
says 2 "a reference that does not fit is not cut: what is left could be somebody else's" "is too long" "!No such file" -- \
    "$TESSERE" holder suspend "$long" --server https://localhost:1 --identity "$work/bare" --ca "$work/ca.pem"

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

# --- files that are not what was asked for, and directories
export TESSERE_HOME=$work/home
mkdir "$work/d"
: >"$work/empty"
head -c 4000 /dev/urandom >"$work/random"
sed -i '1s/^/\xFF/' "$work/random"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/a.key" -out "$work/a.pem" -days 30 -subj /CN=a 2>/dev/null
# shellcheck disable=SC2317 # called by says
t() { "$TESSERE" "$@"; }
says 0 "an establishment" -- t init --finess 750712184 --name H
says 2 "a missing file is named" "$work/none: No such file" -- t fleet check "$work/none"
for command in "fleet check" "fleet import" "profile check"; do
    # shellcheck disable=SC2086
    says 2 "$command of a directory says that it is one" "$work/d: Is a directory" -- t $command "$work/d"
    # shellcheck disable=SC2086
    says 2 "$command of an empty file says that it is empty" "$work/empty:1: the file is empty" -- t $command "$work/empty"
    # shellcheck disable=SC2086
    says 2 "$command of random bytes says that they are no text" "$work/random:1: " "not UTF-8" -- t $command "$work/random"
done
says 2 "what is no backup is said to be none" "$work/empty: this is no backup: $work/empty.manifest: No such" \
    -- t backup verify "$work/empty"
says 2 "a recipient's certificate that is none is named" "$work/empty" -- t backup create --recipients "a=$work/empty"
says 2 "a directory in its place too" "$work/d: Is a directory" -- t backup create --recipients "a=$work/d"
for option in --to --copy-to; do
    says 2 "$option with a file says so" "$work/empty: Not a directory" -- t backup create --recipients "a=$work/a.pem" $option "$work/empty"
done
says 0 "what no backup came of is not remembered" -- test ! -e "$work/home/backup.yaml"
says 0 "a backup" "sealed for a" -- t backup create --recipients "a=$work/a.pem"
cp "$work/home/backup.yaml" "$work/backup.yaml"
says 2 "nor are other recipients" "$work/empty" -- t backup create --recipients "b=$work/empty"
says 0 "the first ones stay" -- cmp "$work/home/backup.yaml" "$work/backup.yaml"
backup=$(echo "$work"/home/backup/*.backup)
for file in empty random a.pem; do
    says 2 "a custodian's key that is none ($file) is named" "--custodian $work/$file" -- t backup verify "$backup" --custodian "$work/$file"
    says 2 "a checkpoint that is none ($file) is named" "--checkpoint $work/$file" -- t backup verify "$backup" --checkpoint "$work/$file"
done
says 1 "a directory that cannot be made is named" "$work/no/where.part cannot be made: No such file" "!left of" \
    -- t --home "$work/no/where" backup restore "$backup" --custodian "$work/a.key"
says 1 "a file in place of the home too" "$work/empty: Not a directory" -- t --home "$work/empty" backup restore "$backup" --custodian "$work/a.key"
says 2 "a drill without a key says which is needed" "--custodian FILE is needed" -- t drill restore
says 2 "a drill names the key that is none" "--custodian $work/empty" -- t drill restore --custodian "$work/empty" --without-masters
says 2 "a campaign is named by its number" "tessere campaign list" -- t campaign show x
says 8 "one that is not there is named" "no campaign 7" -- t campaign pause 7
says 8 "a list that is not there too" "no list 9" -- t fleet forget 9
says 2 "stock destroy says what it takes" "--reason" "--badge" "--batch" -- t stock destroy
says 2 "without a home directory, the establishment is named, and --home" "/none/tessere.yaml" "--home" -- t --home /none campaign list
says 0 "help on one command shows its operand and its options" "usage: tessere backup verify FILE [OPTIONS]" --custodian "!--copy-to" \
    -- t help backup verify
says 0 "help on a family shows its commands" "backup create" "backup restore FILE" -- t help backup

echo "1..$n"
exit $status
