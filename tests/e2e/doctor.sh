#!/usr/bin/env bash
# The doctor on an establishment that is well, and on one trouble after the other. TAP output. A server's
# home: no reader, and no PC/SC service, is needed.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TESSERE_HOME=$work/home LC_ALL=C.UTF-8 LANGUAGE=en
home=$TESSERE_HOME n=0 status=0

result() { # ok|not ok, name
    n=$((n + 1))
    echo "$1 $n - $2"
    [ "$1" = ok ] || status=1
}

# finds EXIT CHECK CODE NAME: this check and no other is in trouble; EXIT 0: none is
finds() {
    local out got
    out=$("$TESSERE" --json doctor 2>/dev/null </dev/null)
    got=$?
    if [ "$got" = "$1" ] && python3 - "$2" "$3" "$out" <<'PYTHON'
import json, sys
checks = json.loads(sys.argv[3])["checks"]
found = [(c["check"], c["code"]) for c in checks if c["result"] == "trouble"]
wanted = [(sys.argv[1], sys.argv[2])] if sys.argv[1] else []
sys.exit(found != wanted or len(checks) != 33)
PYTHON
    then
        result ok "$4"
    else
        result "not ok" "$4"
        printf '%s\n' "exit status $got" "$out" | sed 's/^/# /'
    fi
}

set_up() {
    "$TESSERE" init --finess 750000001 --name Test --profile "$PROFILE" &&
        "$TESSERE" server setup --hosts DNS:localhost &&
        "$TESSERE" journal checkpoint
}
set_up >"$work/log" 2>&1 || sed 's/^/# /' "$work/log"
finds 0 "" "" "an establishment that is well has no trouble"
if "$TESSERE" --json doctor 2>/dev/null | grep -q token-exposed; then
    result ok "a server that has the token is advised to give the vault a user of its own"
else
    result "not ok" "a server that has the token is advised to give the vault a user of its own"
fi

if "$TESSERE" --json doctor 2>/dev/null | grep -A3 '"backups"' | grep -q advice; then
    result ok "an establishment without backups is advised to make some"
else
    result "not ok" "an establishment without backups is advised to make some"
fi

chmod 644 "$home/pki/ca.key"
finds 2 key-files key-file "a key that others can read"
chmod 600 "$home/pki/ca.key"

chmod 777 "$home"
finds 2 home config "a directory that others can write"
chmod 700 "$home"

# an older store in the place of the newer one, whose checkpoint is kept beside it
for f in "$home"/store.db*; do cp "$f" "$work/"; done
"$TESSERE" person add alice --roles operator --out "$work/alice" >/dev/null 2>&1
"$TESSERE" journal checkpoint >/dev/null 2>&1
rm -f "$home"/store.db*
cp "$work"/store.db* "$home/"
finds 7 journal journal-rollback "an older store in the newer one's place"
"$TESSERE" person add bob --roles operator --out "$work/bob" >/dev/null 2>&1
"$TESSERE" person add carol --roles operator --out "$work/carol" >/dev/null 2>&1
finds 7 journal journal-fork "another journal than the one that was signed"
rm -f "$home/checkpoint"
finds 0 "" "" "well again"

mv "$home/pki/server.pem" "$work/"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=x -days 5 \
    -out "$home/pki/server.pem" 2>/dev/null
finds 3 certificate certificate-expired "a certificate that ends soon"
mv "$work/server.pem" "$home/pki/"

cp "$home/server.yaml" "$work/silent.yaml"
echo 'events: events.yaml' >>"$home/server.yaml"
finds 2 events config "a file of subscribers that is not there"
echo 'subscribers: [{name: ehr, url: "https://ehr.example/", delivery: webhook, secret-file: hook.secret, events: [badge.revoked]}]' >"$home/events.yaml"
(umask 077 && echo whsec_dGVzc2VyZS10ZXN0LXNlY3JldC1vZi0zMi1ieXRlcyE= >"$home/hook.secret")
finds 0 "" "" "a file of subscribers that can be used"
chmod 644 "$home/hook.secret"
finds 2 events key-file "a subscriber's secret that others can read"
rm "$home/events.yaml" "$home/hook.secret"
mv "$work/silent.yaml" "$home/server.yaml"

# sign-on, as LINE... say it
sign_on() {
    cp "$work/server.yaml" "$home/server.yaml"
    printf '%s\n' 'sign-on:' '  clients: clients.yaml' "$@" >>"$home/server.yaml"
}
cp "$home/server.yaml" "$work/"
issuer='  issuer: https://localhost:8444'
openssl rand -hex 32 >"$home/ehr.secret"
chmod 600 "$home/ehr.secret"
echo 'clients: [{id: ehr, name: {fr: Dossier}, secret-file: ehr.secret, redirect-uris: ["https://rp.example/cb"]}]' >"$home/clients.yaml"
sign_on "$issuer"
finds 6 signing-keys signer-key "a server of sign-on that has no signing keys yet"
"$TESSERE" signer rotate >/dev/null 2>&1
finds 0 "" "" "sign-on that is well has no trouble"
chmod 644 "$home/ehr.secret"
finds 2 sign-on key-file "a relying party's secret that others can read"
mv "$home/ehr.secret" "$work/"
finds 2 sign-on config "a relying party's secret that is not there"
mv "$work/ehr.secret" "$home/" && chmod 600 "$home/ehr.secret"
mv "$home/clients.yaml" "$work/"
finds 2 sign-on config "a file of relying parties that is not there"
echo 'clients: [{id: ehr, colour: red}]' >"$home/clients.yaml"
finds 2 sign-on config "a file of relying parties that cannot be used"
mv "$work/clients.yaml" "$home/"
sign_on '  issuer: https://badge.example:8444'
finds 2 sign-on-certificate cert-bad "an issuer that the certificate does not name"
sign_on "$issuer" '  port: 8443'
finds 2 sign-on-port config "one port for stations and browsers"
sign_on '  issuer: https://localhost'
finds 0 "" "" "an issuer on another port may be led to the server's"
if "$TESSERE" --json doctor 2>/dev/null | grep -q 'browsers go to port 443, the server listens on 8444'; then
    result ok "which is said"
else
    result "not ok" "which is said"
fi
sign_on '  issuer: http://localhost'
finds 2 server config "a server.yaml that the server does not take"
cp "$work/server.yaml" "$home/server.yaml"

sqlite3 "$home/store.db" "UPDATE generation SET kcv = x'000000' WHERE role = (SELECT min(role) FROM generation)"
finds 6 master-keys key-missing "a master key that is another than it was"

echo "1..$n"
exit "$status"
