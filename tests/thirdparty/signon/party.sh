# shellcheck shell=bash
# shellcheck disable=SC2154 # names of signon.sh
# For relying parties that signon.sh starts beside the server: NAME.sh for NAME.mjs. Their
# configuration is the blocks of docs/integration/NAME.md. To be sourced by signon.sh.
party=$work/party
app=$((port + 30))

# block NAME: of this party's page, with the harness's names in the place of the examples'
block() {
    "$here/../../support/page-block" "$here/../../../docs/integration/$name.md" "$1" |
        sed -e "s,https://badge\.hospital\.example,https://localhost:$pages,g" \
            -e "s,https://app\.hospital\.example,https://localhost:$app,g" -e "s,/etc/apache2/tessere,$party,g" \
            -e "s,/etc/lemonldap-ng/tessere,$party,g"
}

# What the relying party reads and writes.
party_folder() {
    mkdir "$party" && chmod 711 "$work"
    cp "$home/pki/ca.pem" "$home/pki/server.pem" "$home/pki/server.key" "$party"
    printf %s "$secret" | tee "$home/app.secret" >"$party/app.secret"
    openssl rand -hex 32 >"$party/passphrase"
}

# starts LOG COMMAND...: the relying party, until the test ends; as nobody where we are root
starts() {
    local as=()
    if [ "$(id -u)" = 0 ]; then
        chown -R nobody:nogroup "$party"
        as=(setpriv --reuid nobody --regid nogroup --clear-groups)
    fi
    "${as[@]}" "${@:2}" >"$1" 2>&1 </dev/null &
    agents+=($!)
    for ((n = 0; n < 200; n++)); do
        (: <>"/dev/tcp/127.0.0.1/$app") 2>/dev/null && return
        sleep 0.05
    done
    sed 's/^/# /' "$1"
}
