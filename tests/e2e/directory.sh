#!/usr/bin/env bash
# The hospital's directory over SCIM, with a badge and a station: who joins, moves, leaves, comes back,
# and is gone. Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"

url=https://localhost:$port
token=''
scim() { # METHOD PATH [BODY] [option of curl]...
    local method=$1 path=$2
    shift 2
    local body=()
    [ $# = 0 ] || { [ -z "$1" ] || body=(-d "$1"); shift; }
    curl -sS -m 20 --cacert "$home/pki/ca.pem" -H "Authorization: Bearer $token" -H 'Content-Type: application/scim+json' \
        -X "$method" "${body[@]}" "$@" "$url/scim/v2$path"
}
status() { # WANTED METHOD PATH [BODY] [option of curl]...
    local wanted=$1 got
    shift
    got=$(scim "$1" "$2" "${3:-}" "${@:4}" -o "$work/body" -w '%{http_code}')
    echo "$got"
    cat "$work/body"
    [ "$got" = "$wanted" ]
}
says() { grep -qF -- "$1" "$work/body" || { cat "$work/body"; false; }; }
patch() { printf '{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}' "$1"; }
stop_of=$(patch '{"op":"Replace","path":"active","value":"False"}')
back_of=$(patch '{"op":"replace","value":{"active":true}}')
user() { # NUMBER [more]: a person's document
    printf '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user%s","externalId":"x%s","displayName":"Person %s"%s}' "$1" "$1" "$1" "${2:-}"
}
entries() { call alice GET "/v1/journal/entries?limit=200&after=${1:-0}"; }

tessere init --finess 750712184 --name Hospital >/dev/null
tessere server setup --hosts DNS:localhost,IP:127.0.0.1 --address 127.0.0.1 --port $port >/dev/null
tessere person add alice --roles administrator,auditor --out "$work/alice" >/dev/null
echo 'requests-per-second: 1000' >>"$home/server.yaml"
printf 'guard-percent: 20\nguard-least: 3\n' >"$home/directory.yaml"
check "the server starts" start_server
call alice POST /v1/stations '{"name":"ward-1","group":"ward"}' >"$work/station.json"
code=$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")
"$TESSERE_AGENT" --state "$work/st" enrol --server "$url" --code "$code" >/dev/null
check "a station needs a name" eval '! tessere station add "" && ! tessere station add "  "'
check "Anne has a badge before the directory knows her" enrol_badge ev2 04A1B2C3D4E5F6 anne 10001234567 "A. Martin"
check "the station's agent starts" start_agent st
check "she taps: granted" outcome ok anne

check "a token is made, and shown once" bash -c "'$TESSERE' --home '$home' scim token add idm --rights scim:read,scim:write >'$work/token' && ! '$TESSERE' --home '$home' scim token list | grep -q \"\$(tail -1 '$work/token')\""
token=$(tail -1 "$work/token")
check "no file of the establishment has it" bash -c "! grep -raqF '$token' '$home'"
anne='{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"amartin","externalId":"x-anne","name":{"givenName":"Anne","familyName":"Martin"},
 "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"10001234567","department":"ICU"},
 "urn:tessere:params:scim:schemas:extension:badge:2.0:User":{"nationalId":"10001234567"}}'
