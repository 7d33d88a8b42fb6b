# shellcheck shell=bash
# shellcheck disable=SC2154 # names of signon.sh and party.sh
# LemonLDAP::NG's portal, as docs/integration/lemonldap.md says. Sourced by signon.sh.
party_start() {
    local d
    for d in conf sessions sessions/lock psessions psessions/lock cache captcha notifications; do mkdir "$party/$d"; done
    block configuration | sed "s/CLIENT-SECRET/$secret/" >"$party/badge.json"
    block metadata >"$party/metadata"
    quiet sh "$party/metadata"
    # Debian's own configuration, moved, with ours on top
    perl -MJSON -e 'local $/; my ($base, $more) = map { open my $f, "<", $_ or die "$_: $!"; <$f> } @ARGV[0, 1];
        $base =~ s,/var/lib/lemonldap-ng,$ARGV[2],g; $base = decode_json($base); $more = decode_json($more);
        print encode_json({%$base, %$more, domain => "localhost"})' \
        /var/lib/lemonldap-ng/conf/lmConf-1.json "$party/merged.json" "$party" >"$party/conf/lmConf-1.json"
    sed "s,/var/lib/lemonldap-ng,$party,g" /etc/lemonldap-ng/lemonldap-ng.ini >"$party/lemonldap-ng.ini"
    starts "$party/log" env "LLNG_DEFAULTCONFFILE=$party/lemonldap-ng.ini" plackup --server HTTP::Server::PSGI \
        --host 127.0.0.1 --port "$app" --ssl 1 --ssl-cert-file "$party/server.pem" --ssl-key-file "$party/server.key" \
        /usr/share/lemonldap-ng/portal/htdocs/index.psgi
}
