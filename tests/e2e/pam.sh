#!/usr/bin/env bash
# Linux sessions with the badge: login, sudo, sshd and pamtester are real, and so are agent, server,
# vault, card and pcscd; PAM's files are the blocks of docs/integration/pam.md. Then those who mean it
# ill. Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/own-etc.sh
. "$(dirname "$0")/../support/own-etc.sh"
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
support=$(dirname "$0")/../support
sshd_pid="" fake_pid="" other_pid=""
end_all() {
    local pid
    for pid in $agent_pid $server_pid $sshd_pid $fake_pid $other_pid $(cat "$work/badge.pid" 2>/dev/null); do kill "$pid" 2>/dev/null; done
    umount -l "$work/own/pcscd" "$work/own/etc" 2>/dev/null
    leave
}
trap end_all EXIT

block() { "$support/page-block" "$PAGES/pam.md" "$1"; }
terminal() { "$support/terminal.py" "$@"; }

# A person whose staff id is "root" has been enrolled, by an operator who means it ill.
# A badge that comes until the readers are cleared, to be called while a program runs.
cat >"$work/badge" <<B
#!/bin/sh
image=\$1
shift
timeout 20 "$TESSERE_CARD" run --port $TESSERE_CARD_PORT "\$@" "$work/\$image" >/dev/null 2>&1 &
echo \$! >"$work/badge.pid"
B
chmod +x "$work/badge"
cleared() { # until the readers are empty, and the agent has seen it
    local i
    [ ! -e "$work/badge.pid" ] || kill "$(cat "$work/badge.pid")" 2>/dev/null
    rm -f "$work/badge.pid"
    for ((i = 0; i < 100; i++)); do
        is_present 0 || is_present 1 || { sleep 0.7; return 0; }
        sleep 0.1
    done
    return 1
}

set_up() {
    chmod 711 "$work"
    own_etc "$work/own" && own_pam_module "$PAM_TESSERE" && mkdir -p /etc/tessere /run/tessere-agent &&
        own_user anne 2001 anne-password && own_user bruno 2002 bruno-password || return 1
    rm -f /etc/nologin /run/nologin
    tessere init --finess 750712184 --name Hospital &&
        tessere server setup --hosts DNS:localhost,IP:127.0.0.1 --address 127.0.0.1 --port $port &&
        tessere person add alice --roles administrator,operator --out "$work/alice" || return 1
    printf 'pin: {tries: 3, pauses: [0]}\nrules: [{group: "", factor: pin-always}]\n' >"$home/policy.yaml"
    start_server || return 1
    local row badge ref uid
    for row in anne:10001:E1F6 bruno:10002:E2F6 rogue:root:E3F6; do
        IFS=: read -r badge ref uid <<<"$row"
        enrol_badge ev2 "04A1B2C3D4$uid" "$badge" "$ref" "$badge" || return 1
        echo 135790 | "$TESSERE" holder pin "$ref" --server "https://localhost:$port" --identity "$work/alice" --ca "$home/pki/ca.pem" || return 1
    done
}

station() { # NAME READER SOCKET: its agent, started; $agent_pid
    local code i
    code=$(call alice POST /v1/stations "{\"name\":\"$1\"}" | sed 's/.*"code":"\([^"]*\)".*/\1/')
    printf 'state: %s\nserver: https://localhost:%s\nlanguage: en\nreaders: ["%s"]\nback-off-seconds: 1\nsocket: {path: %s, mode: "0600"}\n' \
        "$work/st-$1" $port "$2" "$3" >"$work/$1.yaml"
    "$TESSERE_AGENT" --config "$work/$1.yaml" enrol --code "$code" && start_station "$1"
}

start_station() { # NAME
    : >"$work/$1.log"
    "$TESSERE_AGENT" --config "$work/$1.yaml" --json run >"$work/$1.out" 2>"$work/$1.log" </dev/null &
    agent_pid=$!
    for ((i = 0; i < 100; i++)); do grep -q ready "$work/$1.log" && return 0; sleep 0.1; done
    cat "$work/$1.log"
    return 1
}

policy() { # FACTOR: is in force at the server
    local before i
    before=$(grep -c 'taken up' "$work/server.log")
    printf 'pin: {tries: 3, pauses: [0]}\nrules: [{group: "", factor: %s}]\n' "$1" >"$home/policy.yaml"
    kill -HUP "$server_pid"
    for ((i = 0; i < 50; i++)); do [ "$(grep -c 'taken up' "$work/server.log")" -gt "$before" ] && return 0; sleep 0.1; done
    return 1
}

