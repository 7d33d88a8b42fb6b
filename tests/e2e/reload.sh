#!/usr/bin/env bash
# SIGHUP: the server takes up what it can without cutting a connection, and nothing of what it
# cannot use. TAP output.
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
listener=''
end() {
    [ -z "$listener" ] || kill "$listener" 2>/dev/null
    leave
}
trap end EXIT

api() {
    curl -sS -m 20 --cacert "$home/pki/ca.pem" --cert "$work/admin.pem" --key "$work/admin.key" "$@"
}

# hangup WORDS: reloads, and waits until the log's next line about it has these words
hangup() {
    local before i
    before=$(wc -l <"$work/log")
    kill -HUP "$server"
    for ((i = 0; i < 50; i++)); do
        tail -n +$((before + 1)) "$work/log" | grep 'configuration' && break
        sleep 0.1
    done
    tail -n +$((before + 1)) "$work/log" | grep configuration | grep -qF -- "$1"
}
answers() { api "$url/v1/health" | grep -q . && api "$url/v1/badges" | grep -q items; }
serial() { openssl s_client -connect "localhost:$port" -CAfile "$home/pki/ca.pem" </dev/null 2>/dev/null | openssl x509 -noout -serial; }

set_up
"$TESSERE" --home "$home" person add admin --roles administrator,operator --out "$work/admin" >/dev/null
echo 'requests-per-second: 10000' >>"$home/server.yaml"
cp "$home/server.yaml" "$work/server.yaml"
python3 - "$work/notify" "$work/told" <<'P' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
with open(sys.argv[2], "w") as f:
    while True:
        f.write(s.recv(4096).decode() + "\n")
        f.flush()
P
listener=$!
for ((i = 0; i < 50; i++)); do [ -S "$work/notify" ] && break; sleep 0.1; done
: >"$work/log"
NOTIFY_SOCKET=$work/notify "$TESSERED" --home "$home" 2>"$work/log" &
server=$!
for ((i = 0; i < 100; i++)); do grep -q ready "$work/log" && break; sleep 0.1; done

check "the server answers" answers
check "it takes its configuration up again" hangup "configuration taken up"
check "and answers" answers
second() { # HOME STATUS WORDS
    local status=0
    "$TESSERED" --home "$1" 2>"$work/second" || status=$?
    cat "$work/second"
    [ "$status" = "$2" ] && grep -q "$3" "$work/second"
}
check "a second server on this home is refused by name" timeout 20 bash -c "$(declare -f second); work='$work' TESSERED='$TESSERED'; second '$home' 7 'another tessered serves this establishment'"
other() {
    "$TESSERE" --home "$work/other" init --finess 750712192 >/dev/null &&
        "$TESSERE" --home "$work/other" server setup --hosts DNS:localhost --address 127.0.0.1 --port "$port" >/dev/null &&
        second "$work/other" 2 "Address already in use"
}
check "so is one on this port" timeout 60 bash -c "$(declare -f second other); work='$work' TESSERED='$TESSERED' TESSERE='$TESSERE' port=$port; other"
check "and the first goes on" answers

# Connections that are open go on: each request is answered, and one that is told to close connects
# again. $1 reloads while four clients ask.
under_load() {
    python3 - "$work" "$home" "$port" "$server" "$1" <<'P'
import http.client, os, signal, ssl, sys, threading, time
work, home, port, server, times = sys.argv[1:]
context = ssl.create_default_context(cafile=home + "/pki/ca.pem")
context.load_cert_chain(work + "/admin.pem", work + "/admin.key")
asked, opened, failed, over = [0] * 4, [0] * 4, [], threading.Event()
def ask(me):
    connection = None
    while not over.is_set():
        try:
            if connection is None:
                connection = http.client.HTTPSConnection("localhost", int(port), context=context, timeout=10)
                opened[me] += 1
            connection.request("GET", "/v1/badges")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            asked[me] += 1
            if answer.getheader("Connection") == "close":
                connection.close()
                connection = None
        except Exception as e:
            failed.append(repr(e))
            connection = None
threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
for t in threads: t.start()
for i in range(int(times)):
    time.sleep(0.4)
    os.kill(int(server), signal.SIGHUP)
time.sleep(0.8)
over.set()
for t in threads: t.join()
print(asked, opened, failed)
assert not failed and sum(asked) > 100 and all(n > 1 for n in opened)
P
}
check "eight reloads while four clients ask: no request is lost" under_load 8

new_certificate() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/new.key" -subj /CN=localhost 2>/dev/null |
        openssl x509 -req -CA "$home/pki/ca.pem" -CAkey "$home/pki/ca.key" -set_serial 0x7777 -days 1 \
            -extfile <(printf 'extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost\n') -out "$work/new.pem" 2>/dev/null
    cp "$home/pki/server.pem" "$work/old.pem"
    cp "$home/pki/server.key" "$work/old.key"
    cp "$work/new.pem" "$home/pki/server.pem"
    cp "$work/new.key" "$home/pki/server.key"
    hangup "configuration taken up" && serial | grep -q 7777
}
check "a new certificate is shown to who connects now" new_certificate
wrong_pair() {
    cp "$work/old.pem" "$home/pki/server.pem"
    hangup "server.pem" && serial | grep -q 7777 && answers
}
check "a certificate that is not the key's is named, and the old pair stays" wrong_pair
cp "$work/new.pem" "$home/pki/server.pem"

