#!/usr/bin/env bash
# A station as its administrator knows it: the agent's configuration, its socket, its hooks, and
# those who mean it ill there. Server, vault, card and pcscd are real. Run by meson inside
# with-pcscd. TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"
export LC_ALL=C.UTF-8
unset LANGUAGE
home=$work/home
port=18451
sock=$work/run/socket
server_pid="" agent_pid=""
chmod 711 "$work" # another user comes to the socket
mkdir "$work/run" "$work/hooks.d"

# The socket from the other side: each line of the input is a packet ("\n" stands for a newline, and
# "?KIND" waits for an answer of that kind), each answer a line of the output.
cat >"$work/ask" <<'P'
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(40)
s.connect(sys.argv[1])
try:
    for line in sys.argv[2:]:
        if line.startswith("?"):
            kind = None
            while kind not in line[1:].split("|"):
                text = s.recv(4096).decode()
                print(text or '{"answer":"end"}', flush=True)
                kind = json.loads(text)["answer"] if text else "end"
                if not text:
                    break
        else:
            s.send(line.replace("\\n", "\n").encode())
except (BrokenPipeError, ConnectionResetError):
    print('{"answer":"end"}')
P
ask() { python3 "$work/ask" "$sock" "$@"; }

tessere() {
    "$TESSERE" --home "$home" --wait 5 "$@" </dev/null
}

start_server() {
    : >"$work/server.log"
    "$TESSERED" --home "$home" >"$work/server.log" 2>&1 &
    server_pid=$!
    for ((i = 0; i < 600; i++)); do
        grep -q ready "$work/server.log" && return 0
        sleep 0.1
    done
    cat "$work/server.log"
    return 1
}

stop_server() {
    kill "$server_pid"
    wait "$server_pid"
}

start_agent() { # OPTION...
    : >"$work/agent.log"
    "$TESSERE_AGENT" --config "$work/agent.yaml" --json "$@" run >"$work/agent.out" 2>"$work/agent.log" </dev/null &
    agent_pid=$!
    says ready
}

# says WORDS [SINCE-LINE]: the agent says so within ten seconds
says() {
    local i
    for ((i = 0; i < 100; i++)); do
        tail -n +$((${2:-0} + 1)) "$work/agent.log" | grep -F -- "$1" && return 0
        sleep 0.1
    done
    tail -5 "$work/agent.log"
    return 1
}

stop_agent() {
    kill "$agent_pid"
    wait "$agent_pid"
}

hangup() { # WORDS
    local before
    before=$(wc -l <"$work/agent.log")
    kill -HUP "$agent_pid"
    says "$1" "$before"
}

call() { # METHOD PATH [BODY]
    local method=$1 path=$2
    shift 2
    curl -sS -m 10 --cacert "$home/pki/ca.pem" --cert "$work/alice.pem" --key "$work/alice.key" \
        -H 'Content-Type: application/json' -X "$method" ${1:+-d "$1"} "https://localhost:$port$path"
}

# taps IMAGE [SLOT]: puts the badge there and takes it away; shows what the agent said
taps() {
    local before now i slot=${2:-0}
    before=$(wc -l <"$work/agent.out")
    insert "$slot" "$work/$1" || return 1
    for ((i = 0; i < 150; i++)); do
        now=$(wc -l <"$work/agent.out")
        [ "$now" -gt "$before" ] && break
        sleep 0.1
    done
    remove "$slot"
    tail -n +$((before + 1)) "$work/agent.out" | head -1
}

outcome() { # WANTED IMAGE [SLOT]
    taps "$2" "${3:-0}" | tee "$work/line"
    grep -q "\"outcome\":\"$1\"" "$work/line"
}

# begins FILE MESSAGE...: a program waits for a tap; what it is answered goes to FILE, $asking is its process
begins() {
    local file=$1 i
    shift
    rm -f "$file"
    ask "$@" >"$file" 2>&1 &
    asking=$!
    for ((i = 0; i < 100; i++)); do
        grep -q waiting "$file" && break
        sleep 0.1
    done
}

# waits IMAGE WORDS MESSAGE...: a program waits for a tap, the badge comes; its last answer says so
waits() {
    local image=$1 words=$2
    shift 2
    begins "$work/answers" "$@"
    taps "$image" >/dev/null
    wait "$asking"
    cat "$work/answers"
    tail -1 "$work/answers" | grep -qE -- "$words"
}

hook() { # NAME MODE TEXT
    printf '#!/bin/sh\n%s\n' "$3" >"$work/hooks.d/$1"
    chmod "$2" "$work/hooks.d/$1"
}

# appears FILE: within five seconds
appears() {
    local i
    for ((i = 0; i < 50; i++)); do
        [ -s "$1" ] && return 0
        sleep 0.1
    done
    return 1
}

