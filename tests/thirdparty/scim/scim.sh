#!/usr/bin/env bash
# SCIM, by other people's: filters and patches by scim2-parse-filter and scim-patch, whole requests by
# SCIMMY. Needs TESSERE, TESSERED and JUDGED. TAP output.
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../../support/server.sh"
here=$(cd "$(dirname "$0")" && pwd)

# shellcheck disable=SC2016
modules=$(bash -c '. "$1"; npm_packages tests/thirdparty/scim' - "$here/../../../script/lib.sh") || { echo "Bail out! npm ci failed"; exit 1; }
ln -s "$modules/node_modules" "$work/node_modules"
cp "$here"/*.mjs "$work"
check "filters and patches, 40000 of them, are what others make of them" node "$work/language.mjs" "$JUDGED"
directory() {
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/client.key" || return 1
    local token
    token=$("$TESSERE" --home "$home" scim token add gluu --rights scim:read,scim:write | tail -1)
    NODE_EXTRA_CA_CERTS="$home/pki/ca.pem" node "$work/client.mjs" "$url" "$token" "$work/client.key"
}
set_up
echo 'requests-per-second: 1000' >>"$home/server.yaml"
start
token=$("$TESSERE" --home "$home" scim token add judge --rights scim:read,scim:write | tail -1)
check "requests are answered as SCIMMY answers them, but for what is listed" \
    env NODE_EXTRA_CA_CERTS="$home/pki/ca.pem" node "$work/differential.mjs" "$url" "$token"
check "a directory of Gluu's client keeps people and groups" directory
stop
check "the journal knows each record" "$TESSERE" --home "$home" journal verify
finish
