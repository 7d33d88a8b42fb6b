#!/usr/bin/env bash
# Sign-on with everything real: server, vault, two stations, badges through pcscd; and judges that
# others wrote. signon.sh SCRIPT.mjs. TAP output. SCRIPT.sh, where there is one, starts a relying party.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
if [ -z "${MODULES:-}" ]; then # npm needs the network that a private pcscd has not
    # shellcheck disable=SC2016
    MODULES=$(bash -c '. "$1"; command -v chromium >/dev/null || need chromium; case $2 in apache.* | lemonldap.*) need "${2%.mjs}" >&2 ;; esac; npm_packages tests/thirdparty/signon' - "$here/../../../script/lib.sh" "$1") || exit 1
    export MODULES
    exec "$here/../../support/with-pcscd" "$here/signon.sh" "$@"
fi
# shellcheck source=tests/support/hospital.sh
. "$here/../../support/hospital.sh"
pages=$((port + 10))
secret=$(openssl rand -hex 32)
listener=$((port + 20))
agents=()

quiet() {
    local text
    text=$("$@" 2>&1) || echo "# $*: $text"
}
quiet tessere init --finess 750712184 --name Hospital
quiet tessere server setup --hosts DNS:localhost,IP:127.0.0.1 --address 127.0.0.1 --port $port
quiet tessere person add alice --roles administrator,operator --out "$work/alice"
cat >>"$home/server.yaml" <<Y
sign-on:
  issuer: https://localhost:$pages
  port: $pages
  clients: clients.yaml
  station-url: https://localhost:$port
  ca: pki/ca.pem
Y
digest=$(printf %s "$secret" | sha256sum | cut -c 1-64)
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/signed.key" 2>/dev/null
openssl pkey -in "$work/signed.key" -pubout -out "$home/signed.pem"
cat >"$home/clients.yaml" <<Y
clients:
  - id: signed
    name: {fr: Télétransmission}
    public-key-file: signed.pem
    redirect-uris: ["https://rp.example/callback"]
  - id: ehr
    name: {fr: Dossier patient, en: Patient record}
    secret-sha256: $digest
    redirect-uris: ["https://rp.example/callback", "https://rp.example/other?x=1"]
    post-logout-redirect-uris: ["https://rp.example/bye"]
    backchannel-logout-uri: https://localhost:$listener/ehr
  - id: pharmacy
    name: {fr: Pharmacie, en: Pharmacy}
    secret-sha256: $digest
    alg: ES256
    redirect-uris: ["https://rp.example/callback"]
    post-logout-redirect-uris: ["https://rp.example/bye"]
    backchannel-logout-uri: https://localhost:$listener/pharmacy
  - id: prescriptions
    name: {fr: Prescription, en: Prescriptions}
    secret-sha256: $digest
    ciba: true
  - id: rung
    name: {fr: Sonnette, en: Rung}
    secret-sha256: $digest
    ciba: true
    ciba-ping-uri: https://localhost:$((pages + 1))/ping
  - id: old
    name: {fr: Ancien portail}
    secret-sha256: $digest
    pkce: optional
    redirect-uris: ["https://rp.example/callback"]
  - id: pushes
    name: {fr: Coffre, en: Vault}
    secret-sha256: $digest
    require-pushed: true
    redirect-uris: ["https://rp.example/callback"]
  - id: native
    name: {fr: Programme du poste}
    public: true
    loopback: true
    redirect-uris: ["http://127.0.0.1/callback"]
Y
cat >"$home/policy.yaml" <<'Y'
pin: {tries: 5, pauses: [0]}
rules: [{group: "", factor: badge}]
Y
name=${1%.mjs}
if [ -e "$here/$name.sh" ]; then
    # shellcheck source=tests/thirdparty/signon/party.sh
    . "$here/party.sh"
    # shellcheck source=/dev/null
    . "$here/$name.sh"
    party_folder
    block client >>"$home/clients.yaml"
    export APP=https://localhost:$app PARTY=$party
fi
start_server || exit 1
[ ! -e "$here/$name.sh" ] || party_start
for i in 0 1; do
    call alice POST /v1/stations "{\"name\":\"urg-0$((i + 1))\",\"group\":\"wards\"}" >"$work/station.json"
    quiet "$TESSERE_AGENT" --state "$work/st$i.d" enrol --server "https://localhost:$port" --code "$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")"
    cp "$work/st$i.d/station.pem" "$work/st$i.pem"
    openssl pkey -in "$work/st$i.d/station.pem" -out "$work/st$i.key"
    : >"$work/agent$i.out"
done
quiet enrol_badge ev2 04A1B2C3D4E1F6 anne 10001 anne
quiet enrol_badge ev2 04A1B2C3D4E2F6 bruno 10002 bruno
quiet enrol_badge ev2 04A1B2C3D4E3F6 stopped 10003 stopped
quiet call alice POST /v1/badges/3/suspend '{"reason":"forgotten"}'
echo 135790 | quiet "$TESSERE" holder pin 10001 --server "https://localhost:$port" --identity "$work/alice" --ca "$home/pki/ca.pem"
tessere scim token add idm --rights scim:read,scim:write | tail -1 >"$work/scim"
echo "language: fr" >"$work/agent.yaml"
for i in 0 1; do
    "$TESSERE_AGENT" --state "$work/st$i.d" --reader "Tessere 00 0$i*" --socket "$work/socket$i" --json run >"$work/agent$i.out" 2>"$work/agent$i.log" </dev/null &
    agents+=($!)
done
for i in 0 1; do
    for ((n = 0; n < 100; n++)); do grep -q ready "$work/agent$i.log" && break; sleep 0.1; done
done
quiet openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=rp.example -keyout "$work/rp.key" -out "$work/rp.pem"
ln -s "$MODULES/node_modules" "$work/node_modules"
cp "$here"/*.mjs "$here"/*.py "$here"/../../../bench/*.mjs "$work"
export CLIENTS=$home/clients.yaml SERVER_PID=$server_pid LISTENER=$listener SERVER_CERT=$home/pki/server.pem SERVER_KEY=$home/pki/server.key
export SHOTS=${SHOTS:-$PWD/signon-pages} WORK=$work ISSUER=https://localhost:$pages API=https://localhost:$port SECRET=$secret NODE_EXTRA_CA_CERTS=$home/pki/ca.pem
export CLIENTS=$home/clients.yaml TERMINAL=$here/../../support/terminal.py PAGE_BLOCK=$here/../../support/page-block RUNG_PORT=$((pages + 1)) SERVER_CERT=$home/pki/server.pem SERVER_KEY=$home/pki/server.key
export HOSPITAL=$home SERVER_PID=$server_pid AGENT_PID=${agents[0]}
export NODE_OPTIONS=--experimental-global-webcrypto # Node 18, Debian 12's, has it behind this
node "$work/$1" "${@:2}"
status=$?
[ $status = 0 ] || { sed "s/^/# server: /" "$work/server.log" | tail -20; [ ! -e "${party:-}/log" ] || sed "s/^/# party: /" "$party/log" | tail -20; tessere outbox list 2>&1 | sed "s/^/# /"; }
kill "${agents[@]}" "$server_pid" 2>/dev/null
wait
exit $status
