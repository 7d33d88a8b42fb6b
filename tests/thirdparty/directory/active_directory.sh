#!/usr/bin/env bash
# People from Active Directory: Samba's domain controller, and the configuration of
# docs/integration/active-directory.md as it stands there. Who joins, moves, leaves in each of the ways
# there are; groups in groups; and a controller that cannot be believed. Needs TESSERE, TESSERE_CARD and
# PAGES. TAP output.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
support=$here/../../support
if [ -z "${TESSERE_CARD_PORT:-}" ]; then # packages need the network that a private pcscd has not
    # shellcheck disable=SC2016
    bash -c '. "$1"; need directory' - "$here/../../../script/lib.sh" || exit 1
    exec "$support/with-pcscd" "$here/active_directory.sh" "$@"
fi
# shellcheck source=tests/support/own-etc.sh
. "$support/own-etc.sh"
# shellcheck source=tests/support/hospital.sh
. "$support/hospital.sh"
dc=$work/dc samba_pid='' secret='Passw0rd!23'
end_all() {
    [ -z "$samba_pid" ] || { kill -CONT "$samba_pid"; kill "$samba_pid"; } 2>/dev/null
    umount -l "$work/own/pcscd" "$work/own/etc" 2>/dev/null
    leave
}
trap end_all EXIT
block() { "$support/page-block" "$PAGES/active-directory.md" "$1"; }

# --- the domain --------------------------------------------------------------------------------