# service WORD...: /etc/pam.d/plain is the module alone, so that its own code is seen
service() {
    echo "auth required pam_tessere.so keys=/etc/tessere/jwks.json map=/etc/tessere/users timeout=6 $*" >/etc/pam.d/plain
    echo "account required pam_tessere.so" >>/etc/pam.d/plain
}

# ends WORDS USER STEP...: pamtester on a terminal says so at its end
ends() {
    local words=$1 user=$2
    shift 2
    cleared
    terminal pamtester plain "$user" authenticate acct_mgmt -- "$@" >"$work/screen" 2>&1
    [ $? != 99 ] && shows "$words" && return 0
    tr -d '\r' <"$work/screen"
    return 1
}
shows() { grep -qF -- "$1" "$work/screen"; }
present="?Present your badge."

check "a hospital, with badges and PINs" set_up
check "the station is enrolled and its agent serves" station pharmacy-1 'Tessere 00 00*' /run/tessere-agent/socket
cp "$home/pki/ca.pem" /etc/tessere/ca.pem
block keys | sed "s|kms.hospital.example:8443|localhost:$port|" >"$work/keys.sh"
check "root fetches the keys of assertions, as the page says" bash -e "$work/keys.sh"
block users >/etc/tessere/users

# --- the module by itself, each way it ends
service
check "badge and PIN: let in" ends "account management done." anne "$present" "!$work/badge anne" "?Badge PIN:" 135790
check "the PIN is not shown" bash -c "! grep -q 135790 '$work/screen'"
check "a wrong PIN is said, and typed again" ends "account management done." anne "$present" "!$work/badge anne" \
    "?Badge PIN:" 000000 "?Wrong PIN" "?Badge PIN:" 135790
check "what cannot be a PIN does not go to the agent" ends "account management done." anne "$present" "!$work/badge anne" \
    "?Badge PIN:" my-password "?A PIN is digits only." "?Badge PIN:" 135790
check "Return alone at the PIN: insufficient" ends "Insufficient credentials" anne "$present" "!$work/badge anne" "?Badge PIN:" ""
check "the conversation ends at the PIN (^D)" ends "Conversation error" anne "$present" "!$work/badge anne" "?Badge PIN:" "^D"
interrupted() { # the program is gone, and the agent gives its place to the next
    cleared
    ! terminal pamtester plain anne authenticate -- "$present" "$@" "^C" "" >"$work/screen" 2>&1 && ! shows pamtester:
}
check "^C while waiting for the badge ends the program" interrupted
# libpam_misc keeps the signal back until Return, so that the terminal is as it was
check "^C at the PIN does, with Return" interrupted "!$work/badge anne" "?Badge PIN:"
check "Bruno's badge for Anne's account, with his PIN: refused" ends "Authentication failure" anne "$present" "!$work/badge bruno" "?Badge PIN:" 135790
check "and it is said why" shows "This is not the badge of this account."
guessing() {
    ends "maximum number of retries" bruno "$present" "!$work/badge bruno" "?Badge PIN:" 111111 "?Badge PIN:" 222222 "?Badge PIN:" 333333 &&
        ends "maximum number of retries" bruno "$present" "!$work/badge bruno" && shows "PIN locked. Go to the badge office."
}
check "PINs are guessed: after the third the PIN is locked, on this computer and on all" guessing
check "the badge office unlocks it" call alice POST /v1/holders/10002/pin/unlock
service user_from_badge
check "the badge says who comes, where PAM knows no such user" ends "account management done." nobody-such "$present" "!$work/badge bruno" "?Badge PIN:" 135790
check "a badge without an account here" ends "User not known" nobody-such "$present" "!$work/badge rogue" "?Badge PIN:" 135790
check "and it is said" shows "This badge has no account on this computer."
check "for a user whom PAM knows it must be theirs" ends "Authentication failure" anne "$present" "!$work/badge bruno" "?Badge PIN:" 135790
service map=identity
check "a staff id \"root\" opens no account of the system" ends "Authentication failure" root "$present" "!$work/badge rogue" "?Badge PIN:" 135790
echo '10002 root' >>/etc/tessere/users
service
check "a line of root's list does" ends "account management done." root "$present" "!$work/badge bruno" "?Badge PIN:" 135790
service pin=always
check "the policy asks for no PIN any more" policy badge
check "pin=always: a badge without PIN is refused" ends "Insufficient credentials" anne "$present" "!$work/badge anne"
service
check "without it the policy decides" ends "account management done." anne "$present" "!$work/badge anne"
service greeter timeout=20
again="!kill \$(cat $work/badge.pid); sleep 1; $work/badge anne"
too_late() {
    ends "account management done." anne "$present" "!$work/badge anne" "?Badge accepted. Press Enter." "!sleep 21" "" "?Too slow. Tap again." "$again"
}
check "before a greeter: Enter that comes 20 seconds after the tap opens nothing, the next tap does" too_late
service
check "a badge that is lifted too soon is put down again" ends "account management done." anne "$present" \
    "!$work/badge anne --tear after:1:71 --back 1000" "?Put it back and leave it."
