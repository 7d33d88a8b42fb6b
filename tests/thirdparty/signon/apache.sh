# shellcheck shell=bash
# shellcheck disable=SC2154 # names of signon.sh and party.sh
# Apache with mod_auth_openidc, as docs/integration/apache.md says. Sourced by signon.sh.
party_start() {
    local modules=/usr/lib/apache2/modules m
    mkdir "$party/root" "$party/root/pharmacy" "$party/root/wards"
    echo page | tee "$party/root/index.html" "$party/root/bye" "$party/root/pharmacy/index.html" >"$party/root/wards/index.html"
    echo "OIDCClientSecret $secret" >"$party/secret.conf"
    {
        for m in mpm_event authn_core authz_core authz_user dir socache_shmcb ssl headers auth_openidc; do
            echo "LoadModule ${m}_module $modules/mod_$m.so"
        done
        cat <<C
ServerRoot $party
ServerName localhost
PidFile $party/pid
Mutex file:$party default
ErrorLog $party/log
DocumentRoot $party/root
DirectoryIndex index.html
Listen 127.0.0.1:$app
<VirtualHost *:$app>
ServerName https://localhost:$app
SSLEngine on
SSLCertificateFile $party/server.pem
SSLCertificateKeyFile $party/server.key
Header set X-User "expr=%{REMOTE_USER}"
Header set X-Name "%{OIDC_CLAIM_name}e"
Header set X-Acr "%{OIDC_CLAIM_acr}e"
C
        block openidc
        block locations
        echo "</VirtualHost>"
    } >"$party/apache.conf"
    starts "$party/out" /usr/sbin/apache2 -f "$party/apache.conf" -D FOREGROUND
}