certificate() { # FILE NAME: by a CA of its own, FILE.ca.pem
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.ca.key" -out "$1.ca.pem" -days 2 -subj "/CN=CA of $2" 2>/dev/null &&
        openssl req -x509 -CA "$1.ca.pem" -CAkey "$1.ca.key" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.pem" \
            -days 2 -subj "/CN=$2" -addext "subjectAltName=DNS:$2" -addext basicConstraints=CA:FALSE 2>/dev/null
}
start_dc() {
    samba --interactive --model=single -s "$dc/smb.conf" --debug-stdout >"$work/samba.log" 2>&1 </dev/null &
    samba_pid=$!
    for ((i = 0; i < 300; i++)); do
        ldapsearch -x -H ldap://127.0.0.1 -b '' -s base >/dev/null 2>&1 && return 0
        kill -0 "$samba_pid" 2>/dev/null || break
        sleep 0.1
    done
    tail "$work/samba.log"
    return 1
}
a_domain() {
    own_etc "$work/own" && mkdir -p /run/samba /etc/tessere && own_user tessere 3999 none &&
        "$here/domain.py" "$dc" dc1.hospital.example "$secret" && certificate "$dc/tls" dc1.hospital.example &&
        chmod 600 "$dc/tls.key" && cp "$dc/tls.ca.pem" "$dc/ca.pem" && way 127.0.0.1 && start_dc
}
way() { # ADDRESS: the domain controller's from now on
    sed '/hospital.example/d' /etc/hosts >"$work/hosts" && echo "$1 dc1.hospital.example dc2.hospital.example" >>"$work/hosts" && cat "$work/hosts" >/etc/hosts
}
there() { samba-tool "$@" -s "$dc/smb.conf"; } # an administrator of the domain, at the controller
domain=dc=hospital,dc=example
modify() { LDAPTLS_CACERT=$dc/ca.pem ldapmodify -x -H ldaps://dc1.hospital.example -D administrator@hospital.example -w "$secret" >/dev/null; }
set_to() { printf 'dn: %s,%s\nchangetype: modify\nreplace: %s\n%s: %s\n' "$1" $domain "$2" "$2" "$3" | modify; } # DN ATTRIBUTE VALUE
member() { printf 'dn: %s,%s\nchangetype: modify\n%s: member\nmember: %s,%s\n' "$2" $domain "$1" "$3" $domain | modify; } # add|delete GROUP DN
move() { printf 'dn: %s,%s\nchangetype: modrdn\nnewrdn: %s\ndeleteoldrdn: 1\nnewsuperior: %s,%s\n' "$1" $domain "$2" "$3" $domain | modify; } # DN RDN UNIT

# --- what is here ------------------------------------------------------------------------------

configure() { # [EXPRESSION of sed]...: the page's, but for the number of people
    local e edits=(-e 's/least: 3000/least: 20/')
    for e; do edits+=(-e "$e"); done
    block configuration | sed "${edits[@]}" >"$home/directory.yaml"
}
pull() { # "JOINED CHANGED LEFT PROBLEMS" [option]...
    local wanted=$1
    shift
    tessere directory pull --json "$@" >"$work/pulled" || return 1
    python3 - "$work/pulled" "$wanted" <<'P'
import json, sys
f = json.load(open(sys.argv[1]))
got = " ".join(str(f[k]) for k in ("joined", "changed", "left", "problems"))
print(got, [c for c in f["changes"] if c["change"] == "!"])
sys.exit(got != sys.argv[2])
P
}
refused() { # STATUS WORDS: a pull, after which nobody is another
    local got=0 before
    before=$(everybody)
    tessere directory pull >"$work/refused" 2>&1 || got=$?
    cat "$work/refused"
    [ "$got" = "$1" ] && grep -qi -- "$2" "$work/refused" && [ "$before" = "$(everybody)" ]
}
everybody() { sqlite3 "$home/store.db" 'SELECT id, user_name, wish, is_held FROM staff; SELECT * FROM member; SELECT name FROM team'; }
are_in() { # GROUP NAMES
    sqlite3 "$home/store.db" "SELECT user_name FROM member JOIN team ON team.id = team JOIN staff ON staff.id = staff WHERE name = '$1' ORDER BY user_name" | paste -sd' ' | tee "$work/in"
    [ "$(cat "$work/in")" = "$2" ]
}
holder() { # REF WORDS
    tessere holder list | grep "^$1 " | tee "$work/holder"
    grep -q -- "$2" "$work/holder"
}
badge() { # REF STATE
    tessere badge list --csv | tee "$work/badges"
    grep -- "$1" "$work/badges" | grep -q -- "$2"
}
taps() { insert 0 "$work/$1" && tessere tap --count 1 --json; local status=$?; remove 0; return $status; } # BADGE
refused_tap() { # BADGE WORDS
    ! taps "$1" >"$work/tap" 2>&1 || return 1
    cat "$work/tap"
    grep -q -- "$2" "$work/tap"
}

check "Samba provisions a domain, and its controller starts" a_domain
the_page() {
    tessere init --finess 750712184 && block password | sed 's/-o tessere -g tessere/-o root -g root/' >"$work/password.sh" &&
        echo "$secret" | bash "$work/password.sh" && cp "$dc/ca.pem" /etc/tessere/domain-ca.pem && configure
}
check "the page's steps are done" the_page
check "a rehearsal says who would come" pull '23 0 0 0' --dry-run
check "everybody comes, and who was disabled before does not" pull '23 0 0 0'
check "a second time nothing changes" pull '0 0 0 0'
check "names have their accents, commas, parentheses and quotes" holder 1002 'Élodie Lévy-Çelik'
check "a group with a comma and parentheses has its people" are_in 'Garde, nuit (week-end)' amartin
check "so has one whose distinguished name is long" are_in 'Pédiatrie et néonatologie - prescripteurs et dispensateurs' p4
check "who is in a group of a group is in both" are_in Nurses 'amartin p1 p2 p3'
check "and in the group of those" are_in Caregivers 'amartin p1 p2 p3 élévy'
for n in 1 2 3 4 5; do enrol_badge ev2 04A1B2C3D4E${n}F6 p$n E$n "Person $n" >/dev/null || echo "# no badge for E$n"; done
check "who has badges is unchanged" pull '0 0 0 0'
icu='cn=ICU nurses,ou=groups'
a_circle() {
    member add "$icu" cn=Caregivers,ou=groups && pull '0 0 0 0' && are_in 'ICU nurses' 'amartin p1 p2 p3 élévy' &&
        member delete "$icu" cn=Caregivers,ou=groups && pull '0 0 0 0' && are_in 'ICU nurses' 'amartin p1 p2'
}
check "groups in a circle end" a_circle
mover() {
    there group removemembers Pharmacists élévy && there group addmembers 'ICU nurses' élévy &&
        move 'cn=Élodie Lévy-Çelik,ou=staff' 'cn=Lévy\, Élodie' 'ou=night,ou=staff' && set_to 'cn=Person 6,ou=staff' department Pharmacie &&
        pull '0 1 0 0' && are_in Pharmacists '' && are_in Nurses 'amartin p1 p2 p3 élévy'
}
check "a mover is the same person in another unit, and the groups follow" mover
regrouped() { move "$icu" 'cn=ICU nurses' ou=services && pull '0 0 0 0' && are_in 'ICU nurses' 'amartin p1 p2 élévy'; }
check "a group that is moved keeps its people" regrouped
renamed() {
    move cn=Nurses,ou=groups 'cn=All nurses' ou=groups && pull '0 0 0 0' && are_in 'All nurses' 'amartin p1 p2 p3 élévy' && are_in Nurses ''
}
check "a group that is renamed has its new name" renamed
remade() {
    there group delete Caregivers && there group add Caregivers --groupou=OU=groups && member add cn=Caregivers,ou=groups 'cn=Person 7,ou=staff' &&
        pull '0 0 0 0' && are_in Caregivers p7
}
check "a group that was deleted and made again has its new people" remade
two_of_one_name() {
    printf 'dn: cn=Caregivers,ou=staff,%s\nchangetype: add\nobjectClass: group\nsAMAccountName: other\nmember: cn=Person 8,ou=staff,%s\n' $domain $domain | modify &&
        pull '0 0 0 1' && are_in Caregivers p7 && printf 'dn: cn=Caregivers,ou=staff,%s\nchangetype: delete\n' $domain | modify && pull '0 0 0 0'
}
check "another of its name is said, and gets nobody in" two_of_one_name

leavers() {
    there user disable p1 && there user setexpiry p2 --days=0 && there user delete p3 && move 'cn=Person 4,ou=staff' 'cn=Person 4' ou=left &&
        sleep 1 && pull '0 0 4 0' && grep -q '"who": "p3"' "$work/pulled"
}
check "one is disabled, one expires, one is deleted, one is moved away: four leave" leavers
for n in 1 2 3 4; do check "leaver $n is suspended: the tap is refused" refused_tap p$n holder-suspended; done
check "who stays taps" taps p5
back() {
    there user enable p1 && there user setexpiry p2 --noexpiry && there user add p3 "$secret" --userou=OU=staff && set_to cn=p3,ou=staff employeeID E3 &&
        move 'cn=Person 4,ou=left' 'cn=Person 4' ou=staff && pull '0 4 0 0'
}
check "all four come back, one as a new account with the same number" back
for n in 1 2 3 4; do check "back: $n is active" holder E$n active; done
for_good() {
    configure 's/leaver-grace: .*/leaver-grace: 0s/' && set_to 'cn=Person 1,ou=staff' userAccountControl 546 &&
        set_to 'cn=Person 2,ou=staff' accountExpires 133500000000000000 && printf 'dn: cn=p3,ou=staff,%s\nchangetype: delete\n' $domain | modify &&
        move 'cn=Person 4,ou=staff' 'cn=Person 4' ou=left && pull '0 0 4 0'
}
check "without a time of grace they leave for good" for_good
for n in 1 2 3 4; do check "leaver $n: the badge is revoked" badge "\"E$n\"" revoked; done
check "whose tap is refused" refused_tap p2 badge-revoked
check "nobody else's is" badge '"E5"' active
given_away() {
    there user delete p9 && there user add p9 "$secret" --userou=OU=staff && set_to cn=p9,ou=staff employeeID N9 && pull '0 0 1 1' && ! holder N9 active
}
check "a user name that is given to somebody else makes them nobody: said" given_away
check "until who had it is erased" eval 'tessere journal erase E9 --yes && pull "1 0 0 0" && holder N9 active'
configure

# --- a controller that is not to be believed, or not there -------------------------------------

echo wrong >/etc/tessere/directory.password
check "a wrong password is said" refused 4 'binding.*Invalid credentials'
echo "$secret" >/etc/tessere/directory.password
certificate "$work/other" dc1.hospital.example
cp "$work/other.ca.pem" /etc/tessere/domain-ca.pem
check "a certificate of another CA is refused" refused 4 "certificate"
cp "$dc/ca.pem" /etc/tessere/domain-ca.pem
configure 's/dc1\./dc2./'
check "so is one with another name" refused 4 "certificate"
configure 's|ldaps://|ldap://|'
check "StartTLS does as well" pull '0 0 0 0'
configure 's/ou=staff,dc=hospital,dc=example/dc=hospital,dc=example/'
check "the whole domain is read, with who was moved away, without going where it refers to" pull '1102 1 0 0' --dry-run
configure 's/ou=staff,/ou=nothing,/'
check "a base that is not there is said" refused 4 'No such object'
configure 's/ou=staff,/ou=crowd,/; s/least: 20/least: 1100\n  page: 5000/'
check "more people than the controller gives at once come" pull '1100 0 19 0' --dry-run
in_the_middle() { # SIGNAL STATUS WORDS
    local status=0
    : >"$work/way.log" # one before it was listening in it
    "$here/watched_way.py" 127.0.0.2 127.0.0.1 636 60000 "$1" "$samba_pid" >"$work/way.log" 2>&1 &
    local pid=$! i
    for ((i = 0; i < 100; i++)); do grep -q listening "$work/way.log" && break; sleep 0.1; done
    way 127.0.0.2
    configure 's/ou=staff,/ou=crowd,/; s/least: 20/least: 1\n  page: 100\n  timeout-seconds: 2/'
    refused "$2" "$3" || status=1
    kill $pid 2>/dev/null
    wait $pid
    way 127.0.0.1
    return $status
}
check "a controller that stops answering in the middle is said, and nobody leaves" in_the_middle 19 4 'searching: Timed out'
kill -CONT "$samba_pid"
configure
check "once it goes on, so does the pull" pull '0 0 0 0'

older='cn=Pre-Windows 2000 Compatible Access,cn=Builtin' everyone=cn=S-1-5-11,cn=ForeignSecurityPrincipals
check "a domain is made stricter: who has no rights of their own cannot see who is disabled" member delete "$older" $everyone
check "then nobody is taken for enabled" refused 3 'userAccountControl is missing'
member add "$older" $everyone
check "a controller that dies in the middle is said, and nobody leaves" in_the_middle 9 4 "searching: Can't contact"
configure
check "so is one that is not there" refused 4 "Can't contact"
check "the journal is whole, and knows each record" tessere journal verify
finish