# shellcheck disable=SC2329
claims() { # FILE: of the assertion in its last line
    tail -1 "$1" | python3 -c '
import base64, json, sys
t = json.load(sys.stdin)["assertion"].split(".")[1]
print(json.dumps(json.loads(base64.urlsafe_b64decode(t + "==")), sort_keys=True))'
}

quiet() {
    local text
    text=$("$@" 2>&1) || echo "# $*: $text"
}
quiet tessere init --finess 750712184 --name Hospital
quiet tessere server setup --hosts DNS:localhost,IP:127.0.0.1 --address 127.0.0.1 --port $port
quiet tessere person add alice --roles administrator,operator --out "$work/alice"
cat >"$home/policy.yaml" <<'Y'
pin: {tries: 5, pauses: [0]}
rules:
  - {group: "", factor: badge}
  - {group: pharmacy, factor: pin-always}
Y
check "the server starts" start_server
call POST /v1/stations '{"name":"pharmacy-1","group":"pharmacy"}' >"$work/station.json"
code=$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")
cat >"$work/agent.yaml" <<Y
state: $work/st
server: https://localhost:$port
language: en
readers: ["Tessere 00 00*"]
back-off-seconds: 1
socket:
  path: $sock
  mode: "0600"
hooks:
  directories: [$work/hooks.d]
  seconds: 2
Y
check "the station is enrolled at the server that its configuration names" \
    "$TESSERE_AGENT" --config "$work/agent.yaml" enrol --code "$code"
badges() {
    local n=1 name
    for name in anne bruno; do
        "$TESSERE_CARD" new --ev ev2 --uid "04A1B2C3D4E$n" "$work/$name" 2>/dev/null >/dev/null ||
            "$TESSERE_CARD" new --ev ev2 --uid "04A1B2C3D4E${n}F6" "$work/$name" >/dev/null || return 1
        insert 0 "$work/$name" && tessere badge enrol --ref "1000$n" --name "$name" --yes && remove 0 || return 1
        n=$((n + 1))
    done
    echo 135790 | "$TESSERE" holder pin 10001 --server "https://localhost:$port" --identity "$work/alice" --ca "$home/pki/ca.pem"
}
check "Anne and Bruno have badges, and Anne a PIN" badges

# --- configuration
check "the agent starts by its file" start_agent
check "the socket is the agent's user's alone" bash -c "[ \"\$(stat -c %a '$sock')\" = 600 ]"
check "status: station, server, the one reader of its file, no tap yet" \
    bash -c "python3 '$work/ask' '$sock' '{\"do\":\"status\"}' '?status' | tee /dev/stderr | grep -qF '\"station\":\"pharmacy-1\",\"server\":true,\"readers\":[\"Tessere 00 00\"],\"last\":null'"

# --- hooks
# shellcheck disable=SC2016
hook 10-seen 755 'd=$(dirname "$0")/..; cat >"$d/seen.in"; env | sort >"$d/seen.part"; mv "$d/seen.part" "$d/seen"'
check "Anne taps, and nobody is there to take her PIN" outcome pin-required anne
hook_saw() { # LINE...
    local line
    appears "$work/seen" || return 1
    cat "$work/seen"
    for line in "$@"; do grep -qxF "$line" "$work/seen" || return 1; done
}
check "the hook is told of the refusal" hook_saw TESSERE_OUTCOME=refused TESSERE_CODE=pin-required \
    TESSERE_STATION=pharmacy-1 "TESSERE_READER=Tessere 00 00"
rm -f "$work/seen"

# --- taps
tap='{"do":"tap","seconds":30,"subject":"10001","challenge":"c-4711"}'
check "a program waits, Anne taps, her PIN goes over the socket: granted" \
    waits anne '"outcome":"ok".*"subject":"10001"' "$tap" '?pin' '{"do":"pin"}\n135790' '?outcome'
check "in English, as configured" grep -q '"sentence":"[^"]*PIN' "$work/answers"
claimed() {
    claims "$work/answers" | tee "$work/claims"
    grep -q '"amr": \["hwk", "pin"\]' "$work/claims" && grep -q c-4711 "$work/claims" && grep -q '"sub": "10001"' "$work/claims"
}
check "the assertion is for her, with her PIN and the program's challenge" claimed
check "the hook saw it granted" hook_saw TESSERE_OUTCOME=granted TESSERE_CODE=ok TESSERE_SUBJECT=10001
same_assertion() { [ "$(cat "$work/seen.in")" = "$(tail -1 "$work/answers" | python3 -c 'import json,sys; print(json.load(sys.stdin)["assertion"])')" ]; }
check "and got the same assertion as its input" same_assertion
no_secret() { ! grep -q 135790 "$work/seen" "$work/agent.log" "$work/agent.out" "$work/seen.in" && ! grep -q "$(cut -c 1-20 "$work/seen.in")" "$work/seen"; }
check "no PIN and no assertion in its environment, no PIN in any output" no_secret
check "a mistyped PIN is asked for again" \
    waits anne '"outcome":"ok"' "$tap" '?pin' '{"do":"pin"}\n000000' '?pin' '{"do":"pin"}\n135790' '?outcome'
