#!/usr/bin/env bash
# testssl.sh, which others wrote to find what is weak in a TLS server, looks at ours. Needs TESSERE
# and TESSERED. TAP output.
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"

set_up
start
# protocols, ciphers and their order, forward secrecy, the certificate, and each known attack
testssl --quiet --color 0 --warnings batch --ip 127.0.0.1 --nodns none --add-ca "$home/pki/ca.pem" \
    --jsonfile "$work/found.json" -p -P -f -S -U "https://localhost:$port" >"$work/output" 2>&1 </dev/null

python3 - "$work/found.json" "$work/output" <<'P'
import json, sys
try:
    found = {f["id"].split(" ")[0]: f for f in json.load(open(sys.argv[1]))}
except Exception as e:
    print("Bail out! testssl.sh found nothing:", e)
    print("\n".join("# " + line for line in open(sys.argv[2]).read().splitlines()[-20:]))
    sys.exit(1)
checks = []
def check(name, is_good, detail=""):
    checks.append(is_good)
    print("ok" if is_good else "not ok", len(checks), "-", name)
    if not is_good:
        print("#", detail)
def says(id, words):
    return words in found.get(id, {"finding": ""})["finding"]
for old in "SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2":
    check(old + " is not offered", says(old, "not offered"), found.get(old))
check("TLS 1.3 is offered", says("TLS1_3", "offered"), found.get("TLS1_3"))
check("the certificate's chain is good", says("cert_chain_of_trust", "passed"), found.get("cert_chain_of_trust"))
for attack in "heartbleed", "ROBOT", "CRIME_TLS", "POODLE_SSL", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4":
    check("not vulnerable: " + attack, found.get(attack, {"severity": "?"})["severity"] in ("OK", "INFO"), found.get(attack))
# Whom the CA certified is asked of the store at each call; there is no list to publish.
# What the prober itself lacks says nothing of the server.
accepted = {"cert_revocation", "engine_problem"}
worse = {i: f for i, f in found.items() if f["severity"] not in ("OK", "INFO") and i not in accepted}
check("nothing else of any severity, in %d findings" % len(found), not worse and len(found) > 50, worse)
print("1..%d" % len(checks))
sys.exit(0 if all(checks) else 1)
P