broken() { # TEXT WORDS
    printf '%s\n' "$1" >>"$home/server.yaml"
    hangup "configuration stays as it was: " && tail -1 "$work/log" | grep -F "$home/server.yaml" | grep -F -- "$2"
    local status=$?
    cp "$work/server.yaml" "$home/server.yaml"
    [ $status = 0 ] && answers
}
lines=$(wc -l <"$home/server.yaml")
check "an unknown field is named by file and line" broken 'conections: 3' "line $((lines + 1)), column 1: conections: there is no such field"
check "so is a value that cannot be" broken 'stall-seconds: 1000' "line $((lines + 1)): stall-seconds"
check "so is what is no YAML" broken '{[' 'line'
echo 'layouts: [{id: old, application: "F585C0", crypto: aes, proof-key: 0, diversification: shared, old-application: keep}]' >"$home/fleet.yaml"
echo 00112233445566778899AABBCCDDEEFF >"$home/fleet.keys"
chmod 644 "$home/fleet.keys"
takes_over() { # WORDS [KEYS]
    echo "takeover: {fleet: fleet.yaml${2-, keys-file: fleet.keys}}" >>"$home/server.yaml"
    hangup "$1"
    local status=$?
    cp "$work/server.yaml" "$home/server.yaml"
    return $status
}
check "keys of others that others may read are refused" takes_over "fleet.keys: others may read it"
chmod 600 "$home/fleet.keys"
check "and taken up from a file of one's own" takes_over "configuration taken up"
check "without a file there are those that custodians gave" takes_over "configuration taken up" ''
echo nonsense >"$home/fleet.keys"
check "a key that is none is named by its line" takes_over "fleet.keys:1: a key is 16 bytes"
check "takeovers without a description are refused" broken 'takeover: {keys-file: fleet.keys}' 'takeover'
check "an empty file" bash -c ": >'$home/server.yaml'"
check "changes nothing" hangup "$home/server.yaml: "
cp "$work/server.yaml" "$home/server.yaml"
mv "$home/pki/ca.pem" "$work/ca.pem"
check "a missing file of trusted CAs is named" hangup "ca.pem: No such file"
mv "$work/ca.pem" "$home/pki/ca.pem"
check "the server answers as before" answers

printf 'log-requests: true\n' >>"$home/server.yaml"
logs() { hangup "configuration taken up" && api "$url/v1/badges" >/dev/null && grep -q '"route":"/v1/badges"' "$work/log"; }
check "requests are logged from now on" logs
sed 's/^requests-per-second.*/requests-per-second: 1/' "$work/server.yaml" >"$home/server.yaml"
too_many() {
    local i
    hangup "configuration taken up" || return 1
    for ((i = 0; i < 15; i++)); do printf 'url=%s/v1/badges\noutput=/dev/null\n' "$url"; done >"$work/many"
    api -K "$work/many" -w '%{http_code}\n' | grep -q 429
}
check "a lower limit holds" too_many
cp "$work/server.yaml" "$home/server.yaml"
check "and is lifted" hangup "configuration taken up"

sed "s/^port:.*/port: $((port + 1))/" "$work/server.yaml" >"$home/server.yaml"
echo 'vault-workers: 3' >>"$home/server.yaml"
check "what waits for the next start is said" hangup "at the next start only: port, vault-workers"
check "the port stays" answers
cp "$work/server.yaml" "$home/server.yaml"

printf 'rules:\n  - {group: "", factor: badge}\n  - {group: x, factor: never}\n' >"$home/policy.yaml"
check "a policy that cannot be is refused" hangup "policy.yaml, line 3: factor: badge, pin-always or pin-shift"
check "and leaves the server as it was" answers
printf 'pin: {min-digits: 7}\nrules:\n  - {group: "", factor: badge}\n' >"$home/policy.yaml"
new_policy() { hangup "configuration taken up" && api "$url/v1/pin-key" | grep -q '"min_digits":7'; }
check "a good one is in force" new_policy

told() {
    grep -q '^RELOADING=1' "$work/told" && grep -q '^MONOTONIC_USEC=[0-9]' "$work/told" &&
        [ "$(grep -c '^READY=1' "$work/told")" -gt "$(grep -c '^RELOADING=1' "$work/told")" ]
}
check "the service manager was told of each reload and its end" told
stops() {
    kill "$server"
    wait "$server" || return 1
    server=
    sleep 0.3
    grep -q '^STOPPING=1' "$work/told"
}
check "and of the end" stops

# The service manager's socket: who connects while no server runs is served by the next one.
inherited() {
    python3 - "$TESSERED" "$home" "$work" $((port + 1)) <<'P'
import http.client, os, socket, ssl, subprocess, sys, threading
tessered, home, work, port = sys.argv[1:]
listener = socket.create_server(("127.0.0.1", int(port)))
def start():
    return subprocess.Popen(["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --home "$1"', tessered, home],
                            preexec_fn=lambda: (os.dup2(listener.fileno(), 3), os.set_inheritable(3, True)), close_fds=False,
                            stderr=open(work + "/log", "a"))
context = ssl.create_default_context(cafile=home + "/pki/ca.pem")
context.load_cert_chain(work + "/admin.pem", work + "/admin.key")
def ask(got):
    connection = http.client.HTTPSConnection("localhost", int(port), context=context, timeout=20)
    connection.request("GET", "/v1/badges")
    got.append(connection.getresponse().status)
answers = []
for _ in range(2):
    early = threading.Thread(target=ask, args=(answers,))
    early.start() # before there is a server
    server = start()
    early.join()
    ask(answers)
    server.terminate()
    assert server.wait(20) == 0
print(answers)
assert answers == [200] * 4
P
}
check "on a socket of the service manager, nobody is refused between two starts" inherited
not_a_socket() {
    local status=0
    sh -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" --home "$1" 3</dev/null' "$TESSERED" "$home" || status=$?
    [ "$status" -ne 0 ] && grep -q 'tessered.socket: one ListenStream= of TCP is wanted' "$work/output"
}
check "what is no such socket is refused by name" not_a_socket

finish
