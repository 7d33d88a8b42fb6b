#!/usr/bin/env bash
# Sessions of a seat by badge: agent, server, vault, card, pcscd and D-Bus are real; systemd-logind is
# python-dbusmock's, whose sessions this test locks and shows as the real one would. The configuration
# is that of docs/integration/sessions.md. Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/own-etc.sh
. "$(dirname "$0")/../support/own-etc.sh"
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
support=$(dirname "$0")/../support
bus_pid="" mock_pid="" marked=0
end_all() {
    local pid
    for pid in $agent_pid $server_pid $mock_pid $bus_pid; do kill "$pid" 2>/dev/null; done
    umount -l "$work/own/pcscd" "$work/own/etc" 2>/dev/null
    leave
}
trap end_all EXIT
block() { "$support/page-block" "$PAGES/sessions.md" "$1"; }

start_bus() {
    own_bus || return 1
    /usr/bin/python3 -m dbusmock --system --logfile "$work/calls" --template logind >"$work/mock.log" 2>&1 &
    mock_pid=$!
    until_so busctl_ready
}
cat >"$work/logind" <<'P'
import dbus, sys
bus = dbus.SystemBus()
def mock(path): return dbus.Interface(bus.get_object("org.freedesktop.login1", path), "org.freedesktop.DBus.Mock")
def put(id, **what):
    names = {"active": "Active", "locked": "LockedHint", "kind": "Class"}
    values = {names[k]: dbus.Boolean(v) if k != "kind" else v for k, v in what.items()}
    mock("/org/freedesktop/login1/session/" + id).UpdateProperties("org.freedesktop.login1.Session", values)
if sys.argv[1] == "ready": mock("/org/freedesktop/login1").GetCalls()
elif sys.argv[1] == "add": mock("/org/freedesktop/login1").AddSession(sys.argv[2], "seat0", dbus.UInt32(int(sys.argv[3])), sys.argv[4], False)
else: put(sys.argv[2], **{k: (v if k == "kind" else v == "yes") for k, v in (a.split("=") for a in sys.argv[3:])})
P
logind() { /usr/bin/python3 "$work/logind" "$@"; }
busctl_ready() { logind ready; }

set_up() {
    own_etc "$work/own" && mkdir -p /etc/tessere /run/tessere-session && echo 'kiosk:x:2009:' >>/etc/group || return 1
    tessere init --finess 750712184 --name Hospital &&
        tessere server setup --hosts DNS:localhost,IP:127.0.0.1 --address 127.0.0.1 --port $port &&
        tessere person add alice --roles administrator,operator --out "$work/alice" || return 1
    printf 'rules: [{group: "", factor: badge}]\n' >"$home/policy.yaml"
    echo "log-requests: true" >>"$home/server.yaml" && start_server && enrol_badge ev2 04A1B2C3D4E1F6 anne 10001 Anne && enrol_badge ev2 04A1B2C3D4E2F6 bruno 10002 Bruno &&
        enrol_badge ev2 04A1B2C3D4E3F6 carla 10003 Carla
}

start_station() {
    local code
    code=$(call alice POST /v1/stations '{"name":"ward-1"}' | sed 's/.*"code":"\([^"]*\)".*/\1/')
    mkdir -p /run/tessere-agent "$work/hooks" && cp "$TESSERE_SESSION" "$work/hooks/tessere-session" || return 1
    { printf 'state: %s\nserver: https://localhost:%s\nlanguage: en\nreaders: ["Tessere 00 00*"]\nsocket: {path: /run/tessere-agent/socket}\n' "$work/st" $port
        block agent | sed "s|/usr/libexec/tessere/session|$work/hooks|"; } >"$work/agent.yaml"
    "$TESSERE_AGENT" --config "$work/agent.yaml" enrol --code "$code" || return 1
    : >"$work/agent.out"
    "$TESSERE_AGENT" --config "$work/agent.yaml" --json run >"$work/agent.out" 2>"$work/agent.log" </dev/null &
    agent_pid=$!
    until_so grep -q ready "$work/agent.log"
}

mark() { marked=$(wc -l <"$work/calls"); }
calls() { tail -n +$((marked + 1)) "$work/calls" | sed 's/^[0-9.]* //' | grep -E '^(Lock|Unlock|Activate)Session' | tr '\n' ' '; }
asked() { [ "$(calls)" = "$1" ]; }
left_times() { [ "$(grep -c '/v1/station/leave' "$work/server.log")" = "$1" ]; }
# does CALLS IMAGE: a tap of this badge, and what logind was asked for
does() {
    mark
    taps "$2" >"$work/told"
    local i wanted=$1
    for ((i = 0; i < 30; i++)); do
        [ "$(calls)" = "$wanted" ] && [ -n "$wanted" ] && break
        sleep 0.1
    done
    echo "wanted: $wanted"
    echo "asked for: $(calls)"
    cat "$work/told"
    tail -3 "$work/agent.log"
    [ "$(calls)" = "$wanted" ]
}
rested() { sleep 2; } # longer than two taps that are one

