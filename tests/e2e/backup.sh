#!/usr/bin/env bash
# Backups of an establishment that goes on working: made, verified, refused when they are not what they
# were, restored after everything else is gone, and rehearsed in a drill. Run inside with-pcscd. TAP.
# shellcheck source=tests/support/card.sh
. "$(dirname "$0")/../support/card.sh"

home=$work/home copies=$work/home/backup
export LC_ALL=C.UTF-8
unset LANGUAGE
tessere() { "$TESSERE" --home "$home" --wait 5 "$@" </dev/null; }
with_shares() { "$TESSERE" --home "$home" "$@" <"$work/shares"; }
tap() { # HOME
    local status=0
    insert 0 "$work/badge" && "$TESSERE" --home "$1" --wait 5 tap </dev/null || status=$?
    remove 0
    return "$status"
}
newest() { # DIR
    find "$1" -name '*.backup' | sort | tail -1
}

in_memory=/dev/shm/tessere-verify-$(id -u)
# refused CODE COMMAND...: it says so, and nothing half-done stays
refused() {
    local code=$1 out
    shift
    out=$(tessere --json "$@" 2>&1) && { echo "not refused: $out"; return 1; }
    [[ $out == *"\"code\": \"$code\""* ]] || { echo "$out"; return 1; }
    [ ! -e "$work/there" ] && [ ! -e "$work/there.part" ] && [ ! -e "$in_memory" ]
}
restore_there() { # FILE OPTION...
    "$TESSERE" --json --home "$work/there" backup restore "$@" --custodian "$work/alice.key" </dev/null
}
# spoilt NAME CODE COMMAND...: on a copy of the newest backup that COMMAND has changed in $work/bad,
# verify and restore say CODE
spoilt() {
    local name=$1 code=$2
    shift 2
    rm -rf "$work/bad"
    mkdir "$work/bad"
    cp "${good%.backup}".* "$work/bad/"
    bad=$work/bad/$(basename "$good")
    "$@"
    check "verify: $name" refused "$code" backup verify "$bad" --custodian "$work/alice.key"
    check "restore: $name" refused "$code" --home "$work/there" backup restore "$bad" --custodian "$work/alice.key" --key "$key"
}
flip() { # FILE OFFSET
    python3 - "$1" "$2" <<'PYTHON'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[int(sys.argv[2]) % len(data)] ^= 1
open(sys.argv[1], "wb").write(data)
PYTHON
}

for who in alice bert eve; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$who.key" -subj "/CN=$who" -out "$work/$who.pem" 2>/dev/null
done
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/bert.key" -subj /CN=bert -out "$work/bert.pem" 2>/dev/null
"$TESSERE_CARD" new --ev ev2 --uid 04A1B2C3D4E5F6 "$work/badge" >/dev/null

# --- made while others write -------------------------------------------------------------------------
check "an establishment with a ceremony" bash -c "
    '$TESSERE' --home '$home' init --finess 750712184 --name Hospital --ceremony &&
        '$TESSERE' --home '$home' ceremony init --custodians Xavier,Yves --confirmed-by Alice,Bert >'$work/words' </dev/null &&
        grep -E '^([a-z]{5} ){21}[a-z]{5}\$' '$work/words' >'$work/shares' &&
        '$TESSERE' --home '$home' server setup --hosts DNS:localhost --address 127.0.0.1 --port $(a_port)"
enrol() { insert 0 "$work/badge" && tessere badge enrol --ref anne --name Anne --yes && remove 0; }
check "its badge is encoded" enrol
check "it taps" tap "$home"
check "the first backup asks for whom it is" refused usage backup create

"$TESSERED" --home "$home" 2>"$work/log" &
server=$!
for ((i = 0; i < 100; i++)); do grep -q ready "$work/log" && break; sleep 0.1; done
(for ((i = 0; i < 40; i++)); do tessere person add "p$i" --roles auditor --out "$work/p$i" || echo failed; done >"$work/writer" 2>&1) &
writer=$!
check "a backup is made while the server runs and others write" tessere backup create \
    --recipients "Alice=$work/alice.pem,Bert=$work/bert.pem" --copy-to "$work/second"
