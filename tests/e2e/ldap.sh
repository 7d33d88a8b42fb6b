#!/usr/bin/env bash
# People from an LDAP directory: OpenLDAP's slapd with the attributes of Active Directory. Needs TESSERE.
# TAP output.
# shellcheck source=tests/support/tap.sh
. "$(dirname "$0")/../support/tap.sh"
home=$work/home
ldap_port=$(a_port) tls_port=$(a_port)
slapd=''
leave() {
    [ -z "$slapd" ] || kill "$slapd" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap leave EXIT
tessere() { "$TESSERE" --home "$home" "$@" </dev/null; }

# --- a directory ---
mkdir -p "$work/db"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.pem" -days 2 \
    -subj /CN=directory -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
cat >"$work/ad.schema" <<'S'
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.102 NAME 'memberOf' EQUALITY distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
attributetype ( 1.2.840.113556.1.4.35 NAME 'employeeID' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.2.141 NAME 'department' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP top AUXILIARY MAY ( sAMAccountName $ userAccountControl $ objectGUID $ memberOf $ employeeID $ department ) )
S
cat >"$work/slapd.conf" <<C
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include $work/ad.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $work/slapd.pid
TLSCertificateFile $work/ca.pem
TLSCertificateKeyFile $work/ca.key
sizelimit size.soft=100 size.hard=100 size.prtotal=unlimited
database mdb
suffix "dc=hospital"
rootdn "cn=root,dc=hospital"
rootpw rootpw
directory $work/db
limits dn.exact="cn=short,dc=hospital" size.soft=100 size.hard=100 size.prtotal=120
limits dn.exact="cn=reader,dc=hospital" size.soft=100 size.hard=100 size.prtotal=unlimited
C
person() { # NUMBER: in the organisation, with the binary identifier 00112233-…NN
    local hex
    hex=$(printf '33221100554477668899aabbccdd%04x' "$1" | xxd -r -p | base64)
    printf 'dn: cn=p%s,ou=people,dc=hospital\nobjectClass: inetOrgPerson\nobjectClass: user\ncn: p%s\nsn: Nom%s\ngivenName: Prénom%s\ndisplayName: Prénom Nom%s\nsAMAccountName: user%s\nemployeeID: E%s\ndepartment: ICU\nuserAccountControl: 512\nobjectGUID:: %s\nmemberOf: cn=Nurses,ou=groups,dc=hospital\n\n' "$1" "$1" "$1" "$1" "$1" "$1" "$1" "$hex"
}
{
    printf 'dn: dc=hospital\nobjectClass: dcObject\nobjectClass: organization\no: h\ndc: hospital\n\n'
    printf 'dn: ou=people,dc=hospital\nobjectClass: organizationalUnit\nou: people\n\n'
    printf 'dn: cn=reader,dc=hospital\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: readerpw\n\n'
    printf 'dn: cn=short,dc=hospital\nobjectClass: person\ncn: short\nsn: short\nuserPassword: readerpw\n\n'
    for ((i = 1; i <= 230; i++)); do person $i; done
} >"$work/people.ldif"
slapadd -f "$work/slapd.conf" -l "$work/people.ldif" 2>"$work/slapadd" || { cat "$work/slapadd"; echo "Bail out! no directory"; exit 1; }
slapd -d 0 -f "$work/slapd.conf" -h "ldap://127.0.0.1:$ldap_port/ ldaps://127.0.0.1:$tls_port/" 2>"$work/slapd.log" &
slapd=$!
for ((i = 0; i < 50; i++)); do ldapsearch -x -H "ldap://127.0.0.1:$ldap_port" -b '' -s base >/dev/null 2>&1 && break; sleep 0.1; done
modify() { ldapmodify -x -H "ldap://127.0.0.1:$ldap_port" -D cn=root,dc=hospital -w rootpw >/dev/null; }
printf 'readerpw\n' >"$work/password"
chmod 600 "$work/password"
configure() { # URL [more]...
    printf 'guard-percent: 5\nguard-least: 3\nldap:\n  url: %s\n  base: ou=people,dc=hospital\n  filter: (objectClass=user)\n  bind-dn: cn=reader,dc=hospital\n  password-file: %s/password\n  page: 50\n' "$1" "$work" >"$home/directory.yaml"
    shift
    [ $# = 0 ] || printf '  %s\n' "$@" >>"$home/directory.yaml"
}
figures() { # WANTED COMMAND...
    local wanted=$1
    shift
    "$@" --json | tee "$work/figures"
    python3 - "$work/figures" "$wanted" <<'P'
import json, sys
f = json.load(open(sys.argv[1]))
got = [f[k] for k in ("joined", "changed", "left", "problems")]
print(got)
assert got == json.loads(sys.argv[2])
P
}

tessere init --finess 750712184 >/dev/null
check "without a file there is nothing to pull" bash -c "'$TESSERE' --home '$home' directory pull 2>&1 | grep -q 'ldap: is missing'"
configure "ldap://127.0.0.1:$ldap_port"
check "a rehearsal says what would be done" figures '[230, 0, 0, 0]' tessere directory pull --dry-run
check "and does nothing" bash -c "[ -z \"\$('$TESSERE' --home '$home' holder list)\" ]"
check "everybody comes, page by page, past the directory's limit" figures '[230, 0, 0, 0]' tessere directory pull
check "with their numbers and names" bash -c "'$TESSERE' --home '$home' holder list | grep -q '^E17 .*Prénom Nom17'"
check "a second time nothing changes" figures '[0, 0, 0, 0]' tessere directory pull
check "the identifier is written as Microsoft writes it" bash -c "sqlite3 '$home/store.db' 'SELECT external_id FROM staff WHERE user_name = \"user17\"' | grep -qx '00112233-4455-6677-8899-aabbccdd0011'"
check "groups are there" bash -c "[ \"\$(sqlite3 '$home/store.db' 'SELECT count(*) FROM member JOIN team ON team.id = team WHERE name = \"Nurses\"')\" = 230 ]"

printf 'dn: cn=p1,ou=people,dc=hospital\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n-\ndelete: memberOf\n\ndn: cn=p2,ou=people,dc=hospital\nchangetype: delete\n\ndn: cn=p3,ou=people,dc=hospital\nchangetype: modify\nreplace: displayName\ndisplayName: Autre Nom\n' | modify
check "one is disabled, one is gone, one has another name" figures '[0, 1, 2, 0]' tessere directory pull
check "who is disabled is suspended" bash -c "'$TESSERE' --home '$home' holder list | grep '^E1 ' | grep -q suspended"
check "so is who is gone" bash -c "'$TESSERE' --home '$home' holder list | grep '^E2 ' | grep -q suspended"
check "the name is the new one" bash -c "'$TESSERE' --home '$home' holder list | grep '^E3 ' | grep -q 'Autre Nom'"
check "the group has one less, and keeps who is gone until they are deleted" bash -c "[ \"\$(sqlite3 '$home/store.db' 'SELECT count(*) FROM member')\" = 228 ]"
regrouped() { # its entry appears, with an identifier: it stays the group of before
    printf 'dn: ou=groups,dc=hospital\nchangetype: add\nobjectClass: organizationalUnit\nou: groups\n\ndn: cn=Nurses,ou=groups,dc=hospital\nchangetype: add\nobjectClass: applicationProcess\nobjectClass: user\ncn: Nurses\nobjectGUID:: %s\nmemberOf: cn=Staff,ou=groups,dc=hospital\n' "$(printf '33221100554477668899aabbccddffff' | xxd -r -p | base64)" | modify &&
        figures '[0, 0, 0, 0]' tessere directory pull &&
        sqlite3 "$home/store.db" 'SELECT name, external_id, (SELECT count(*) FROM member WHERE team = team.id) FROM team ORDER BY name' | paste -sd' ' | tee "$work/teams"
    [ "$(cat "$work/teams")" = 'Nurses|objectGUID=00112233-4455-6677-8899-aabbccddffff|228 Staff|cn=Staff,ou=groups,dc=hospital|228' ]
}
check "a group that was known by its place is known by its identifier, and so is what it is in" regrouped
printf 'dn: cn=p1,ou=people,dc=hospital\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n' | modify
person 2 | sed '1a changetype: add' | modify
check "both come back" figures '[0, 2, 0, 0]' tessere directory pull
check "and are active" bash -c "! '$TESSERE' --home '$home' holder list | grep -q suspended"

for ((i = 1; i <= 60; i++)); do printf 'dn: cn=p%s,ou=people,dc=hospital\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n\n' $i; done | modify
check "a quarter of the staff is disabled at once: said" bash -c "'$TESSERE' --home '$home' directory pull | grep -q 'Too many leave at once'"
check "and all of them wait" bash -c "'$TESSERE' --home '$home' directory status | grep -q '60' && ! '$TESSERE' --home '$home' holder list | grep -q suspended"
check "until somebody says so" tessere directory release --yes
check "then they are stopped" bash -c "[ \"\$('$TESSERE' --home '$home' holder list | grep -c suspended)\" = 60 ]"

configure "ldap://127.0.0.1:$ldap_port" 'least: 1000'
check "fewer people than there must be are no answer" bash -c "'$TESSERE' --home '$home' directory pull 2>&1 | grep -q 'at least 1000 are expected'"
configure "ldap://127.0.0.1:$ldap_port"
sed -i 's/ou=people,dc/ou=nothing,dc/' "$home/directory.yaml"
refused() { # STATUS WORDS
    local got=0
    tessere directory pull >"$work/refused" 2>&1 || got=$?
    cat "$work/refused"
    [ "$got" = "$1" ] && grep -qi -- "$2" "$work/refused"
}
check "a base that is not there is an error, and nobody leaves" refused 4 'No such object'
configure "ldap://127.0.0.1:$ldap_port"
sed -i 's/cn=reader/cn=short/' "$home/directory.yaml"
check "an answer that the directory cuts is an error" refused 4 'limit exceeded'
configure "ldap://127.0.0.1:$ldap_port"
echo wrong >"$work/password"
check "a wrong password is said" refused 4 'Invalid credentials'
chmod 644 "$work/password"
check "a password that others may read is not used" refused 2 'others may read it'
chmod 600 "$work/password"
: >"$work/password"
check "an empty one is not sent" refused 2 'it is empty'
echo readerpw >"$work/password"
configure "ldap://$(hostname):$ldap_port"
check "a directory that is elsewhere is not spoken to without TLS" refused 4 'StartTLS\|contact\|certificate'
configure "ldaps://127.0.0.1:$tls_port ldap://$(hostname):$ldap_port"
check "nor is a list of which one is" refused 2 'one address'
configure "ldaps://127.0.0.1:$tls_port" "ca: $work/ca.pem"
check "TLS with the right CA" figures '[0, 0, 0, 0]' tessere directory pull
configure "ldaps://127.0.0.1:$tls_port"
check "and not with another" refused 4 "certificate is not to be trusted"
configure "ldap://127.0.0.1:$ldap_port" 'map: {user-name: cn, external-id: objectGUID, staff-number: employeeID, groups: ""}'
check "other attributes can be named" figures '[0, 230, 0, 0]' tessere directory pull --dry-run
printf 'dn: cn=p100,ou=people,dc=hospital\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: user101\n' | modify
configure "ldap://127.0.0.1:$ldap_port"
check "two of one name are said, and nothing is changed" refused 3 'same user name'
printf 'dn: cn=p100,ou=people,dc=hospital\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: *)(uid=*\n' | modify
check "a name that is a filter is a name" figures '[0, 1, 0, 0]' tessere directory pull
kill "$slapd"
wait "$slapd" 2>/dev/null
slapd=''
check "a directory that is down is said, and nobody leaves" refused 4 "Can't contact"
check "the journal is whole, and knows each record" tessere journal verify
finish