check "a badge without a person is an orphan" bash -c "'$TESSERE' --home '$home' directory orphans --csv | grep -q '\"badge-without-person\",1,\"10001234567\"'"
check "a national identifier that is none is refused" status 400 POST /Users "$anne"
anne=${anne/nationalId\":\"10001234567/nationalId\":\"10001234565}
check "the directory brings Anne: she is the holder of her badge" status 201 POST /Users "$anne"
check "who is shown with her badges" says '"badges":[{"value":"1","state":"active"'
id=$(sed 's/.*"id":"\(u[0-9]*\)".*/\1/' "$work/body")
check "her identity was verified by nobody so far" bash -c "'$TESSERE' --home '$home' directory orphans | grep -q 10001234567"
check "somebody looks at her papers" tessere directory verify 10001234567
check "then there is no orphan" bash -c "[ \"\$('$TESSERE' --home '$home' directory orphans --csv | wc -l)\" = 1 ]"

check "she leaves" status 200 PATCH "/Users/$id" "$stop_of"
check "her tap is refused" outcome holder-suspended anne
check "she comes back" status 200 PATCH "/Users/$id" "$back_of"
check "her tap is granted" outcome ok anne
in_journal() { # OPTION... -- PART...: the journal that is shown has every part, in this order
    local asked=()
    while [ "$1" != -- ]; do asked+=("$1"); shift; done
    shift
    tessere journal list "${asked[@]}" | tee "$work/listed" | tr '\n' ' ' | grep -qE "$(IFS='|'; echo "$*" | sed 's/|/.*/g')" || { cat "$work/listed"; false; }
}
check "the journal is read: whose badge was refused where, and granted after that" in_journal --kind tap --holder Martin -- ' tap ' holder-suspended ward-1 ' 1 ' 10001234567 'A. Martin' ' ok '
check "and who did what, by name" in_journal --kind station-add,directory-verify -- ' station-add ' alice
check "a day, a badge and a station choose" eval 'in_journal --badge 1 --station 1 --from 2020-01-01 --until 2100-01-01 -- " tap " && in_journal --until 2020-01-01 -- "No entry" && in_journal --badge 2 -- "No entry" && in_journal --kind ta -- "No entry"'
check "for a spreadsheet and a program too" eval 'in_journal --kind tap --csv -- "^entry,at,kind,outcome,actor,station,badge,ref,name,detail" "\"ward-1\",1,\"10001234567\"" && in_journal --kind tap --json -- "\"ref\": \"10001234567\""'
check "what is no day or number is refused" eval '! tessere journal list --from yesterday && ! tessere journal list --badge one'
measured() { # every answer to a leaver is the moment from which no tap is granted
    local i worst
    for ((i = 0; i < 20; i++)); do
        scim PATCH "/Users/$id" "$stop_of" -o /dev/null -w '%{time_total}\n'
        scim PATCH "/Users/$id" "$back_of" -o /dev/null
    done >"$work/times"
    worst=$(sort -n "$work/times" | tail -1)
    echo "# a leaver is acknowledged, and every tap refused from then on, after at most $worst s (20 tries)" >"$work/told"
    python3 -c "import sys; sys.exit(float('$worst') > 10)"
}
check "leavers are measured" measured
cat "$work/told"
from_there_to_here() { # the directory's word on the way, the station's refusal at the end
    local begin end
    begin=$(date +%s%N)
    scim PATCH "/Users/$id" "$stop_of" -o /dev/null
    outcome holder-suspended anne || return 1
    end=$(date +%s%N)
    echo "# from the directory's request to the station's refusal: $(((end - begin) / 1000000)) ms, with the badge's journey to the reader" >"$work/told"
}
check "so is a tap that follows" from_there_to_here
cat "$work/told"

suspended_here() { # what the desk stopped, the directory does not let in again
    scim PATCH "/Users/$id" "$back_of" -o /dev/null
    tessere holder suspend 10001234567 >/dev/null
    scim PATCH "/Users/$id" "$stop_of" -o /dev/null
    scim PATCH "/Users/$id" "$back_of" -o /dev/null
    outcome holder-suspended anne && tessere holder reinstate 10001234567 && outcome ok anne
}
check "who was suspended here stays so, whatever the directory does" suspended_here

check "a group" status 201 POST /Groups "{\"schemas\":[],\"displayName\":\"Nurses\",\"members\":[{\"value\":\"$id\"},{\"value\":\"$id\"}]}"
check "a member given twice is in it once" bash -c "[ \"\$(grep -o '\"value\"' '$work/body' | wc -l)\" = 1 ]"
check "she is shown in it" bash -c "$(declare -f status scim says); token='$token' work='$work' home='$home' url='$url'; status 200 GET /Users/$id && says '\"display\":\"Nurses\"'"
check "a member who is nobody is refused" status 400 PATCH /Groups/g1 "$(patch '{"op":"add","path":"members","value":[{"value":"u999"}]}')"

take_policy() { # RULE...: in force while the server goes on
    local i before
    before=$(grep -c 'taken up' "$work/server.log")
    printf 'rules:\n  - {group: "", factor: badge}\n' >"$home/policy.yaml"
    [ $# = 0 ] || printf '  - %s\n' "$@" >>"$home/policy.yaml"
    kill -HUP "$server_pid"
    for ((i = 0; i < 100; i++)); do
        [ "$(grep -c 'taken up' "$work/server.log")" -gt "$before" ] && return 0
        sleep 0.1
    done
    cat "$work/server.log"
    return 1
}
check "another group" status 201 POST /Groups '{"schemas":[],"displayName":"Équipe de nuit"}'
other=$(sed 's/.*"id":"\(g[0-9]*\)".*/\1/' "$work/body")
check "a policy by groups of the directory is in force" take_policy '{group: ward, holders: ["Équipe de nuit"], factor: badge}' '{group: ward, holders: [interns], factor: pin-always}'
check "who is in none of them is refused" outcome not-admitted anne
check "which the journal knows" bash -c "$(declare -f call entries); work='$work' home='$home' port=$port; for a in 0 190; do entries \$a; done | grep -q not-admitted"
check "she moves into one" status 200 PATCH "/Groups/$other" "$(patch "{\"op\":\"add\",\"path\":\"members\",\"value\":[{\"value\":\"$id\"}]}")"
check "her next tap is granted" outcome ok anne
check "a group that the policy names and the directory lacks is told beside the policy" bash -c "'$TESSERE' --home '$home' policy show 2>'$work/told' | cmp - '$home/policy.yaml' && grep -qF 'group-unknown' <('$TESSERE' --home '$home' --json doctor) && grep -qF '[\"interns\"]' '$work/told'"
check "she moves out again" status 200 PATCH "/Groups/$other" "$(patch "{\"op\":\"remove\",\"path\":\"members[value eq \\\"$id\\\"]\"}")"
check "her next tap is refused" outcome not-admitted anne
check "interns come, and she is one" status 201 POST /Groups "{\"schemas\":[],\"displayName\":\"Interns\",\"members\":[{\"value\":\"$id\"}]}"
check "whose PIN is asked for, and she has none" outcome pin-missing anne
check "then the directory has all groups of the policy" bash -c "[ \"\$('$TESSERE' --home '$home' --json policy show | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"unknown_groups\"])')\" = '[]' ]"
check "the policy of before is in force again" take_policy
check "and her tap is granted, whatever her groups" outcome ok anne

tag=$(scim GET "/Users/$id" '' -D - -o /dev/null | tr -d '\r' | sed -n 's/^ETag: //p')
check "a version that is known is not sent again" status 304 GET "/Users/$id" '' -H "If-None-Match: $tag"
check "a version that is old changes nothing" status 412 PATCH "/Users/$id" "$stop_of" -H 'If-Match: W/"0000000000000000"'
check "and the right one does" status 200 PATCH "/Users/$id" "$(patch '{"op":"replace","path":"displayName","value":"Anne M"}')" -H "If-Match: $tag"
check "what the badge's state is, is part of the version" bash -c "$(declare -f scim); token='$token' home='$home' url='$url'; a=\$(scim GET /Users/$id | grep -o 'W/[^,]*'); '$TESSERE' --home '$home' badge suspend 1 --reason lost >/dev/null; b=\$(scim GET /Users/$id | grep -o 'W/[^,]*'); '$TESSERE' --home '$home' badge reinstate 1 >/dev/null; [ \"\$a\" != \"\$b\" ]"

bulk='{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
 {"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"Bulk","members":[{"value":"bulkId:one"}]}},
 {"method":"POST","path":"/Users","bulkId":"one","data":'$(user 1)'},
 {"method":"PATCH","path":"/Users/bulkId:one","data":'$(patch '{"op":"replace","path":"displayName","value":"Bulk One"}')'}]}'
check "many at once, which refer to each other" status 200 POST /Bulk "$bulk"
check "are all done" bash -c "[ \"\$(grep -o '\"status\":\"20[01]\"' '$work/body' | wc -l)\" = 3 ]"
bulk='{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"failOnErrors":2,"Operations":[
 {"method":"POST","path":"/Users","bulkId":"two","data":'$(user 1)'},
 {"method":"DELETE","path":"/Users/u998"},
 {"method":"POST","path":"/Users","bulkId":"never","data":'$(user 2)'}]}'
