#!/usr/bin/env bash
# Twelve people, two readers: cards come and go, one is torn and put back, the run is interrupted and
# resumed. Run by meson inside with-pcscd. TAP output.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"

home=$work/home
export LC_ALL=C.UTF-8
unset LANGUAGE
run_pid=""
tessere() { "$TESSERE" --home "$home" "$@" </dev/null; }
says() { # PATTERN ARGUMENT...
    local pattern=$1
    shift
    tessere "$@" >"$work/out" 2>&1
    cat "$work/out"
    grep -qE -- "$pattern" "$work/out"
}
start_run() {
    : >"$work/run.out"
    tessere badge bulk "$work/list.csv" --out "$work/done.csv" --yes "$@" >"$work/run.out" 2>&1 &
    run_pid=$!
    waits 'put blank cards on' || exit 1
}
waits() { # PATTERN: until the run says it
    local i
    for ((i = 0; i < 200; i++)); do
        grep -qE -- "$1" "$work/run.out" && return 0
        kill -0 "$run_pid" 2>/dev/null || break
        sleep 0.1
    done
    grep -qE -- "$1" "$work/run.out" && return 0
    cat "$work/run.out"
    return 1
}
# The shell's child is a subshell: the program is its child.
interrupt() {
    kill -INT "$(pgrep -P "$run_pid" || echo "$run_pid")"
    wait "$run_pid"
    cat "$work/run.out"
}
new_card() { "$TESSERE_CARD" new --ev ev2 --uid "$(printf '04AABBCC%06X' "$1")" "$work/card.$1" >/dev/null; }
# encodes SLOT CARD [option of tessere-card run]...: on the slot until the run says that it is done
encodes() {
    local slot=$1 number=$2 before i
    shift 2
    before=$(grep -c "Tessere 00 0$slot: badge" "$work/run.out")
    new_card "$number"
    insert "$slot" "$work/card.$number" --pace "$@" || return 1
    for ((i = 0; i < 300; i++)); do
        [ "$(grep -c "Tessere 00 0$slot: badge" "$work/run.out")" -gt "$before" ] && break
        kill -0 "$run_pid" 2>/dev/null || break
        sleep 0.1
    done
    remove "$slot"
    [ "$(grep -c "Tessere 00 0$slot: badge" "$work/run.out")" -gt "$before" ]
}
# encodes cards FROM..TO on both slots, each slot for itself
both() {
    local n
    (for ((n = $1; n <= $2; n += 2)); do encodes 0 "$n" || exit 1; done) &
    local other=$!
    for ((n = $1 + 1; n <= $2; n += 2)); do encodes 1 "$n" || return 1; done
    wait "$other"
}
# Everybody of the list has one line and one badge, and no one else has.
is_complete() {
    python3 - "$work/list.csv" "$work/done.csv" <<'PY'
import csv, sys
people = {r["ref"]: r["name"] for r in csv.DictReader(open(sys.argv[1], encoding="utf-8"), delimiter=";")}
done = list(csv.DictReader(open(sys.argv[2], encoding="utf-8")))
print(done)
assert list(done[0]) == ["badge", "uid", "serial", "ref", "name", "at"]
assert {r["ref"]: r["name"] for r in done} == people, "other people"
assert len(done) == len(people), "a person twice"
assert len({r["badge"] for r in done}) == len({r["uid"] for r in done}) == len(people), "a card twice"
PY
}

tessere init --finess 750712184 --name Hospital "$@" >/dev/null
names=(Anne Bruno Chloé Denis Émile Fanny Gérard Hélène Igor Jeanne Karim Lucie)
echo "ref;name;from;until" >"$work/list.csv"
for i in "${!names[@]}"; do
    echo "$((10001 + i));${names[$i]} \"Nom\", suite;;2031-12-31" | sed 's/;\([^;]*"[^;]*\);/;"\1";/; s/"Nom"/""Nom""/' >>"$work/list.csv"
done