check "who cancels gets no outcome" \
    waits anne '"answer":"cancelled"' "$tap" '?pin' '{"do":"cancel"}' '?cancelled'
sleep 0.5
check "status tells how the last one ended, and not whose it was" \
    bash -c "python3 '$work/ask' '$sock' '{\"do\":\"status\"}' '?status' | tee /dev/stderr | grep '\"outcome\":\"pin-required\"' | grep -v 10001"
echo 'rules: [{group: "", factor: badge}]' >"$home/policy.yaml"
relaxed() { kill -HUP "$server_pid"; for ((i = 0; i < 50; i++)); do grep -q 'taken up' "$work/server.log" && return 0; sleep 0.1; done; return 1; }
check "the server takes up a policy without PIN" relaxed
check "a badge is enough now" outcome ok anne
check "Bruno's badge for Anne's session: refused, and nothing said of him" \
    waits bruno '"outcome":"other-holder","reader":"Tessere 00 00","sentence":"[^"]*"}$' "$tap" '?outcome|error'

two_programs() { # the one that came first gets the tap; the other is told that the place is taken
    begins "$work/first" '{"do":"tap"}' '?outcome|error'
    ask '{"do":"tap"}' '?outcome|error' >"$work/second"
    taps anne >/dev/null
    wait $asking
    cat "$work/first" "$work/second"
    grep -q reader-taken "$work/second" && ! grep -q assertion "$work/second" && grep -q '"subject":"10001"' "$work/first"
}
check "two programs wait: the second is told that the place is taken" two_programs

# --- hooks that misbehave
hook 20-hangs 755 'sleep 100'
hook 30-open 777 "echo >$work/ran"
ln -s /bin/true "$work/hooks.d/40-link"
before=$(wc -l <"$work/agent.log")
check "a hook hangs: the tap is answered" outcome ok anne
check "and so is the next, before the hook's time is over" outcome ok bruno
check "it is killed" says "20-hangs: killed after 2 seconds" "$before"
check "what others may write is refused by name" says "hook $work/hooks.d/30-open is not run: others may write it" "$before"
check "a link is" says "hook $work/hooks.d/40-link is not run: it is no regular file" "$before"
check "and neither ran" bash -c "! [ -e '$work/ran' ]"
rm "$work/hooks.d/20-hangs" "$work/hooks.d/30-open" "$work/hooks.d/40-link"

# --- those who mean it ill
cat >"$work/hostile" <<'P'
import os, socket, sys, time
path = sys.argv[1]
def join():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(path)
    s.settimeout(5)
    return s
def answer(s):
    try: return s.recv(4096)
    except (ConnectionResetError, TimeoutError): return b""
held = []
for i in range(100): held.append(join())                      # silent
for data in (b"x" * 1025, b"y" * 60000, b"{", b"\0" * 100, b"[" * 1000, b'{"do":"tap","seconds":1e99}',
             b'{"do":"pin"}\n' + b"9" * 500, b'{"do":"status"}\n135790', os.urandom(900)):
    s = join()
    s.send(data)
    assert b'"error"' in answer(s), data[:20]
    assert answer(s) == b"", data[:20]
for i in range(200):                                          # comes and goes
    s = join()
    s.send(b'{"do":"tap"}')
    s.close()
s = join()                                                    # talks without end, and does not listen
try:
    for i in range(10000): s.send(b'{"do":"status"}')
    raise SystemExit("it may talk without end")
except (BrokenPipeError, ConnectionResetError): pass
s = join()                                                    # descriptors are not taken
socket.send_fds(s, [b'{"do":"status"}'], [0, 1, 2])
assert b'"status"' in answer(s)
time.sleep(float(sys.argv[2]))
P
sleep 1
hostile() { # while a program waits, and a tap comes
    local hostile
    begins "$work/answers" "$tap" '?outcome|error'
    python3 "$work/hostile" "$sock" 4 >"$work/hostile.out" 2>&1 &
    hostile=$!
    sleep 1
    taps anne >/dev/null
    wait $asking
    cat "$work/answers"
    wait $hostile || { cat "$work/hostile.out"; return 1; }
    tail -1 "$work/answers" | grep -q '"outcome":"ok"'
}
check "a hundred silent, garbage, too large, too fast: the one who waits gets the tap" hostile
descriptors() { ls "/proc/$agent_pid/fd" | wc -l; }
check "status is answered after it" bash -c "python3 '$work/ask' '$sock' '{\"do\":\"status\"}' '?status' | grep -q pharmacy-1"
sleep 0.5
check "no descriptor was left behind" bash -c "[ $(descriptors) -lt 40 ]"