check "and another, with what was kept of the first" tessere backup create --full
wait "$writer"
check "those who wrote meanwhile noticed nothing" bash -c "! grep failed '$work/writer'"
kill "$server" 2>/dev/null
wait "$server" 2>/dev/null
good=$(newest "$copies")
key=$(tessere journal key)
check "it verifies, by the key of each custodian" bash -c "
    for who in alice bert; do '$TESSERE' --home '$home' backup verify '$good' --custodian $work/\$who.key || exit 1; done"
check "the second site has the same files" diff -r "$copies" "$work/second"
check "openssl, zstd and tar open it, without us" bash -c "
    set -o pipefail
    openssl cms -decrypt -inform DER -in '$good' -inkey '$work/bert.key' | python3 -c 'import sys; sys.exit(not sys.stdin.buffer.read().startswith(bytes.fromhex(\"28b52ffd\")))'"
check "neither token nor PIN is in it" bash -c "! grep -E 'token/|softhsm|\"pin' '${good%.backup}.manifest'"
check "the list says that all are whole" bash -c "'$TESSERE' --home '$home' --json backup list | grep -c '\"whole\"' | grep -x 2"
check "the proof beside it is one that others verify: its entry names the manifest" bash -c "
    grep ^extra '${good%.backup}.proof' | cut -d' ' -f2 | base64 -d | grep -qi \$(sha256sum '${good%.backup}.manifest' | cut -d' ' -f1)"