service timeout=2
check "nobody taps: unavailable" ends "cannot retrieve authentication info" anne "?No badge was presented."
taken() { # another program waits
    python3 - <<'P' &
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("/run/tessere-agent/socket")
s.send(b'{"do":"tap","seconds":3}')
s.recv(4096); s.recv(4096)
P
    sleep 0.3
    ends "cannot retrieve authentication info" anne "?Another program waits"
    local ok=$?
    wait $!
    return $ok
}
check "another program waits at the reader: unavailable" taken
suspended() {
    call alice POST /v1/badges/1/suspend '{"reason":"forgotten"}' >/dev/null &&
        ends "Permission denied" anne "$present" "!$work/badge anne" && shows "Badge suspended. Go to the badge office."
}
check "a suspended badge: denied, with the server's sentence" suspended
check "it is reinstated" call alice POST /v1/badges/1/reinstate '{"reason":"found"}'
far() { # USER COMING-FROM WORDS
    terminal pamtester -I rhost="$2" plain "$1" authenticate -- >"$work/screen" 2>&1
    cat "$work/screen"
    shows "$3" && ! shows "Present your badge"
}
check "somebody who comes over the network gets nobody's next tap" far anne 192.0.2.7 "cannot retrieve authentication info"
service language=fr
french() {
    own_french || return 1
    LOCPATH=$work ends "account management done." anne "?Présentez votre badge." "!$work/badge anne"
}
check "language=fr: in French, whatever the program speaks" french
service tmeout=3
check "an option that is not known is an error, and said" ends "Error in service module" anne "?not set up rightly"
service
chmod 666 /etc/tessere/jwks.json
check "keys that others may write are not used" ends "Error in service module" anne "?not set up rightly"
chmod 644 /etc/tessere/jwks.json
sed -i 's| keys=[^ ]*||' /etc/pam.d/plain
check "without keys= they are the agent's" ends "account management done." anne "$present" "!$work/badge anne"

# --- real programs, with the page's blocks
above login '@include common-auth' "$(block login)"
above login '@include common-account' "$(block account)"
above sudo '@include common-auth' "$(block sudo)"
above sudo '@include common-account' "$(block account)"
above sshd '@include common-auth' "$(block sshd)"
above sshd '@include common-account' "$(block account)"
echo 'anne ALL=(ALL) ALL' >>/etc/sudoers
check "the policy asks for a PIN again" policy pin-always
logs_in() {
    cleared
    terminal login -- "?login: " anne "$present" "!$work/badge anne" "?Badge PIN:" 135790 "?$" "id -un; echo done-\$((40+2))" "?done-42" exit >"$work/screen" 2>&1 &&
        shows anne
}
check "login: name, badge, PIN, and a shell" logs_in
other_logs_in() {
    cleared
    terminal login -- "?login: " anne "$present" "!$work/badge bruno" "?Badge PIN:" 135790 "?Login incorrect" "^C" >"$work/screen" 2>&1
    cat "$work/screen"
    shows "Login incorrect" && ! shows "Password"
}
check "login: Bruno's badge for Anne is refused, and no password is asked for" other_logs_in
sudoes() {
    cleared
    terminal setpriv --reuid 2001 --regid 2001 --init-groups sudo id -un -- "$present" "!$work/badge anne" "?Badge PIN:" 135790 "?root" >"$work/screen" 2>&1
}
check "sudo: badge and PIN" sudoes
sudo_stops() { # sudo keeps ^C back for as long as it asks PAM
    cleared
    local before=$SECONDS
    ! terminal setpriv --reuid 2001 --regid 2001 --init-groups sudo -k id -un -- "$present" "^C" >"$work/screen" 2>&1 &&
        shows "Present your badge." && ! shows root && [ $((SECONDS - before)) -lt 15 ]
}
check "sudo: ^C while it waits" sudo_stops
sudo_refuses() {
    cleared
    terminal setpriv --reuid 2001 --regid 2001 --init-groups sudo -k id -un -- "$present" "!$work/badge bruno" "?Badge PIN:" 135790 "?Sorry, try again." "$present" "^C" >"$work/screen" 2>&1
    cat "$work/screen"
    ! shows root && ! shows "password for"
}
check "sudo: Bruno's badge in Anne's session is refused" sudo_refuses
start_sshd() {
    ssh-keygen -q -t ed25519 -N '' -f "$work/host" &&
        { printf 'Port 18422\nHostKey %s\nPidFile none\nAddressFamily inet\nStrictModes no\nPasswordAuthentication no\nPubkeyAuthentication no\n' "$work/host"; block sshd_config; } >"$work/sshd_config" || return 1
    /usr/sbin/sshd -D -e -f "$work/sshd_config" 2>"$work/sshd.log" &
    sshd_pid=$!
    ip addr add 192.0.2.7/32 dev lo
    for ((i = 0; i < 50; i++)); do grep -q listening "$work/sshd.log" && return 0; sleep 0.1; done
    cat "$work/sshd.log"
    return 1
}
check "sshd starts" start_sshd
ssh_to() { # HOST STEP...
    local host=$1
    shift
    cleared
    terminal ssh -F none -p 18422 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o NumberOfPasswordPrompts=1 "anne@$host" id -un -- "$@" >"$work/screen" 2>&1
}
comes_near() { ssh_to 127.0.0.1 "?Press Enter" "!$work/badge anne" "" "?Badge PIN:" 135790 && shows anne; }
check "sshd, from this machine: Enter, badge, PIN" comes_near
comes_far() { ssh_to 192.0.2.7 "?Password:" anne-password && ! shows "badge"; }
check "sshd, from another: no badge is asked for, the password is" comes_far

