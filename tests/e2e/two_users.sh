#!/usr/bin/env bash
# Server and vault under a user each: badges are encoded and tap through a vault that a service
# starts, and the server's user has neither the token nor its PIN. Where this is not run as root,
# both are the same user, and what needs two is skipped. Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"
export LC_ALL=C.UTF-8
unset LANGUAGE
port=18460
url=https://localhost:$port
server='' service='' agent=''
home=$work/home vault=$work/vault run=$work/run bin=$work/bin
sock=$run/vault.sock
export HOME=/nonexistent PATH=/usr/sbin:/usr/bin:/sbin:/bin

# The programs where other users can run them.
chmod 711 "$work"
mkdir -m 711 "$bin" "$work/people"
cp "$TESSERE" "$TESSERED" "$TESSERE_STARTER" "$TESSERE_VAULT" "$TESSERE_TOKEN" "$bin/"
mkdir -m 700 "$home" "$vault"
mkdir -m 750 "$run"
as_server=() as_vault=() for=()
if [ "$(id -u)" = 0 ]; then
    as_server=(setpriv --reuid daemon --regid daemon --clear-groups)
    as_vault=(setpriv --reuid bin --regid daemon --clear-groups)
    for=(--for daemon)
    chown daemon:daemon "$home" "$work/people"
    chown bin:daemon "$vault" "$run"
fi

# with_two NAME COMMAND...: a check that is of no meaning with one user
with_two() {
    if [ "$(id -u)" = 0 ]; then
        check "$@"
        return
    fi
    tests=$((tests + 1))
    echo "ok $tests - $1 # SKIP two users need root"
}

end() {
    local pid
    for pid in $agent $server $service; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    leave
}
trap end EXIT

waits() { # PID FILE WORDS
    local i
    for ((i = 0; i < 100; i++)); do
        grep -q -- "$3" "$2" 2>/dev/null && return 0
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    cat "$2"
    return 1
}

desk() { "${as_server[@]}" "$bin/tessere" --home "$home" "$@" </dev/null; }

start_service() {
    : >"$work/service.log"
    "${as_vault[@]}" "$bin/tessere-starter" --home "$vault" "${for[@]}" --socket "$sock" 2>"$work/service.log" &
    service=$!
    waits "$service" "$work/service.log" ready
}
# As the service manager starts it, with a socket that listens already.
inherit_service() {
    rm -f "$sock"
    : >"$work/service.log"
    python3 - "$sock" "${as_vault[@]}" "$bin/tessere-starter" --home "$vault" "${for[@]}" <<'P' 2>"$work/service.log" &
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen(16)
os.chmod(sys.argv[1], 0o660)
if os.getuid() == 0:
    os.chown(sys.argv[1], 0, os.stat(os.path.dirname(sys.argv[1])).st_gid)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
P
    service=$!
    waits "$service" "$work/service.log" ready
}
start_server() {
    : >"$work/server.log"
    "${as_server[@]}" "$bin/tessered" --home "$home" 2>"$work/server.log" &
    server=$!
    waits "$server" "$work/server.log" ready
}
start_agent() {
    : >"$work/agent.log"
    "$TESSERE_AGENT" --state "$work/st" --json run >"$work/agent.out" 2>"$work/agent.log" </dev/null &
    agent=$!
    waits "$agent" "$work/agent.log" ready
}

# vaults COUNT: so many run within some seconds
vaults() {
    local i
    for ((i = 0; i < 100; i++)); do
        [ "$(pgrep -P "$service" -x tessere-vault | wc -l)" = "$1" ] && return 0
        sleep 0.1
    done
    pgrep -P "$service" -l
    return 1
}

taps() {
    local before i
    before=$(wc -l <"$work/agent.out")
    insert 0 "$work/anne" || return 1
    for ((i = 0; i < 100; i++)); do
        [ "$(wc -l <"$work/agent.out")" -gt "$before" ] && break
        sleep 0.1
    done
    remove 0
    tail -1 "$work/agent.out"
    tail -3 "$work/agent.log"
    tail -n +$((before + 1)) "$work/agent.out" | grep -q '"outcome":"ok"'
}
enrols() {
    local status=0
    "$TESSERE_CARD" new --ev ev2 --uid 04A1B2C3D4E5F6 "$work/anne" >/dev/null && insert 0 "$work/anne" || return 1
    "$TESSERE" badge enrol --ref 10001234567 --name "Anne Martin" --yes --server "$url" \
        --identity "$work/people/olga" --ca "$home/pki/ca.pem" --wait 5 </dev/null || status=$?
    remove 0
    return "$status"
}
enrol_station() {
    local code
    code=$(desk --json station add ward-1 | sed -n 's/.*"code": *"\([^"]*\)".*/\1/p')
    "$TESSERE_AGENT" --state "$work/st" enrol --server "$url" --code "$code"
}

