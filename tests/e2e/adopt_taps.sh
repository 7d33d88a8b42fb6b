#!/usr/bin/env bash
# The database is lost: badges are known again at their taps, from the list that was kept. Run by meson
# inside with-pcscd. TAP output.
# shellcheck source=tests/support/hospital.sh
. "$(dirname "$0")/../support/hospital.sh"
keys() { # IMAGE: what a scan says of its keys
    insert 0 "$work/$1"
    tessere --json card scan | python3 -c 'import json,sys; print(json.load(sys.stdin)["keys"])'
    remove 0
}
has() { sqlite3 "$home/store.db" "SELECT CAST(body AS TEXT) FROM entry WHERE CAST(body AS TEXT) LIKE '%\"kind\":\"$1\"%'" | grep -c .; }

tessere init --finess 750712184 --name Hospital >/dev/null
enrol_badge ev2 04A1B2C3D4E5F1 anne 10001 Anne >/dev/null
enrol_badge ev1 04A1B2C3D4E5F2 bruno 10002 'Bruno "le Grand", Martin' >/dev/null
tessere key rotate auth --yes >/dev/null
enrol_badge ev3 04A1B2C3D4E5F3 chloe 10003 Chloe >/dev/null
enrol_badge ev2 04A1B2C3D4E5F4 david 10004 David >/dev/null
enrol_badge ev2 04A1B2C3D4E5F5 emma 10005 Emma >/dev/null
tessere badge revoke 4 --reason stolen >/dev/null
insert 0 "$work/emma" && tessere badge blank --yes >/dev/null && remove 0
keys chloe >"$work/before"
check "a list of the badges is kept elsewhere" eval 'tessere badge list --csv >"$work/kept.csv" && cat "$work/kept.csv"'
check "with who was stopped, and no blank one" eval 'grep -q "04A1B2C3D4E5F4.*revoked" "$work/kept.csv" && ! grep -q Emma "$work/kept.csv"'
rm -f "$home"/store.db*
tessere adopt --name Hospital --yes >/dev/null
check "it can be taken in once the database is lost" tessere fleet import "$work/kept.csv"
tessere server setup --hosts DNS:localhost --address 127.0.0.1 --port $port >/dev/null
tessere person add alice --roles administrator --out "$work/alice" >/dev/null
start_server >/dev/null
call alice POST /v1/stations '{"name":"ward-1","group":"ward"}' >"$work/station.json"
"$TESSERE_AGENT" --state "$work/ward" enrol --server "https://localhost:$port" --code "$(sed 's/.*"code":"\([^"]*\)".*/\1/' "$work/station.json")" >/dev/null
start_agent ward
check "no station opens for a badge that is not known" outcome badge-unknown chloe
echo 'adopt: true' >>"$home/server.yaml"
kill -HUP "$server_pid"
check "with adopt, it does: the badge is known again" outcome ok chloe
check "its holder is the list's" eval 'tessere --json badge show 1 | grep -q "\"ref\": *\"10003\""'
check "one that missed a rotation too" outcome ok anne
check "and an EV1, whose holder's name needs quotes" outcome ok bruno
check "whose name is as it was" eval "tessere --json badge list | grep -qF 'Bruno \\\"le Grand\\\", Martin'"
check "one that the list calls revoked stays out" outcome badge-unknown david
"$TESSERE_CARD" new --ev ev2 --uid 04A1B2C3D4E5F6 "$work/blank" >/dev/null
printf 'uid,ref,name\n04A1B2C3D4E5F6,10006,Fred\n' >"$work/more.csv"
tessere fleet import "$work/more.csv" >/dev/null
made_up() { local line; line=$(taps blank); echo "$line"; ! grep -q '"outcome":"ok"' <<<"$line" && [ "$(tessere --json badge list | grep -c 04A1B2C3D4E5F6)" = 0 ]; }
check "a blank card with a UID of the list is none of ours" made_up
check "the journal says adoption of each, and no takeover" eval '[ "$(has adoption)" = 3 ] && [ "$(has takeover)" = 0 ]'
check "each taps as before" eval 'outcome ok anne && outcome ok bruno && outcome ok chloe'
stop_agent
stop_server
keys chloe >"$work/after"
check "what was right on a card was not written again" eval 'test -s "$work/before" && cmp "$work/before" "$work/after"'
check "the journal is whole" tessere journal verify
finish