check "many of which some fail" status 200 POST /Bulk "$bulk"
check "stop at the second failure" bash -c "! grep -q never '$work/body' && grep -q uniqueness '$work/body' && grep -q '\"404\"' '$work/body'"
waits='{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{"method":"POST","path":"/Groups","bulkId":"a","data":{"displayName":"A","members":[{"value":"bulkId:b"}]}}]}'
check "a reference to what nothing makes is a failure" bash -c "$(declare -f status scim); token='$token' work='$work' home='$home' url='$url'; status 200 POST /Bulk '$waits' && grep -q invalidValue '$work/body'"
check "too many at once are refused" bash -c "$(declare -f status scim); token='$token' work='$work' home='$home' url='$url'; status 413 POST /Bulk \"\$(python3 -c 'print(\"{\\\"schemas\\\":[\\\"urn:ietf:params:scim:api:messages:2.0:BulkRequest\\\"],\\\"Operations\\\":[\" + \",\".join([\"{}\"] * 101) + \"]}\")')\""

check "a filter that is too long is refused" status 400 GET "/Users?filter=$(printf 'x%.0s' {1..3000})"
check "and one that is too deep" status 400 GET "/Users?filter=$(printf '(%.0s' {1..200})active%20pr"
check "a body that is no JSON" status 400 POST /Users '{'
check "a body that is too large" bash -c "$(declare -f status scim); token='$token' work='$work' home='$home' url='$url'; head -c 70000 /dev/zero | tr '\\0' x >'$work/large'; status 413 POST /Users '' --data-binary '@$work/large'"
check "a type that is none" bash -c "[ \"\$(curl -sS -o /dev/null -w '%{http_code}' --cacert '$home/pki/ca.pem' -H 'Authorization: Bearer $token' -H 'Content-Type: text/plain' -d x $url/scim/v2/Users)\" = 415 ]"
check "a name that turns what stands beside it" status 400 POST /Users "$(user 7 ',"name":{"familyName":"a\u202eb"}')"