# --- another user
as_nobody() { # what the socket says to somebody else who comes; perl is in every Debian
    local way=(sudo -n -u nobody)
    [ "$(id -u)" != 0 ] || way=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    # shellcheck disable=SC2016
    "${way[@]}" perl -MSocket -e 'socket(S, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
        connect(S, sockaddr_un($ARGV[0])) or print "$!";
        recv(S, my $text, 4096, 0); print $text' "$sock" 2>&1
}
no_way_in() { as_nobody | grep 'Permission denied'; }
check "the file's mode keeps another user out" no_way_in
sed -i 's/mode: "0600"/mode: "0666"\n  users: [root]/' "$work/agent.yaml"
check "the agent takes up a wider mode, for named users" hangup "configuration taken up"
named() { as_nobody | grep '"code":"not-permitted"'; }
check "who is not named is told so, whatever the mode" named

# --- reload
cp "$work/agent.yaml" "$work/good.yaml"
lines=$(wc -l <"$work/agent.yaml")
echo 'langage: fr' >>"$work/agent.yaml"
check "a broken file changes nothing: file, line and field are said" \
    hangup "the configuration stays as it was: $work/agent.yaml: line $((lines + 1)), column 1: langage: there is no such field; known: "
check "taps go on" outcome ok anne
sed "s|$sock|$work/none/socket|" "$work/good.yaml" >"$work/agent.yaml"
check "a socket that cannot be made changes nothing" hangup "the configuration stays as it was: $work/none/socket"
check "the old one answers" bash -c "python3 '$work/ask' '$sock' '{\"do\":\"status\"}' '?status' | grep -q status"
rm "$work/agent.yaml"
check "a file that is gone changes nothing" hangup "the configuration stays as it was: $work/agent.yaml"
sed -e "s|$sock|$work/run/other|" -e 's/language: en/language: fr/' -e '/^readers/d' "$work/good.yaml" >"$work/agent.yaml"
old=$sock
check "a good one is taken up" hangup "configuration taken up"
sock=$work/run/other
check "the socket has moved" bash -c "[ -S '$sock' ] && ! [ -e '$old' ]"
both() {
    local i
    for ((i = 0; i < 50; i++)); do
        ask '{"do":"status"}' '?status' | tee "$work/both" | grep -q '00 00.*00 01' && return 0
        sleep 0.2
    done
    cat "$work/both"
    return 1
}
check "every reader is served now" both
check "a tap at the second reader: granted" outcome ok bruno 1
suspended() { call POST /v1/badges/2/suspend '{"reason":"forgotten"}' | grep -q suspended && outcome badge-suspended bruno && grep -q 'Badge suspendu' "$work/line"; }
check "sentences are in French now" suspended

# --- the server goes and comes
check "the server ends" stop_server
check "a program that waits hears that it does not answer" waits anne '"outcome":"server-gone"' '{"do":"tap"}' '?outcome|error'
away() { for ((i = 0; i < 50; i++)); do ask '{"do":"status"}' '?status' | grep -q '"server":false' && return 0; sleep 0.2; done; return 1; }
check "status says so" away
check "the server is back" start_server
back() { for ((i = 0; i < 50; i++)); do ask '{"do":"status"}' '?status' | grep -q '"server":true' && return 0; sleep 0.2; done; return 1; }
check "the agent has found it again" back
check "taps are granted again" outcome ok anne

# --- the end
ends() {
    begins "$work/answers" '{"do":"tap"}' '?outcome|error'
    stop_agent || return 1
    wait $asking
    grep -q '"end"' "$work/answers" && ! [ -e "$sock" ]
}
check "the agent ends: who waited is let go, and the socket's file is gone" ends

# --- an identity of the hospital's own
cp "$work/st/station.pem" "$work/own.pem"
openssl pkey -in "$work/st/station.pem" -out "$work/own.key"
cp "$work/st/ca.pem" "$work/own-ca.pem"
printf 'identity: %s\nca: %s\nserver: https://localhost:%s\nstate: %s\n' "$work/own" "$work/own-ca.pem" "$port" "$work/nowhere" >"$work/agent.yaml"
check "without an enrolment, but with server, identity and CA: the agent starts" start_agent --language en --reader 'Tessere 00 00*'
check "and serves" outcome ok anne
check "it ends" stop_agent
check "the server ends" stop_server
finish
