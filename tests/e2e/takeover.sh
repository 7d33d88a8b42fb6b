#!/usr/bin/env bash
# A badge of others, from the list to the figures, with the real programs. Run by meson inside
# with-pcscd. TAP output.
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
says() { # PATTERN ARGUMENT...
    local pattern=$1
    shift
    tessere "$@" >"$work/out" 2>&1
    cat "$work/out"
    grep -qE -- "$pattern" "$work/out"
}
figure() { # NAME VALUE
    tessere fleet audit --json | tee "$work/figures" | python3 -c 'import json, sys; sys.exit(json.load(sys.stdin)[sys.argv[1]] != float(sys.argv[2]))' "$1" "$2" || { cat "$work/figures"; return 1; }
}

tessere init --finess 750712184 --name Hospital "$@" >/dev/null
cat >"$work/fleet.yaml" <<'YAML'
layouts:
  - {id: library, application: "F585C0", crypto: aes, keys: 4, proof-key: 1, diversification: shared, old-application: delete}
YAML
printf 'uid,ref,name\n04A1B2C3D4E5F6,10001,Anne Martin\n04A1B2C3D4E5F7,10002,Bruno Petit\n' >"$work/list.csv"
printf '# of the library\n00112233445566778899AABBCCDDEE00\n3k3des: 000102030405060708090A0B0C0D0E0F1011121314151617\n' >"$work/keys"
chmod 600 "$work/keys"
check "the description is checked" says 'library: application F585C0, proved by key 1, which all badges share' fleet check "$work/fleet.yaml"
check "the list is taken in" says 'List 1: 2 badges of list.csv' fleet import "$work/list.csv"
check "nobody has seen a badge" figure remaining 2

cat >"$work/esup.xml" <<'XML'
<beans xmlns:p="http://www.springframework.org/schema/p">
  <bean class="org.esupportail.nfctag.beans.DesfireApplication" p:desfireAppId="F585C0" p:nok="84">
    <bean class="org.esupportail.nfctag.beans.DesfireKey" p:keyNo="00" p:key="99112233445566778899AABBCCDDEE99"/>
  </bean>
</beans>
XML
from_esup() {
    tessere fleet from-esup "$work/esup.xml" --keys-file "$work/esup.keys" >"$work/esup.yaml" && tessere fleet check "$work/esup.yaml" &&
        [ "$(stat -c %a "$work/esup.keys")" = 600 ] && grep -q '^aes: 99112233' "$work/esup.keys" && ! grep -qi 99112233 "$work/esup.yaml"
}
check "the configuration of another system becomes a description, its keys apart" from_esup
check "keys are written over nothing" says 'a key file cannot be used' fleet from-esup "$work/esup.xml" --keys-file "$work/esup.keys"

# as software of others left it: an application whose keys are the factory's
"$TESSERE_CARD" new --ev ev1 --uid 04A1B2C3D4E5F6 "$work/card" >/dev/null
insert 0 "$work/card"
opensc-tool --reader 0 --send-apdu 90:5A:00:00:03:00:00:00:00 --send-apdu 90:CA:00:00:05:C0:85:F5:0B:84:00 >"$work/made" 2>&1
check "a scan recognises the layout" says 'library, key 1 +factory key \(proved\)' card scan --fleet "$work/fleet.yaml" --keys-file "$work/keys"
check "what was found is in the figures" figure forbidden 1
check "the factory's key, which nobody named, proves no badge" says 'no key that was given' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes
printf '# the library left the key of the factory\n00000000000000000000000000000000\n' >>"$work/keys"
chmod 640 "$work/keys"
check "a file of keys that others may read is refused" says 'others may read it' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes
ln -s "$work/keys" "$work/link"
check "so is a link to one, which somebody else may turn" says 'it is a link' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/link" --yes
chmod 600 "$work/keys"
check "a takeover that nobody approves changes nothing" says 'cancelled' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys"
check "the badge is taken over for the holder of the list" says 'Badge 1 of Anne Martin \(10001\) is taken over' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes
check "it taps" says 'Anne Martin' tap
check "the old application is gone" says 'applications +F51234' card scan
check "it conforms" figure conform 1
check "one remains" figure remaining 1
check "a list is not forgotten without approval" says 'cancelled' fleet forget 1
check "keys of others are sent to no server" says 'not sent to a server' card scan --keys-file "$work/keys" --server https://localhost:1
remove 0
"$TESSERE_CARD" new --ev ev2 --uid 04A1B2C3D4E5F7 "$work/blank" >/dev/null
insert 0 "$work/blank"
check "a blank card with the UID of a badge of the list proves nothing" says 'the card is blank: enrol it' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes
remove 0
check "a list can be forgotten" tessere fleet forget 1 --yes
check "the badge that was taken over stays" figure total 1