tessere scim token add reader --rights scim:read >"$work/reader"
tessere scim token add old --rights scim:read --expires 2020-01-01 >"$work/old"
check "a token's end is shown on its last day" bash -c "grep -q '2020-01-01 23:59:59' '$work/old' && '$TESSERE' --home '$home' scim token list | grep -q 'old.* 2020-01-01 23:59:59'"
token=$(tail -1 "$work/reader")
check "a token that may read reads" status 200 GET "/Users/$id"
check "and changes nothing" status 403 DELETE "/Users/$id"
check "which the journal knows" bash -c "$(declare -f call entries); work='$work' home='$home' port=$port; for a in 0 190; do entries \$a; done | grep -q token-refused"
token=$(tail -1 "$work/old")
check "a token that has expired is none" status 401 GET "/Users/$id"
token=tessere-0000000000000000000000000000000000000000000
check "so is one that nobody has" status 401 GET "/Users/$id"
token=$(tail -1 "$work/token")
check "no certificate opens SCIM" bash -c "[ \"\$(curl -sS -o /dev/null -w '%{http_code}' --cacert '$home/pki/ca.pem' --cert '$work/alice.pem' --key '$work/alice.key' $url/scim/v2/Users)\" = 401 ]"
check "and no token opens the rest" bash -c "[ \"\$(curl -sS -o /dev/null -w '%{http_code}' --cacert '$home/pki/ca.pem' -H 'Authorization: Bearer $token' $url/v1/badges)\" = 401 ]"