check "the token is made by the vault's user" \
    "${as_vault[@]}" "$bin/tessere" --home "$vault" vault setup --finess 750712184
check "the service listens" start_service
check "the establishment is set up through it" desk init --finess 750712184 --profile "$PROFILE" --in-token auth --vault "$sock"
no_token() { ! grep -E '^token:|pin-file|softhsm' "$home/tessere.yaml" && [ ! -e "$home/token" ]; }
check "the server's directory names no token and no PIN" no_token
check "a server is set up" desk server setup --hosts DNS:localhost --address 127.0.0.1 --port "$port"
check "Olga works at the badge desk" desk person add olga --roles operator --out "$work/people/olga"
check "the server starts" start_server
check "the vault of taps and the one of the desk run, as children of the service" vaults 2
check "a station is enrolled" enrol_station
check "its agent starts" start_agent
check "a badge is encoded by the desk's vault" enrols
check "it taps" taps
well() {
    desk --json doctor >"$work/doctor"
    cat "$work/doctor"
    python3 -c "
import json
found = {c['check']: c['result'] for c in json.load(open('$work/doctor'))['checks']}
assert all(found[name] == 'ok' for name in ('vault', 'vault-apart', 'confinement', 'master-keys'))"
}
check "the doctor finds the vault apart, its token and all master keys well" well

# --- what the server's user cannot do

cannot() { ! "${as_server[@]}" "$@"; }
with_two "the server's user cannot read the PIN" cannot cat "$vault/token/pin"
with_two "nor the token's directory" cannot ls "$vault/token"
with_two "nor what names the module" cannot cat "$vault/tessere.yaml"
sees_token() { # AS...
    SOFTHSM2_CONF="$vault/token/softhsm2.conf" "$@" pkcs11-tool \
        --module /usr/lib/softhsm/libsofthsm2.so --list-token-slots 2>&1 | grep Tessere
}
no_token_seen() { sees_token "${as_vault[@]}" && ! sees_token "${as_server[@]}"; }
with_two "no PKCS#11 program that it runs sees the token" no_token_seen
no_vault_of_its_own() {
    local mine=$work/people/home
    mkdir "$mine" && cp "$home"/store.db* "$home/profile.yaml" "$mine" &&
        cp "$vault/tessere.yaml" "$mine" && chown -R daemon "$mine" || return 1
    "${as_server[@]}" "$bin/tessere" --home "$mine" key list >"$work/said" 2>&1 </dev/null
    local status=$?
    cat "$work/said"
    [ $status = 6 ]
}
with_two "a vault that it starts itself cannot open the token" no_vault_of_its_own
of_the_vault() { # its memory is not the server's to read, nor is it to be traced
    local pid
    pid=$(pgrep -P "$service" -x tessere-vault | head -1)
    ! "${as_server[@]}" cat "/proc/$pid/environ" && ! "${as_server[@]}" kill "$pid"
}
with_two "it cannot read what the vault was given, nor end it by a signal" of_the_vault

# A peer that speaks for itself: argument 1 says what it tries.
cat >"$work/people/peer.py" <<'P'
import os, socket, struct, sys

path, attempt = sys.argv[1:3]


def string(text):
    return struct.pack("<H", len(text)) + text.encode()


def ask(message=struct.pack("<IB", 1, 1), lanes=1):
    """A connection, our end of the first lane, and the answer."""
    service = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    service.settimeout(20)
    service.connect(path)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(20)
    socket.send_fds(service, [message], [theirs.fileno()] * lanes)
    theirs.close()
    return service, ours, service.recv(4096)


def configure(token="", establishment="750712184", pin="", has_pin=0, last=0):
    return (b"\x01" + struct.pack("<I", VERSION) + string(token) + string(establishment) + string(pin) +
            bytes([has_pin, last, 0, 1]) + string("") + struct.pack("<I", 0) + b"\1" + string(""))


VERSION = int(os.environ["VAULT_PROTOCOL"])
if attempt == "names":
    wishes = [{"token": "pkcs11:token=x?module-path=/tmp/theirs.so"}, {"pin": "/etc/hostname"}, {"has_pin": 1},
              {"last": 1}, {"establishment": "750712185"}]
    for wish in wishes:
        service, lane, answer = ask()
        assert answer == b"\0", answer
        lane.send(configure(**wish))
        answer = lane.recv(4096)
        print(wish, answer)
        assert answer[0] == 1 and b"REFUSED" in answer.upper(), answer
        lane.send(b"\x04")
        try:
            assert lane.recv(4096) == b""
        except ConnectionResetError:
            pass
        status = struct.unpack("<I", service.recv(4096))[0]
        assert os.waitstatus_to_exitcode(status) == 65, status