check "a hospital with three badges" set_up
check "a system bus, and a mock of logind on it" start_bus
check "the station runs tessere-session as its hook" start_station
block session >/etc/tessere/session.yaml
printf '10001 anne\n10002 bruno\n10003 carla\n' >/etc/tessere/users
people() { logind add 1 2001 anne && logind add 2 2002 bruno && logind put 1 active=yes; }
check "Anne's session is in front, Bruno's behind" people

check "Anne taps: it is locked" does 'LockSession "1" ' anne
logind put 1 locked=yes
check "and her sessions in browsers end" until_so left_times 1
check "her second tap within the time is none" does '' anne
rested
check "then she taps: it is unlocked" does 'UnlockSession "1" ' anne
logind put 1 locked=no
check "Bruno taps: hers is locked, his comes to the front and opens" does 'LockSession "1" ActivateSession "2" UnlockSession "2" ' bruno
logind put 1 active=no locked=yes
logind put 2 active=yes
check "Anne taps: back to hers" does 'LockSession "2" ActivateSession "1" UnlockSession "1" ' anne
logind put 2 active=no locked=yes
logind put 1 active=yes locked=no
check "Carla has no session, and nobody can show a greeter: what is in front is locked all the same" does 'LockSession "1" ' carla
says_so() { grep -q 'tessere-session: ended with status' "$work/agent.log"; }
check "and the agent tells that the hook failed" until_so says_so
logind add c1 120 greeter
logind put c1 kind=greeter
rested
check "with a greeter it comes to the front" does 'LockSession "1" ActivateSession "c1" ' carla
logind put 1 active=no locked=yes
logind put c1 active=yes
rested
check "before the greeter a person without a session is the greeter's affair" does '' carla
revoked() {
    call alice POST /v1/badges/2/suspend '{"reason":"forgotten"}' >/dev/null
    rested
    does '' bruno
}
check "a suspended badge moves nothing" revoked
call alice POST /v1/badges/2/reinstate '{"reason":"found"}' >/dev/null
logind put c1 active=no
logind put 1 active=yes locked=no
waited() { # as sudo does
    rested
    /usr/bin/python3 - <<'P' &
import json, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("/run/tessere-agent/socket")
s.send(b'{"do":"tap"}')
while json.loads(s.recv(4096))["answer"] != "outcome": pass
P
    sleep 0.5
    does '' anne
}
check "a tap that a program waits for locks nothing" waited

# --- badges that stay
block card-stays >/etc/tessere/session.yaml
logind put 1 locked=yes
stays_and_goes() {
    rested
    mark
    insert 0 "$work/anne" || return 1
    until_so asked 'UnlockSession "1" ' || return 1
    logind put 1 locked=no
    sleep 1
    asked 'UnlockSession "1" ' || return 1
    remove 0
    until_so asked 'UnlockSession "1" LockSession "1" '
}
check "card-stays: the badge opens while it lies there, and lifting it locks" stays_and_goes
left=$(grep -c '/v1/station/leave' "$work/server.log")
logind put 1 locked=yes
lifted_again() { # locked already, by its own time
    rested
    insert 0 "$work/anne" && until_so asked 'UnlockSession "1" LockSession "1" UnlockSession "1" ' || return 1
    remove 0
    until_so left_times $((left + 1))
}
check "card-stays: lifting it ends sessions in browsers, also where the screen is locked already" lifted_again

# --- the kiosk
block kiosk >/etc/tessere/session.yaml
logind put 1 active=no
logind add 9 2009 kiosk
logind put 9 active=yes locked=yes
block tmpfiles | sed 's/tessere-agent/root/' >"$work/tmpfiles.conf"
made() { systemd-tmpfiles --create "$work/tmpfiles.conf" && [ "$(stat -c %a:%G /run/tessere-session)" = 2750:kiosk ]; }
check "the kiosk's directory is made, as the page says" made
identity() { cat /run/tessere-session/identity 2>/dev/null | grep -o 'SUBJECT=.*'; }
check "Carla taps: unlocked" does 'UnlockSession "9" ' carla
is_carlas() { [ "$(identity)" = SUBJECT=10003 ] && [ "$(stat -c %a:%G /run/tessere-session/identity)" = 640:kiosk ]; }
check "and the kiosk's programs can read that it is her turn" is_carlas
logind put 9 locked=no
check "Bruno taps: his turn at once" does 'UnlockSession "9" ' bruno
is_brunos() { [ "$(identity)" = SUBJECT=10002 ]; }
check "it is his" is_brunos
rested
check "he taps again: locked" does 'LockSession "9" ' bruno
check "and it is nobody's turn" bash -c '! [ -e /run/tessere-session/identity ]'
strange() { # a staff id that a shell would run
    mark
    TESSERE_OUTCOME=granted TESSERE_SUBJECT='$(touch x)' "$TESSERE_SESSION"
    [ $? = 2 ] && [ -z "$(calls)" ] && ! [ -e /run/tessere-session/identity ]
}
check "a staff id with signs that a shell would understand is refused" strange
check "a configuration that others may write is refused" bash -c "chmod 666 /etc/tessere/session.yaml; ! TESSERE_OUTCOME=granted TESSERE_SUBJECT=10001 '$TESSERE_SESSION'"
check "the server ends" stop_server
finish