# --- refused ---------------------------------------------------------------------------------------
first=$(find "$copies" -name '*.backup' | sort | head -1)
for f in "${first%.backup}".*; do cp "$f" "$work/first.${f##*.}"; done
truncate_it() { truncate -s -1 "$bad"; }
halve_it() { truncate -s "$(($(stat -c %s "$bad") / 2))" "$bad"; }
flip_it() { flip "$bad" "$1"; }
flip_manifest() { flip "${bad%.backup}.manifest" "$1"; }
drop_proof() { rm "${bad%.backup}.proof"; }
flip_proof() { flip "${bad%.backup}.proof" "$1"; }
lengthen_it() { echo >>"$bad"; }
spoilt "a backup that lacks its last byte" backup-truncated truncate_it
spoilt "a backup that lacks its second half" backup-truncated halve_it
spoilt "a backup with a changed byte at its start" backup-altered flip_it 3
spoilt "a backup with a changed byte in the middle" backup-altered flip_it 2000
spoilt "a backup with a changed byte at its end" backup-altered flip_it -1
spoilt "a backup with something after its end" backup-altered lengthen_it
spoilt "a changed manifest" backup-altered flip_manifest 90
spoilt "a manifest that is no JSON" backup-altered flip_manifest 0
spoilt "a proof that is missing" backup-unsigned drop_proof
spoilt "a proof that is another" journal-proof flip_proof 60
another_manifest() { cp "$(find "$copies" -name '*.proof' | sort | head -1)" "${bad%.backup}.proof"; }
spoilt "the proof of another backup" backup-altered another_manifest
# sealed anew by somebody who has only the certificates, with a manifest that fits
forge_it() {
    python3 - "$bad" "$work" <<'PYTHON'
import hashlib, json, subprocess, sys
path, work = sys.argv[1:]
manifest = path[:-6] + "manifest"
data = open(path, "rb").read()
clear = subprocess.run(["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", work + "/bert.key"], input=data, stdout=subprocess.PIPE, check=True).stdout
forged = subprocess.run(["openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER", work + "/alice.pem"], input=clear, stdout=subprocess.PIPE, check=True).stdout
open(path, "wb").write(forged)
m = json.load(open(manifest))
m["size"], m["sha256"] = len(forged), hashlib.sha256(forged).hexdigest().upper()
open(manifest, "w").write(json.dumps(m, separators=(",", ":")) + "\n")
PYTHON
}
spoilt "a backup that somebody else has sealed" backup-altered forge_it
check "another's key does not open it" refused backup-sealed backup verify "$good" --custodian "$work/eve.key"
check "a certificate is no key" refused key-file backup verify "$good" --custodian "$work/eve.pem"
check "a file that is not there" refused bad-input backup verify "$work/none.backup" --custodian "$work/alice.key"
check "another establishment's" refused backup-foreign --home "$work/there" backup restore "$good" --custodian "$work/alice.key" --finess 750000001
tessere person add later --roles auditor --out "$work/later" >/dev/null 2>&1
tessere journal checkpoint >"$work/checkpoint" 2>/dev/null
check "older than the checkpoint that a witness has" refused backup-older --home "$work/there" backup restore "$good" --custodian "$work/alice.key" --checkpoint "$work/checkpoint"
check "a directory that holds something" bash -c "
    mkdir '$work/full' && touch '$work/full/it' && ! '$TESSERE' --home '$work/full' backup restore '$good' --custodian '$work/alice.key' &&
        [ \"\$(ls -A '$work/full')\" = it ]"
check "it is taken all the same when that is said" bash -c "
    '$TESSERE' --home '$work/old' backup restore '$good' --custodian '$work/alice.key' --key '$key' --checkpoint '$work/checkpoint' --older"

# --- an older schema, and a newer one ---------------------------------------------------------------
# repack SQL: what is in the newest backup, with its store changed, sealed and described anew
repack() {
    python3 - "$bad" "$work" "$1" <<'PYTHON'
import hashlib, json, os, shutil, sqlite3, subprocess, sys
path, work, sql = sys.argv[1:]
run = lambda *a, **k: subprocess.run(a, check=True, stdout=subprocess.PIPE, **k).stdout
tree = work + "/tree"
shutil.rmtree(tree, ignore_errors=True)
shutil.copytree(work + "/old", tree)
os.remove(tree + "/checkpoint")
db = sqlite3.connect(tree + "/store.db")
db.executescript(sql)
db.execute("PRAGMA journal_mode=DELETE")
db.close()
m = json.load(open(path[:-6] + "manifest"))
for k in m["members"]:
    data = open(os.path.join(tree, k["name"]), "rb").read()
    k["size"], k["sha256"] = len(data), hashlib.sha256(data).hexdigest().upper()
tar = run("tar", "-C", tree, "-c", *[k["name"] for k in m["members"]])
sealed = run("openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER", work + "/alice.pem", input=run("zstd", "-q", input=tar))
open(path, "wb").write(sealed)
m["size"], m["sha256"] = len(sealed), hashlib.sha256(sealed).hexdigest().upper()
open(path[:-6] + "manifest", "w").write(json.dumps(m, separators=(",", ":")) + "\n")
PYTHON
}
newer_schema() { repack "INSERT INTO schema (version) VALUES (99);"; }
fork() { repack "UPDATE entry SET body = replace(body, 'anne', 'eve') WHERE id = (SELECT max(id) FROM entry); UPDATE hash SET hash = randomblob(32) WHERE id = (SELECT max(id) FROM hash);"; }
remake() {
    rm -rf "$work/bad"
    mkdir "$work/bad"
    cp "${good%.backup}".* "$work/bad/"
    bad=$work/bad/$(basename "$good")
    "$@"
}
remake newer_schema
check "a store of a newer schema is refused" refused store-newer --home "$work/there" backup restore "$bad" --custodian "$work/alice.key"
# MEMBER TYPE: an archive with one member more than the manifest has
smuggle() {
    python3 - "$bad" "$work" "$1" "$2" <<'PYTHON'
import hashlib, io, json, subprocess, sys, tarfile
path, work, name, kind = sys.argv[1:]
run = lambda *a, **k: subprocess.run(a, check=True, stdout=subprocess.PIPE, **k).stdout
out = io.BytesIO()
tar = tarfile.open(fileobj=out, mode="w")
extra = tarfile.TarInfo(name)
extra.type = {"file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dir": tarfile.DIRTYPE}[kind]
extra.linkname = work
tar.addfile(extra)
m = json.load(open(path[:-6] + "manifest"))
for k in m["members"]:
    tar.add(work + "/old/" + k["name"], k["name"])
tar.close()
sealed = run("openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER", work + "/alice.pem", input=out.getvalue())
open(path, "wb").write(sealed)
m["size"], m["sha256"] = len(sealed), hashlib.sha256(sealed).hexdigest().upper()
open(path[:-6] + "manifest", "w").write(json.dumps(m, separators=(",", ":")) + "\n")
PYTHON
}
for member in "../smuggled file" "smuggled file" "pki link" "pki/ca.pem link" "pki/ca.pem hard" "pki dir" "$work/smuggled file"; do
    # shellcheck disable=SC2086 # two words
    remake smuggle $member
    check "an archive that smuggles a $member is refused" refused backup-altered --home "$work/there" backup restore "$bad" --custodian "$work/alice.key"
done
check "and nothing was smuggled" bash -c "[ -z \"\$(find '$work' -name smuggled)\" ]"
remake fork
check "a journal that was bent is refused" refused journal-broken --home "$work/there" backup restore "$bad" --custodian "$work/alice.key"

# --- kept, and cut -----------------------------------------------------------------------------------
mkdir "$home/snapshot.part" && touch "$home/snapshot.part/store.db" "$copies/backup.part"
three_more() { for i in 1 2 3; do sleep 1.1; tessere backup create --keep 2 || return 1; done; }
check "what was cut is taken up, and the older ones go" three_more
check "two are left and the one that they add to, here and at the second site" bash -c "
    for d in '$copies' '$work/second'; do [ \"\$(ls \$d/*.backup | wc -l)\" = 3 ] && [ \"\$(ls \$d | wc -l)\" = 9 ] && [ -e \$d/$(basename "$good") ] || exit 1; done"
check "nothing of one that was cut is left" bash -c "[ ! -e '$home/snapshot.part' ] && [ ! -e '$copies/backup.part' ]"
last=$(newest "$copies")
check "a backup that adds to another has the changed pages of the store alone" bash -c "
    set -o pipefail
    openssl cms -decrypt -inform DER -in '$last' -inkey '$work/bert.key' | zstd -d | tar -t | grep ^store | grep -x store.db.pages"
check "it verifies, together with that one" tessere backup verify "$last" --custodian "$work/alice.key"
check "what it is restored to is the store as it was" bash -c "
    '$TESSERE' --home '$work/there' backup restore '$last' --custodian '$work/bert.key' --key '$key' &&
        [ ! -e '$work/there/store.db.pages' ] && '$TESSERE' --home '$work/there' journal verify --key '$key' &&
        [ \"\$(sqlite3 '$work/there/store.db' 'SELECT count(*) FROM person')\" = \"\$(sqlite3 '$home/store.db' 'SELECT count(*) FROM person')\" ]"
rm -rf "$work/there"
whole=$good good=$last
with_base() { cp "${whole%.backup}".* "$work/bad/"; "$@"; }
flip_base() { flip "$work/bad/$(basename "$whole")" 2000; }
other_base() { # the one before, under the name of the base
    for f in "$work/first".*; do cp "$f" "$work/bad/$(basename "${whole%.backup}").${f##*.}"; done
}
spoilt "one whose base is missing" backup-truncated true
spoilt "one whose base was changed" backup-altered with_base flip_base
spoilt "one whose base is another" backup-altered other_base
spoilt "one that was changed" backup-altered with_base flip_it 1000
good=$whole
cp "$last" "$work/kept.backup"
truncate -s -1 "$last"
check "while the newest is not whole none is removed" bash -c "
    '$TESSERE' --home '$home' --json backup list | grep -c '\"whole\"' | grep -x 2"
mv "$work/kept.backup" "$last"

# Killed at one moment after the other: what is listed is whole, and the next one is made. Without the
# PIN: SoftHSM2 writes its token's file anew at each login, and loses the token when it is killed there.
cut_create() {
    local ms
    for ((ms = 5; ms < 150; ms += 12)); do
        timeout -s KILL "0.$(printf %03d "$ms")" "$TESSERE" --home "$home" --pin-file "$work/none" backup create --full </dev/null >/dev/null 2>&1
        tessere --json backup list | grep '"state"' | grep -v '"whole"' && return 1
    done
    tessere backup create && [ ! -e "$home/snapshot.part" ] && [ ! -e "$copies/backup.part" ]
}
check "a backup that is cut leaves none that is not whole" cut_create
# What a restoration was killed at is there whole, or not there.
cut_restore() {
    local ms
    for ((ms = 5; ms < 100; ms += 8)); do
        timeout -s KILL "0.$(printf %03d "$ms")" "$TESSERE" --home "$work/there" backup restore "$(newest "$copies")" --custodian "$work/alice.key" </dev/null >/dev/null 2>&1
        if [ -e "$work/there" ]; then
            "$TESSERE" --home "$work/there" journal verify --key "$key" </dev/null || return 1
        fi
        rm -rf "$work/there" "$work/there.part"
    done
}
check "a restoration that is cut leaves all or nothing" cut_restore

# --- a drill -----------------------------------------------------------------------------------------
doctor_says() { # CHECK CODE
    { tessere --json doctor 2>/dev/null || true; } | python3 -c '
import json, sys
found = {c["check"]: c.get("code") for c in json.load(sys.stdin)["checks"]}
sys.exit(found[sys.argv[1]] != (sys.argv[2] or None))' "$1" "$2"
}
check "the doctor misses a drill, and no backup" bash -c "$(declare -f doctor_says tessere); home='$home'
    doctor_says drill drill-due && doctor_says backup ''"
check "with too few shares no drill is written down" bash -c "
    ! head -1 '$work/shares' | '$TESSERE' --home '$home' drill restore --custodian '$work/alice.key' &&
        '$TESSERE' --home '$home' --json drill list | grep -q '\"drills\": \[\]'"
check "a drill that leaves the masters out does not put the next one off" bash -c "$(declare -f doctor_says tessere); home='$home'
    tessere drill restore --custodian '$work/alice.key' --without-masters | grep 'stays due' && doctor_says drill drill-due"
squatted() { # where the masters would lie in memory, something lies that cannot be removed
    local place out=held
    place=/dev/shm/tessere-drill-$(id -u)-750712184
    mkdir -p "$place/no/way"
    if [ "$(id -u)" = 0 ]; then mount -t tmpfs none "$place/no"; else chmod 0 "$place/no"; fi || { rm -rf "$place"; return 0; }
    with_shares drill restore --custodian "$work/alice.key" >"$work/squatted" 2>&1 || out=refused
    if [ "$(id -u)" = 0 ]; then umount "$place/no"; else chmod 700 "$place/no"; fi
    rm -rf "$place"
    [ "$out" = refused ] && grep -q 'is in the way' "$work/squatted" && [ ! -e "$home/drill.part" ]
}
check "masters do not go to a disk because somebody is in their place in memory" squatted
cut_drill() { # SIGNAL: one that waits for the second share, its token in memory
    local drill place
    place=/dev/shm/tessere-drill-$(id -u)-750712184
    rm -f "$work/pipe"
    mkfifo "$work/pipe"
    "$TESSERE" --home "$home" drill restore --custodian "$work/alice.key" <"$work/pipe" >"$work/cut" 2>&1 &
    drill=$!
    exec 7>"$work/pipe"
    head -1 "$work/shares" >&7
    for ((i = 0; i < 200; i++)); do [ -e "$place/in/token/pin" ] && break; sleep 0.1; done
    [ -e "$place/in/token/pin" ] || return 1
    second=$(with_shares --json drill restore --custodian "$work/alice.key" 2>&1) && return 1
    [ -e "$place/in/token/pin" ] || return 1
    kill -"$1" "$drill"
    exec 7>&-
    ! wait "$drill" 2>/dev/null && [[ $second == *store-locked* ]]
}
nothing_left() { [ -z "$(find /dev/shm -maxdepth 1 -name "tessere-drill-$(id -u)-750712184")" ] && [ ! -e "$home/drill.part" ]; }
left_behind() {
    local place
    place=/dev/shm/tessere-verify-$(id -u)
    mkdir -m 700 "$place" && doctor_says left-behind left-behind && tessere backup verify "$(newest "$copies")" --custodian "$work/alice.key" && [ ! -e "$place" ]
}
check "two drills at once do not remove each other's masters; one that is ended throws its own away" cut_drill TERM
check "nothing of it is left" nothing_left
check "one whose line is cut does too" cut_drill HUP
check "nothing of it is left" nothing_left
check "one that is killed leaves them" cut_drill KILL
check "which the doctor tells" doctor_says left-behind left-behind
check "what a verification left in memory is told, and gone with the next" left_behind
drill() { with_shares --json --pin-file "$home/token/pin" drill restore --custodian "$work/alice.key" >"$work/drill.json"; }
check "a drill restores, opens the masters, and taps a badge" drill
check "its evidence has RTO and RPO as numbers" python3 -c "
import json
d = json.load(open('$work/drill.json'))
assert 0 < d['rto_seconds'] < 120 and 0 <= d['rpo_seconds'] < 600 and d['rpo_entries'] > 0, d
assert d['tap'] is True and d['masters'] >= 6 and d['sample'] > 0, d"
check "the journal has them, and is whole" bash -c "
    '$TESSERE' --home '$home' --json journal prove \$(python3 -c \"import json; print(json.load(open('$work/drill.json'))['entry'])\") | grep -q rto_ms &&
        '$TESSERE' --home '$home' journal verify"
check "nothing of the drill is left" bash -c "[ ! -e '$home/drill.part' ] && [ -z \"\$(find /dev/shm -maxdepth 1 -name 'tessere-drill-*' -newer '$work/words')\" ]"
check "the list has it, and the next one's day" bash -c "
    '$TESSERE' --home '$home' drill list | grep -q 'with masters and a tap' &&
        '$TESSERE' --home '$home' drill list | grep -q \$(date -d '+90 days' +%F)"
check "the doctor is content" bash -c "$(declare -f doctor_says tessere); home='$home'; doctor_says drill ''"
sed -i 's/drill-days: 90/drill-days: 0/; s/backup-hours: 26/backup-hours: 0/' "$home/backup.yaml"
sleep 1.1
check "the doctor says when a drill is due" bash -c "$(declare -f doctor_says tessere); home='$home'; doctor_says drill drill-due"
check "without the shares the data alone are tried, and that is said" bash -c "
    '$TESSERE' --home '$home' drill restore --custodian '$work/bert.key' --without-masters | grep -q 'no badge was tried'"

# of two journals that both were signed the newer one was put away: nothing may count in the other
forked() {
    local held
    cp -a "$home" "$work/whole"
    tessere person add dora --roles operator --out "$work/dora" >/dev/null && tessere journal checkpoint >/dev/null
    cp "$work"/whole/store.db* "$home/"
    tessere person add emil --roles operator --out "$work/emil" >/dev/null && tessere person add fred --roles operator --out "$work/fred" >/dev/null
    held=$(tessere drill list | wc -l)
    ! tessere drill restore --custodian "$work/bert.key" --without-masters 2>"$work/forked" &&
        grep -q 'cannot both be true' "$work/forked" && [ "$(tessere drill list | wc -l)" = "$held" ]
}
check "a drill in a journal that cannot be signed does not count" forked
rm -rf "$home" && mv "$work/whole" "$home"

# --- everything else is gone --------------------------------------------------------------------------
tap "$home" >/dev/null
mkdir "$home/told"
echo "issuer: https://kms.example
subscribers: [{name: it, url: 'https://it.example', secret-file: it.secret, ca: $work/alice.pem}]" >"$home/told/events.yaml"
for name in told/it.secret told/fleet.yaml told/fleet.keys told/clients.yaml; do (umask 077 && echo "$name" >"$home/$name"); done
printf '%s\n' 'events: told/events.yaml' "sign-on: {issuer: 'https://kms.example', clients: $home/told/clients.yaml}" \
    'takeover: {fleet: told/fleet.yaml, keys-file: told/fleet.keys}' >>"$home/server.yaml"
check "what the configuration names outside of the home is not in a backup, which says so" bash -c "
    '$TESSERE' --home '$home' backup create </dev/null | grep -F 'outside of the home: $work/alice.pem'"
site=$(newest "$work/second")
rm -rf "$home" "$copies"
check "all is lost but the second site: nobody taps" bash -c "! '$TESSERE' --home '$home' tap --wait 0 </dev/null"
check "the backup is restored" "$TESSERE" --home "$home" backup restore "$site" --custodian "$work/bert.key" --key "$key"
check "with the files that the configuration names, closed as secrets are, but another system's keys" bash -c "
    cd '$home/told' && [ \"\$(find . -type f -perm 600 | sort | xargs)\" = './clients.yaml ./events.yaml ./fleet.yaml ./it.secret' ]"
check "the custodians bring the masters back" bash -c "'$TESSERE' --home '$home' ceremony restore --confirmed-by Alice,Bert <'$work/shares'"
check "the badge taps again" tap "$home"
check "the journal is whole, and its key is the one that was published" tessere journal verify --key "$key"
finish
