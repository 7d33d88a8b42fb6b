#!/usr/bin/env bash
# tessere-session and a real logind: elogind's, which is systemd's own for systems without systemd. It
# conflicts with systemd, so it is unpacked beside the system and runs in namespaces of this test, on a seat
# without consoles. What happened is read off its signals and properties. TAP output.
if [ -z "${TESSERE_CARD_PORT:-}" ]; then # packages need the network that a private pcscd has not
    # shellcheck disable=SC2016 # for the inner shell
    ELOGIND=$(bash -c '. "$1"; unpacked elogind elogind libelogind0' - "$LIB") || exit 1
    export ELOGIND
    exec "$(dirname "$0")/../support/with-pcscd" "$0"
fi
# shellcheck source=tests/support/own-etc.sh
. "$(dirname "$0")/../support/own-etc.sh"
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
bus_pid="" logind_pid="" seat_pid="" monitor_pid="" polkit_pid="" told=0
as=(setpriv --reuid 990 --regid 990 --clear-groups)
end_all() {
    local pid
    for pid in $seat_pid $monitor_pid $polkit_pid $logind_pid $bus_pid; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
    rmdir /sys/fs/cgroup/elogind/c[0-9]* 2>/dev/null
    umount -l "$work/own/pcscd" "$work/own/etc" 2>/dev/null
    rm -rf "$work"
}
trap end_all EXIT

login1() { busctl --system "$1" org.freedesktop.login1 "${@:2}"; }
is_there() { login1 call /org/freedesktop/login1 org.freedesktop.login1.Manager ListSeats; }
set_up() {
    chmod 711 "$work"
    own_etc "$work/own" && own_user anne 2001 - && own_user bruno 2002 - && own_user carla 2003 - && own_user greeter 120 - && own_user tessere-agent 990 - &&
        mkdir -p /etc/tessere /run/systemd /run/tessere-session && chown tessere-agent /run/tessere-session && own_bus || return 1
    printf '10001 anne\n10002 bruno\n10003 carla\n' >/etc/tessere/users
    printf 'map: /etc/tessere/users\ndebounce-ms: 0\n' >/etc/tessere/session.yaml
}
start_logind() {
    [ ! -e /sys/devices/virtual/tty/tty0 ] || mount -t tmpfs own-tty /sys/devices/virtual/tty/tty0 || return 1
    mount -t tmpfs own-cgroup /sys/fs/cgroup || return 1 # it mounts what it needs there
    LD_LIBRARY_PATH=$ELOGIND/lib/elogind:$ELOGIND/lib/x86_64-linux-gnu "$ELOGIND/lib/elogind/elogind" >"$work/logind.log" 2>&1 &
    logind_pid=$!
    until_so is_there
}

# As PAM's module does it for a display manager: the session lasts as long as its descriptor is held.
cat >"$work/seat" <<'P'
import dbus, signal, subprocess, sys
manager = dbus.Interface(dbus.SystemBus().get_object("org.freedesktop.login1", "/org/freedesktop/login1"), "org.freedesktop.login1.Manager")
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
held = []
try:
    with open(sys.argv[1], "w") as ids:
        for name, uid, kind in (who.split(":") for who in sys.argv[2:]):
            leader = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "sleep", "infinity"])
            s = manager.CreateSession(int(uid), leader.pid, "lightdm", "x11", kind, "", "seat0", 0, "", ":0", False, "", "", dbus.Array([], "(sv)"))
            held.append((leader, s[3].take()))
            print(f"{name}={s[1]}", file=ids, flush=True)
        print("all", file=ids, flush=True)
    signal.pause()
finally:
    for leader, _ in held:
        leader.kill()
        leader.wait()
P
start_seat() {
    dbus-monitor --system "type='signal',sender='org.freedesktop.login1',interface='org.freedesktop.login1.Session'" >"$work/signals" 2>&1 &
    monitor_pid=$!
    /usr/bin/python3 "$work/seat" "$work/ids" greeter:120:greeter anne:2001:user bruno:2002:user >"$work/seat.log" 2>&1 &
    seat_pid=$!
    until_so grep -q all "$work/ids" || { cat "$work/seat.log"; return 1; }
}

path_of() { sed -n "s/^$1=//p" "$work/ids"; }
front() { login1 call /org/freedesktop/login1 org.freedesktop.login1.Manager ActivateSession s "$(basename "$(path_of "$1")")"; }
is_front() { [ "$(login1 get-property "$(path_of "$1")" org.freedesktop.login1.Session Active)" = "b true" ]; }
# locked NAME BOOLEAN: a desktop tells logind how its screen is
locked() { login1 call "$(path_of "$1")" org.freedesktop.login1.Session SetLockedHint b "$2"; }
# what sessions were told since `told`, as NAME:Lock and NAME:Unlock
signals() {
    sed -n 's/.*path=\([^;]*\);.*member=\(Lock\|Unlock\)$/\1 \2/p' "$work/signals" | tail -n +$((told + 1)) |
        while read -r path what; do echo "$(sed -n "s|=$path\$||p" "$work/ids"):$what"; done
}
heard() { [ "$(signals | tr '\n' ' ')" = "$1" ]; }
taps() { TESSERE_OUTCOME=granted TESSERE_SUBJECT=$1 "${as[@]}" "$TESSERE_SESSION"; }
# does STAFF-ID SIGNALS WHO-IS-IN-FRONT: a tap, what sessions are told, and who is in front afterwards
does() {
    told=$(grep -cE 'member=(Lock|Unlock)$' "$work/signals")
    taps "$1" && until_so heard "$2" && is_front "$3" && return 0
    signals
    return 1
}

check "people, a configuration, and a system bus" set_up
check "elogind serves org.freedesktop.login1" start_logind
[ "$failures" = 0 ] || { sed 's/^/# /' "$work/logind.log"; finish; }
check "a seat has a greeter, Anne's session and Bruno's" start_seat
check "Anne's comes to the front" front anne
refused() {
    told=$(grep -cE 'member=(Lock|Unlock)$' "$work/signals")
    ! taps 10001 2>"$work/refusal" && cat "$work/refusal" && grep -q 'LockSession: ' "$work/refusal" && heard ""
}
check "the agent's user may lock nothing yet" refused
start_polkit() {
    cp "$RULES" /etc/polkit-1/rules.d/ && { /usr/lib/polkit-1/polkitd --no-debug >"$work/polkit.log" 2>&1 & } || return 1
    polkit_pid=$!
    until_so busctl --system status org.freedesktop.PolicyKit1
}
check "polkit runs, with the rule that the page has copied" start_polkit
check "Anne taps: her session is told to lock" does 10001 "anne:Lock " anne
locked anne true
check "she taps again: it is told to unlock" does 10001 "anne:Unlock " anne
locked anne false
check "Bruno taps: hers locks, his comes to the front and opens" does 10002 "anne:Lock bruno:Unlock " bruno
locked anne true
check "Carla has no session: his locks, and the greeter comes to the front" does 10003 "bruno:Lock " greeter
locked bruno true
check "before the greeter she is the greeter's affair" does 10003 "" greeter
check "Anne taps before the greeter: hers comes to the front and opens" does 10001 "anne:Unlock " anne
locked anne false
as=(setpriv --reuid 2003 --regid 2003 --clear-groups)
chown -R carla /run/tessere-session
check "the rule is for the agent's user alone" refused
finish