elif attempt == "makes":
    service, lane, answer = ask()
    lane.send(configure())
    assert lane.recv(4096) == b"\0"
    lane.send(b"\x05" + string("/tmp/theirs") + string("Tessere"))
    answer = lane.recv(4096)
    print(answer)
    assert answer[0] == 1 and b"REFUSED" in answer.upper()
elif attempt == "babbles":
    for message, lanes in ((b"", 1), (b"x" * 4000, 1), (struct.pack("<IB", 1, 2), 1), (struct.pack("<IB", 9, 1), 1)):
        service, lane, answer = ask(message, lanes)
        print(answer)
        assert answer[:1] != b"\0"
    service, lane, answer = ask()
    assert answer == b"\0"
    service.send(b"more")
    lane.close()
    try:
        service.recv(4096)
    except ConnectionResetError:  # what it said was not read
        pass
elif attempt == "many":
    kept = [ask() for _ in range(9)]
    answers = [answer for _, _, answer in kept]
    print(answers)
    assert answers.count(b"\0") == 6 and all(b"BUSY" in a.upper() for a in answers if a != b"\0")
elif attempt == "stranger":
    try:
        print(ask())
    except (PermissionError, ConnectionResetError, BrokenPipeError) as e:
        print(e)
    else:
        sys.exit(1)
P
chmod 644 "$work/people/peer.py"
VAULT_PROTOCOL=$(sed -n 's/.*VAULT_PROTOCOL = \([0-9]*\),.*/\1/p' "$VAULT_H")
export VAULT_PROTOCOL
peer() { "${as_server[@]}" python3 "$work/people/peer.py" "$sock" "$1"; }
check "a peer that names a token, a module, a PIN or another establishment is refused, and its vault ends" peer names
check "so is one that wants a token made" peer makes
check "one that asks in any other way gets no vault" peer babbles
check "two vaults are left" vaults 2
check "so many vaults run at once, and no more" peer many
check "and end with their connections" vaults 2
stranger() { setpriv --reuid nobody --regid "$1" --clear-groups python3 "$work/people/peer.py" "$sock" stranger; }
with_two "another user is not let in by the socket's mode" stranger nogroup
with_two "nor, with the server's group, by the service" stranger daemon
check "the badge still taps" taps

# --- ends

killed() {
    local pid
    for pid in $(pgrep -P "$service" -x tessere-vault); do kill -9 "$pid" || return 1; done
    waits "$server" "$work/server.log" "the vault had ended; it runs again" && vaults 2
}
check "vaults that are killed come back" killed
check "and the badge taps" taps
again() {
    kill "$service" && wait "$service"
    inherit_service && vaults 2
}
check "a service that starts again, now on a socket of the service manager, serves the same server" again
check "and the badge taps" taps
abandoned() {
    kill -9 "$server"
    wait "$server" 2>/dev/null
    server=''
    vaults 0
}
check "a server that is killed leaves no vault behind" abandoned
check "the server starts again" start_server
check "and the badge taps" taps
stops() {
    kill "$server"
    wait "$server" || return 1
    server=''
    vaults 0
}
check "a server that stops ends its vaults" stops
no_service() {
    kill "$service"
    wait "$service"
    service=''
    ! desk key list 2>"$work/said" && cat "$work/said" && grep -q "$sock" "$work/said"
}
check "without the service, the error names its socket" no_service

# What tessere-starter(8) says for a server that has had the token so far.
gives_away() {
    local values
    rm -rf "$home" "$vault"
    mkdir -m 700 "$home" "$vault"
    [ "$(id -u)" != 0 ] || chown daemon:daemon "$home"
    desk init --finess 750712184 --profile "$PROFILE" >/dev/null || return 1
    values=$(desk key list | tail -n +2) || return 1
    mv "$home/token" "$vault/" && cp "$home/tessere.yaml" "$vault/" &&
        sed -i "s,$home/,$vault/," "$vault/tessere.yaml" "$vault/token/softhsm2.conf" || return 1
    [ "$(id -u)" != 0 ] || chown -R bin:daemon "$vault"
    sed -i '/^token:/d; /^softhsm-conf:/d; /^pin-file:/d' "$home/tessere.yaml"
    echo "vault: $sock" >>"$home/tessere.yaml"
    start_service && [ "$(desk key list | tail -n +2)" = "$values" ] && grep -q . <<<"$values"
}
check "a server that has had the token gives it away, and finds the same keys" gives_away
finish