for ((i = 10; i < 22; i++)); do scim POST /Users "$(user $i)" -o /dev/null; done
mass() {
    local i
    for ((i = 10; i < 20; i++)); do
        scim PATCH "/Users/$(scim GET "/Users?filter=userName%20eq%20%22user$i%22" | sed 's/.*"id":"\(u[0-9]*\)".*/\1/')" "$stop_of" -o /dev/null
    done
    tessere --json directory status | tee "$work/status"
    python3 - "$work/status" <<'P'
import json, sys
s = json.load(open(sys.argv[1]))
assert s["held"] > 0 and s["leaving"] >= 10, s
P
}
check "a directory that disables everybody is held" mass
check "who waits is named, since when and by whose word" eval 'tessere directory status | grep -qE "^user19 .*scim:1 .*Person 19" && grep -q "\"ref\": \"user19\"" "$work/status"'
check "and the doctor finds them" grep -q directory-held <(tessere --json doctor)
check "the server says so while it goes on" bash -c "curl -sS --cacert '$home/pki/ca.pem' $url/v1/readyz | grep -q '\"directory_held\":'"
check "and in its figures" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call alice GET /v1/metrics | grep -q 'tessere_directory_held [1-9]'"
check "who is held is shown so, and is active here" bash -c "$(declare -f scim); token='$token' home='$home' url='$url'; scim GET '/Users?filter=userName%20eq%20%22user19%22' | grep -q '\"active\":false.*\"state\":\"active\",\"held\":true'"
check "an administrator keeps them" bash -c "$(declare -f call); work='$work' home='$home' port=$port; call alice POST /v1/directory/refuse '{}' | grep -q '\"count\":[1-9]'"
check "and they are active again" bash -c "$(declare -f scim); token='$token' home='$home' url='$url'; scim GET '/Users?filter=userName%20eq%20%22user19%22' | grep -q '\"active\":true'"
check "another time lets them go" bash -c "$(declare -f scim); token='$token' home='$home' url='$url'; scim PATCH \"/Users/\$(scim GET '/Users?filter=userName%20eq%20%22user20%22' | sed 's/.*\"id\":\"\\(u[0-9]*\\)\".*/\\1/')\" '$stop_of' | grep -q held && '$TESSERE' --home '$home' directory release --yes && '$TESSERE' --home '$home' holder list | grep user20 | grep -q suspended"

check "Anne is gone for good" status 204 DELETE "/Users/$id"
tessere directory release --yes >/dev/null
check "her badge is revoked" bash -c "'$TESSERE' --home '$home' badge show 1 | grep -q revoked"
check "her tap is refused" outcome badge-revoked anne
check "nobody finds her" status 404 GET "/Users/$id"
check "nor in her group" bash -c "$(declare -f status scim); token='$token' work='$work' home='$home' url='$url'; status 200 GET /Groups/g1 && ! grep -q members '$work/body'"
check "she comes back as a new person" status 201 POST /Users "$anne"
check "with the same number, and no badge of before" says '"state":"active","badges":[{"value":"1","state":"revoked"'
check "whose tap stays refused" outcome badge-revoked anne
check "she is erased" tessere journal erase 10001234567 --yes
check "her name is nowhere" bash -c "! '$TESSERE' --home '$home' --json holder list | grep -q Martin && ! sqlite3 '$home/store.db' .dump | grep -qi 'amartin\|x-anne'"
check "the journal shows what she did, and not who" eval '! tessere journal list --badge 1 | grep -i martin && in_journal --badge 1 --kind tap -- " ok "'
check "a token is revoked" tessere scim token revoke idm
check "and opens nothing from then on" status 401 GET /Users
check "the journal is whole, and knows each record" tessere journal verify
stop_agent
check "the server stops" stop_server
finish