block lock >/etc/pam.d/vlock
block greeter >/etc/pam.d/lightdm
echo '@include common-auth' >>/etc/pam.d/lightdm
lets_anne_ask() { # the lock runs as her, and asks the agent as her
    sed -i 's|mode: "0600"|mode: "0660", group: anne|' "$work/pharmacy-1.yaml" && kill -HUP "$agent_pid" || return 1
    for ((i = 0; i < 50; i++)); do [ "$(stat -c %a:%G /run/tessere-agent/socket)" = 660:anne ] && return 0; sleep 0.1; done
    return 1
}
check "Anne's own programs may ask for a tap" lets_anne_ask
unlocks() {
    cleared
    USER=anne terminal setpriv --reuid 2001 --regid 2001 --init-groups vlock -- "?ENTER" "" "$present" "!$work/badge anne" "?Badge PIN:" 135790 >"$work/screen" 2>&1
}
check "vlock, a lock that runs as her: Enter, badge, PIN" unlocks
stays_locked() {
    cleared
    ! USER=anne terminal setpriv --reuid 2001 --regid 2001 --init-groups timeout 25 vlock -- "?ENTER" "" "$present" "!$work/badge bruno" "?Badge PIN:" 135790 "?not the badge of this account" >"$work/screen" 2>&1
}
check "it stays locked for Bruno's" stays_locked
greets() { cleared; terminal pamtester lightdm nobody-such authenticate -- "$present" "!$work/badge anne" "?Badge PIN:" 135790 "?successfully authenticated" >"$work/screen" 2>&1; }
check "the greeter's line: the badge says who comes" greets

# --- those who mean it ill. One who listens in the agent's place, as root even:
cat >"$work/fake" <<'P'
import json, os, socket, sys
path, kind, station, more = sys.argv[1:5]
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind(path); os.chmod(path, 0o666); server.listen(5)
while True:
    peer, _ = server.accept()
    while text := peer.recv(4096):
        said = json.loads(text.split(b"\n")[0])
        if said["do"] == "status":
            answers = [{"answer": "status", "station": station, "server": True, "readers": ["Tessere 00 00"], "last": None}]
        elif said["do"] == "keys":
            answers = [json.load(open("/etc/tessere/jwks.json")) | {"answer": "keys"}]
        elif kind == "relay":                  # to an agent elsewhere, with the challenge of this one
            other = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            other.connect(more)
            other.send(json.dumps(said).encode())
            answers = []
            while True:
                answer = other.recv(4096)
                peer.send(answer)
                if json.loads(answer)["answer"] == "pin":
                    other.send(peer.recv(4096))
                elif json.loads(answer)["answer"] != "waiting":
                    break
        elif kind == "endless":
            answers = [{"answer": "waiting", "seconds": 1}] * 100
        else:
            answers = [{"answer": "waiting", "seconds": 6},
                       {"answer": "outcome", "outcome": "ok", "reader": "r", "sentence": "Hello.", "subject": "10001", "name": "anne",
                        "badge": 1, "assertion": more}]
        for answer in answers:
            try: peer.send(json.dumps(answer).encode())
            except OSError: pass