printf 'ref,name\n1,Anne\n2,Bruno\n1,Chloé\n' >"$work/bad.csv"
check "a list that names a person twice is refused by its lines" says 'bad.csv:4: ref: line 2 has the same person' badge bulk "$work/bad.csv" --yes
{ echo ref,name && seq 25 | sed 's/.*/&,/'; } >"$work/bad.csv"
check "of many mistakes the first twenty are named" says 'bad.csv:21: name: it is empty' badge bulk "$work/bad.csv" --yes
check "and the others counted" eval 'says "and 5 more" badge bulk "$work/bad.csv" --yes && says "25 mistakes, the first: .*bad.csv:2: name" badge bulk "$work/bad.csv" --yes && ! says "bad.csv:22" badge bulk "$work/bad.csv" --yes'
printf 'ref,name,until\n1,Anne,2026-01-31\n' >"$work/bad.csv"
check "a last day that is past is refused by line and column" says 'bad.csv:2: until: this day is past' badge bulk "$work/bad.csv" --yes
check "so it is for one badge" says 'until: this day is past' badge enrol --ref 1 --name Anne --until 2026-01-31 --yes
printf 'ref,name,until\n1,Anne,tomorrow\n' >"$work/bad.csv"
check "a day that is none is refused by line and column" says 'bad.csv:2: until: a day is written' badge bulk "$work/bad.csv" --yes
check "no reader of that name" says 'there is no reader' badge bulk "$work/list.csv" --readers Other --yes
check "an option for one reader is refused" says 'takes no --reader' badge bulk "$work/list.csv" --reader 00 --yes

start_run
check "a second run of the list is refused" says 'another run' badge bulk "$work/list.csv" --yes
check "four people on two readers" both 1 4
insert 0 "$work/card.1"
check "a badge that is put on again is refused, and nobody loses their turn" waits 'already|enrolled for'
remove 0
new_card 5
insert 0 "$work/card.5" --pace --tear after:30 --back 2000
check "a torn card is named, with its person" waits 'this card is begun for'
check "the other reader goes on meanwhile" encodes 1 6
check "the card put back goes on" waits 'take it: Émile'
remove 0
new_card 7
insert 0 "$work/card.7" --pace --tear after:30
check "another card is torn" waits 'begun for Gérard'
remove 0
interrupt >"$work/first" 2>&1
check "the run ends when it is interrupted, and names who waits" grep -q 'is not finished' "$work/first"
sed 's/^/# /' "$work/first"
head -c -20 "$work/done.csv" >"$work/cut" && cp "$work/cut" "$work/done.csv"

start_run
check "it goes on where it was" waits '12 people, 6 with a badge'
insert 1 "$work/card.7" --pace
check "the card that was torn before is its person's" waits 'take it: Gérard'
remove 1
check "the others have theirs" both 8 12
wait "$run_pid"
check "the share of card and reader time is printed" grep -qE "[0-9.]+ % card and reader\.$" "$work/run.out"
check "the run ends by itself" grep -q '12 of 12 have a badge' "$work/run.out"
sed 's/^/# /' "$work/run.out"
check "the list for the printer is complete, with the line that was cut" is_complete
check "the last day is the badge's" says 'valid.*2031-12-31 23:59:59' badge show 1
check "a list that is done ends at once" says '12 of 12 have a badge; 0 now' badge bulk "$work/list.csv" --out "$work/done.csv" --yes
check "and adds no line" is_complete
lines() { tessere badge bulk "$work/list.csv" --yes --json | python3 -c 'import json, sys; [json.loads(l) for l in sys.stdin]'; }
check "a program reads lines of JSON" lines
insert 0 "$work/card.12"
check "a badge taps" tessere tap
remove 0