# at a station, without coming to the desk
theirs() { # UID IMAGE
    "$TESSERE_CARD" new --ev ev2 --uid "$1" "$work/$2" >/dev/null && insert 0 "$work/$2" &&
        opensc-tool --reader 0 --send-apdu 90:5A:00:00:03:00:00:00:00 --send-apdu 90:CA:00:00:05:C0:85:F5:0B:84:00 >"$work/made" 2>&1 && remove 0
}
printf 'uid,ref,name\n04A1B2C3D4E5A1,10003,Chloe Roux\n04A1B2C3D4E5A2,10004,David Noir\n' >"$work/list2.csv"
tessere fleet import "$work/list2.csv" >/dev/null
theirs 04A1B2C3D4E5A1 chloe
theirs 04A1B2C3D4E5A2 david
theirs 04A1B2C3D4E5A3 nobody
cp "$work/chloe" "$work/copy"
tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port $port >/dev/null
tessere person add alice --roles administrator --out "$work/alice" >/dev/null
check "the server starts" start_server
call alice POST /v1/stations '{"name":"ward-1","group":"ward"}' >"$work/station.json"
"$TESSERE_AGENT" --state "$work/ward" enrol --server "https://localhost:$port" --code "$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")" >/dev/null
check "a station waits for cards" start_agent ward
check "unless it is told to, a tap takes nothing over" outcome card-foreign chloe
cp "$work/fleet.yaml" "$work/keys" "$home/"
echo 'takeover: {fleet: fleet.yaml, keys-file: keys}' >>"$home/server.yaml"
taken_up() {
    kill -HUP "$server_pid"
    for ((i = 0; i < 100; i++)); do
        grep -q 'configuration' "$work/server.log" && break
        sleep 0.1
    done
    grep 'configuration taken up' "$work/server.log"
}
check "the server takes the keys of others up" taken_up
check "a tap takes the badge over, and its holder is let in" outcome ok chloe
check "the person was told to leave it there" grep -q 'Laissez votre badge sur le lecteur' "$work/agent.log"
check "the badge taps as any other" outcome ok chloe
check "a copy that comes after it is refused" outcome card-foreign copy
check "so is a badge that no list names" outcome card-foreign nobody
check "a badge torn in the middle" outcome card-removed david --tear after:2:C4
check "is let in at its next tap" outcome ok david
check "the journal tells the takeovers, by the station" bash -c "'$TESSERE' --home '$home' badge show 3 | tee '$work/out' && grep -q takeover '$work/out'"
check "all that are in use conform" figure conform 3
stop_agent
stop_server
insert 0 "$work/chloe"
check "the old application went with the takeover" says 'applications +F51234' card scan
remove 0

# cards that show a random UID: a profile by whose serial they can be tapped; once is enough
hidden() { # UID IMAGE
    "$TESSERE_CARD" new --ev ev2 --random-uid --uid "$1" "$work/$2" >/dev/null && insert 0 "$work/$2" &&
        opensc-tool --reader 0 --send-apdu 90:5A:00:00:03:00:00:00:00 --send-apdu 90:CA:00:00:05:C0:85:F5:0B:84:00 >"$work/made" 2>&1 && remove 0
}
if [ $# -eq 0 ]; then
    hidden 04A1B2C3D4E5B1 emma
    hidden 04A1B2C3D4E5B2 farid
    hidden 04A1B2C3D4E5B3 stranger
    insert 0 "$work/emma"
    check "a profile that makes keys of the UID refuses a card that hides it" says 'serial. diversification' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes
    hospital=$home home=$work/random
    tessere init --finess 750712184 --name Random --profile "$(dirname "$0")/../../share/profiles/hospital-random-uid.yaml" >/dev/null
    printf 'uid,ref,name\n04A1B2C3D4E5B1,10005,Emma Blanc\n04A1B2C3D4E5B2,10006,Farid Brun\n' >"$work/list3.csv"
    tessere fleet import "$work/list3.csv" >/dev/null
    check "a card that hides its UID tells it to a key of theirs" says '04A1B2C3D4E5B1' card scan --fleet "$work/fleet.yaml" --keys-file "$work/keys"
    check "what was found on it is in the figures" figure forbidden 1
    check "it is taken over for the holder that the list names by it" says 'Badge 1 of Emma Blanc' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes
    check "it taps by its serial" says 'Emma Blanc' tap
    remove 0
    insert 0 "$work/stranger"
    check "one that no list names is left alone" says 'no list names this badge' badge takeover --fleet "$work/fleet.yaml" --keys-file "$work/keys" --yes
    remove 0
    tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port $port >/dev/null
    tessere person add bob --roles administrator --out "$work/bob" >/dev/null
    cp "$work/fleet.yaml" "$work/keys" "$home/"
    echo 'takeover: {fleet: fleet.yaml, keys-file: keys}' >>"$home/server.yaml"
    check "a server for such cards starts" start_server
    call bob POST /v1/stations '{"name":"ward-2","group":"ward"}' >"$work/station.json"
    "$TESSERE_AGENT" --state "$work/ward-2" enrol --server "https://localhost:$port" --code "$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")" >/dev/null
    check "a station waits for them" start_agent ward-2
    check "a badge that hides its UID, torn in the middle" outcome card-removed farid --tear after:2:C4
    check "is taken over at its next tap" outcome ok farid
    check "of one that no list names the tap's word stands" outcome card-foreign stranger
    check "all such badges conform" figure conform 2
    stop_agent
    stop_server
    check "their journal is whole" tessere journal verify
    home=$hospital
fi

check "the journal is whole" tessere journal verify
check "no key of others is in the database" bash -c "! grep -qaF 00112233445566778899AABBCCDDEE00 '$home/store.db' && ! grep -qaP '\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xAA\xBB\xCC\xDD\xEE\x00' '$home/store.db'"
finish