P
fake() { # KIND [STATION] [MORE] [AS-USER]
    [ -z "$fake_pid" ] || { kill "$fake_pid"; wait "$fake_pid"; } 2>/dev/null
    local as=() i
    [ -z "${4:-}" ] || as=(setpriv --reuid "$4" --regid "$4" --clear-groups)
    rm -f "$work/run/fake"
    "${as[@]}" /usr/bin/python3 "$work/fake" "$work/run/fake" "$1" "${2:-pharmacy-1}" "${3:-}" 2>"$work/fake.log" &
    fake_pid=$!
    for ((i = 0; i < 50; i++)); do [ -S "$work/run/fake" ] && return 0; sleep 0.1; done
    return 1
}
mkdir -m 777 "$work/run"
check "the policy asks for no PIN" policy badge
assertion() { # one that is genuine, of Anne, here, for another run
    cleared
    (sleep 0.5; "$work/badge" anne) &
    python3 -c 'import json, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("/run/tessere-agent/socket")
s.send(b"{\"do\":\"tap\",\"challenge\":\"of-another-run\"}")
while (a := json.loads(s.recv(4096)))["answer"] != "outcome": pass
print(a["assertion"])' >"$work/assertion" && [ -s "$work/assertion" ]
}
check "an assertion of another run is recorded" assertion
service "socket=$work/run/fake"
faked() { # WORDS KIND [STATION] [MORE] [AS-USER]
    local words=$1
    shift
    fake "$@" && ends "$words" anne
}
check "ok without an assertion: refused" faked "Authentication failure" bare
check "and it is said that nothing was verified" shows "The badge could not be verified."
service "socket=$work/run/fake" greeter
check "nor does a greeter wait for better from the same agent" faked "Authentication failure" bare
service "socket=$work/run/fake"
check "the recorded assertion, again: refused" faked "Authentication failure" replay pharmacy-1 "$(cat "$work/assertion")"
check "a path that another user listens at: unavailable, and nothing is said to it" faked "cannot retrieve authentication info" bare pharmacy-1 "" 2002
check "answers without end come to an end" faked "cannot retrieve authentication info" endless
elsewhere() { # a second station, whose agent the first one's impostor sends Anne's challenge to
    local first=$agent_pid
    station ward-2 'Tessere 00 01*' "$work/run/other" || return 1
    other_pid=$agent_pid agent_pid=$first
    sleep 1
}
check "a second station" elsewhere
printf '#!/bin/sh\ntimeout 2 "%s" run --port %s "%s/$1" >/dev/null 2>&1 &\n' "$TESSERE_CARD" $((TESSERE_CARD_PORT + 1)) "$work" >"$work/badge-there"
chmod +x "$work/badge-there"
relayed() { # STATION-THAT-IS-CLAIMED OPTION...
    local claimed=$1
    shift
    service "socket=$work/run/fake" "$@"
    fake relay "$claimed" "$work/run/other" && ends "Authentication failure" anne "$present" "!$work/badge-there anne" && shows "could not be verified"
}
check "Anne taps there, her assertion is brought here: refused" relayed pharmacy-1
check "also when the impostor claims to be there, where station= says this is here" relayed ward-2 station=pharmacy-1

# --- what breaks
service
kill_meanwhile() {
    cleared
    ends "cannot retrieve authentication info" anne "$present" "!kill -9 $agent_pid" "?does not work at the moment"
}
check "the agent is killed meanwhile: unavailable" kill_meanwhile
check "it does not run: unavailable" ends "cannot retrieve authentication info" anne "?does not work at the moment"
falls_back() {
    terminal login -- "?login: " anne "?Password:" anne-password "?$" exit >"$work/screen" 2>&1
}
check "login goes on to the password then" falls_back
no_reader() {
    "$TESSERE_AGENT" --config "$work/pharmacy-1.yaml" --reader 'none*' run >/dev/null 2>&1 </dev/null &
    agent_pid=$!
    for ((i = 0; i < 50; i++)); do [ -S /run/tessere-agent/socket ] && break; sleep 0.1; done
    ends "cannot retrieve authentication info" anne "?unplugged"
    local ok=$?
    kill $agent_pid
    wait $agent_pid
    return $ok
}
check "no reader: unavailable" no_reader
check "the agent is back" start_station pharmacy-1
check "a badge is enough again" ends "account management done." anne "$present" "!$work/badge anne"
check "the server ends" stop_server
check "no server: unavailable, with the server's absence said" ends "cannot retrieve authentication info" anne "$present" "!$work/badge anne" "?The badge server cannot be reached."
finish