counts() { # BATCH NAME=VALUE...
    tessere stock list --json >"$work/stock" && python3 - "$work/stock" "$@" <<'PY' || { cat "$work/stock"; return 1; }
import json, sys
batch = next(b for b in json.load(open(sys.argv[1]))["batches"] if b["batch"] == int(sys.argv[2]))
assert batch["received"] == 0 or sum(batch[k] for k in ("blank", "begun", "encoded", "issued", "returned", "destroyed", "lost")) == batch["received"]
for name, value in (a.split("=") for a in sys.argv[3:]):
    assert batch[name] == int(value), name
PY
}
check "a batch is received" says 'Batch 1: 3 cards of Printer' stock receive --supplier Printer --count 3 --name A1 --transport-key "TK 4"
check "a key is not taken for its name" says 'looks like the transport key' stock receive --supplier Printer --count 3 --transport-key 00112233445566778899AABBCCDDEEFF
check "cards of no batch are counted, and the office has them" counts 0 encoded=12 issued=0
sed '3s/,"*100[0-9]*"*,/,99999,/' "$work/done.csv" >"$work/other.csv"
check "a list that gives a badge to another person is refused by line and column" says 'other.csv:3: ref: this badge is another' badge issue "$work/other.csv"
printf 'badge\n2\n77\n' >"$work/other.csv"
check "and one with a badge that is none" says 'other.csv:3: badge: no such badge' badge issue "$work/other.csv"
check "then nothing of it is handed over" counts 0 encoded=12 issued=0
check "a badge is handed over" says 'Badge 1 is handed over to' badge issue 1
check "once" says 'badge 1 was handed over already' badge issue 1
check "the others are, by the list for the printer" says '11 badges are handed over' badge issue "$work/done.csv"
check "and the list that grew says whose were before" says '12 of the list were handed over before' badge issue "$work/done.csv"
check "all of them have theirs" counts 0 encoded=0 issued=12
printf 'ref,name\n20001,Maya\n20002,Noé\n' >"$work/list.csv"
new_card 21
insert 0 "$work/card.21"
check "a batch that was not received is refused" says 'no batch 9' badge enrol --ref 20000 --name Léa --yes --batch 9
check "a badge is enrolled on a card of a batch" says 'is ready for Léa' badge enrol --ref 20000 --name Léa --yes --batch 1
remove 0
rm "$work/done.csv"
start_run --batch 1
check "and others by their list" both 22 23
wait "$run_pid"
check "the batch is used up" counts 1 blank=0 encoded=3
check "a badge that the office has says so" says 'the office has it' badge show 13
check "they are handed over" says '2 badges' badge issue "$work/done.csv"
check "and the first" says 'handed over to L' badge issue 13
check "they are issued" counts 1 encoded=0 issued=3
check "there is no blank card to lose" says 'has 0 blank cards' stock lose --batch 1 --count 1 --reason theft
check "a badge comes back" says 'is back' badge return 13 --reason left
check "it is in stock, and suspended" counts 1 issued=2 returned=1
check "it is not taken" says 'suspended' badge show 13
check "it is not handed over" says 'badge 13 is suspended' badge issue 13
check "it is reinstated" says 'active' badge reinstate 13
check "then the office has it" counts 1 encoded=1 issued=2 returned=0
check "and it comes back a second time" says 'is back' badge return 13 --reason left
check "its batch is shown" says 'batch +1$' badge show 13
check "it is destroyed" says '1 destroyed' stock destroy --badge 13 --reason shredded
check "once" says 'is destroyed' stock destroy --badge 13 --reason shredded
check "another is lost" says '1 lost' stock lose --badge 14 --reason "in the lift"
check "all are accounted for" counts 1 blank=0 issued=1 returned=0 destroyed=1 lost=1
new_card 24
insert 0 "$work/card.24"
check "a card more than were received is encoded all the same" says 'is ready' badge enrol --ref 20003 --name Omar --yes --batch 1
remove 0
printf 'ref,name\n20004,Pia\n' >"$work/list.csv"
rm "$work/done.csv"
start_run
new_card 25
insert 0 "$work/card.25" --pace
is_begun() { tessere badge list --holder Pia --json | grep -q enrolling; }
for ((i = 0; i < 100; i++)); do is_begun && break; done
sleep 0.1 # in the middle of its steps
kill -9 "$(pgrep -P "$run_pid" || echo "$run_pid")"
wait "$run_pid" 2>/dev/null
sleep 1 # until pcscd has noticed that its client is gone
remove 0
check "a run that is killed leaves a card that was begun" is_begun
start_run
insert 0 "$work/card.25" --pace
check "another goes on with it" waits 'take it: Pia'
remove 0
wait "$run_pid"
insert 0 "$work/card.25"
check "and it taps" tessere tap
remove 0
check "and shown" says '1 more cards than were received' stock list
check "the journal is whole" tessere journal verify
finish
