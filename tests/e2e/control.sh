#!/usr/bin/env bash
# Dual control: what one person alone may not do, tried each way round; and what a quorum then does.
# TAP output.
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
export LC_ALL=C.UTF-8
unset LANGUAGE

desk() { "$TESSERE" --home "$home" "$@"; }

as() { # WHO WORDS...
    local who=$1
    shift
    "$TESSERE" "$@" --server "$url" --identity "$work/$who" --ca "$home/pki/ca.pem"
}

# alone COMMAND...: refused for want of a quorum
alone() {
    local status=0
    "$@" >"$work/alone" 2>&1 || status=$?
    cat "$work/alone"
    [ "$status" = 3 ] && grep -q 'too few approvals' "$work/alone"
}

# refused PATTERN COMMAND...
refused() {
    local pattern=$1
    shift
    "$@" >"$work/refused" 2>&1 && { cat "$work/refused"; return 1; }
    cat "$work/refused"
    grep -q -- "$pattern" "$work/refused"
}

shows() { # PATTERN COMMAND...
    local pattern=$1
    shift
    "$@" >"$work/shows" 2>&1
    cat "$work/shows"
    grep -q -- "$pattern" "$work/shows"
}

api() { # WHO METHOD PATH [BODY]
    local who=$1 method=$2 path=$3
    shift 3
    curl -sS -m 20 --cacert "$home/pki/ca.pem" --cert "$work/$who.pem" --key "$work/$who.key" \
        -H 'Content-Type: application/json' -X "$method" ${1:+-d "$1"} "$url$path"
}

propose() { # WHO WHAT [OPTION...]: shows and keeps its number
    as "$@" >"$work/proposed" 2>&1 || { cat "$work/proposed"; return 1; }
    cat "$work/proposed"
    sed -n 's/^number //p' "$work/proposed" >"$work/number"
}
make() { # WHO WHAT [OPTION...]
    local who=$1
    shift
    propose "$who" proposal make "$@"
}
approve() { as "$1" proposal approve "$(cat "$work/number")" --yes; }
by_both() { approve "$1" && shows 'is done' approve "$2"; }
sql() { sqlite3 "$home/store.db" "$1"; }
entries() { sql "SELECT CAST(body AS TEXT) FROM entry WHERE CAST(body AS TEXT) LIKE '%\"kind\":\"$1\"%'"; }

check "an establishment is set up" desk init --finess 750712184 --ceremony
check "its masters are made in a ceremony" eval 'desk ceremony init --custodians xavier,yves --confirmed-by xavier,yves >"$work/made" && grep -E "^([a-z]{5} ){21}[a-z]{5}$" "$work/made" >"$work/shares"'
check "its first policy is in the journal" shows '"by":"init"' entries policy
check "the policy is shown" shows 'factor: badge' desk policy show
desk server setup --hosts DNS:localhost --address 127.0.0.1 --port "$port" >/dev/null
printf 'requests-per-second: 200\n' >>"$home/server.yaml"
check "alice administers" desk person add alice --roles administrator --out "$work/alice"
check "bert administers" desk person add bert --roles administrator --out "$work/bert"
check "a third administrator, before there is a roster: refused" alone desk person add mallory --roles administrator --out "$work/mallory"
check "carl is a custodian" desk person add carl --roles custodian --out "$work/carl"
check "dora audits" desk person add dora --roles auditor --out "$work/dora"
check "olga is an operator" desk person add olga --roles operator --out "$work/olga"
printf 'pin: {min-digits: 5}\nrules: [{group: "", factor: badge}]\n' >"$home/policy.yaml"
check "the server starts" start
check "as long as there is no roster, the file is the policy" shows 'min-digits: 5' desk policy show
check "that is in the journal too" shows '"by":"file"' entries policy
check "nothing can be proposed yet" refused 'roster' as alice proposal make export
check "the journal can be taken out by one" desk journal export "$work/tiles0"

check "the roster is founded" desk roster found --quorum 2
check "once" refused 'has a roster' desk roster found --quorum 2

# --- the policy
printf 'pin: {min-digits: 4}\nrules: [{group: "", factor: badge}]\n' >"$home/policy.yaml"
stop
check "the server starts with a policy in the file that nobody approved" start
check "it says so, and what to do" grep -q 'proposal make policy' "$work/log"
check "the approved policy stays in force" shows 'min-digits: 5' desk policy show
check "also for who sets a PIN" shows '"min_digits":5' api olga GET /v1/pin-key
printf 'pin: {tries: 0}\nrules: [{group: "", factor: badge}]\n' >"$work/broken.yaml"
check "a policy that cannot be read cannot be proposed: its line is named" refused 'line 1: pin: tries' as alice proposal make policy --file "$work/broken.yaml"
check "nor a policy without its text" refused 'the policy' as alice proposal make policy
check "nor a text with an action that has none" refused 'no text' as alice proposal make "rotate auth" --file "$work/broken.yaml"
check "nor what is no action" refused 'person-end' as alice proposal make "restore everything"
check "an operator may not propose" refused 'not do that' as olga proposal make export
check "an auditor may not propose" refused 'not do that' as dora proposal make export
printf 'pin: {min-digits: 7}\nrules: [{group: "", factor: badge}]\n' >"$work/new.yaml"
printf 'pin: {min-digits: 4}\r# pin: {min-digits: 7}\nrules: [{group: "", factor: badge}]\n' >"$work/hidden.yaml"
check "nor a policy with what a terminal writes over" refused 'shows as it is written' as alice proposal make policy --file "$work/hidden.yaml"
check "nor an action with what moves the cursor" refused 'shows as it is written' as alice proposal make $'stock-lose badge 5; \e[1A\e[2Kbadge 7; lost'
check "nor a ceremony with what would be cut within a character" refused 'ceremony: init' as alice proposal make "ceremony destroy ABCDEF012345 to-be-cut-in-a-chéé"
check "alice proposes a policy" make alice policy --file "$work/new.yaml"
sql "UPDATE proposal SET text = replace(text, 'action policy', 'action policy' || char(27) || '[2J')"
check "a server that shows otherwise than it is written is found out" refused 'shows otherwise' approve alice
sql "UPDATE proposal SET text = replace(text, char(27) || '[2J', '')"
check "who reads the proposal sees the policy" shows 'min-digits: 7' api bert GET "/v1/proposals/$(cat "$work/number")"
check "alice approves: that is one" shows 'is open' approve alice
check "alice approves again: refused" refused 'approved it already' approve alice
check "an operator may not approve" refused 'not do that' approve olga
check "an auditor may not approve" refused 'not do that' approve dora
check "the old policy is in force" shows '"min_digits":5' api olga GET /v1/pin-key
sql "UPDATE setting SET value = CAST(replace(CAST(value AS TEXT), 'min-digits: 7', 'min-digits: 4') AS BLOB) WHERE name LIKE 'text:%'"
check "a text that was edited in the store is approved by nobody" refused 'store is damaged' approve bert
sql "UPDATE setting SET value = CAST(replace(CAST(value AS TEXT), 'min-digits: 4', 'min-digits: 7') AS BLOB) WHERE name LIKE 'text:%'"
check "bert approves: done" shows 'is done' approve bert
check "the new policy is in force at once" shows '"min_digits":7' api olga GET /v1/pin-key
check "it is in the journal" shows '"by":"proposal"' entries policy
stop
sql "UPDATE setting SET value = (SELECT substr(name, 6) FROM setting WHERE name LIKE 'text:%' AND CAST(value AS TEXT) LIKE '%min-digits: 5%') WHERE name = 'policy'"
check "the name of an older policy in the store: the token knows better" start
check "the approved one is in force" shows '"min_digits":7' api olga GET /v1/pin-key
check "and the journal says whose word counted" shows '"by":"token"' entries policy
stop
cp "$home/store.db" "$work/before.db" # as the token knows it: an older one would be a rollback
sql "UPDATE setting SET value = CAST(value || '# ' AS BLOB) WHERE name LIKE 'text:%' AND CAST(value AS TEXT) LIKE '%min-digits: 7%'"
check "a policy that was edited in the store: the server does not start" refused 'store is damaged' start
cp "$work/before.db" "$home/store.db"
rm -f "$home/store.db-wal" "$home/store.db-shm"
check "put right, it starts" start

# --- at the same moment
moment() { # two last approvals and, a little later each time, a rejection: one thing happens, once
    local n carried rejected one two ms
    for ms in {10..150..10}; do
        make alice policy --file "$work/new.yaml" && approve alice || return 1
        n=$(cat "$work/number")
        approve bert >/dev/null 2>&1 &
        one=$!
        approve carl >/dev/null 2>&1 &
        two=$!
        sleep "$(printf '0.%03d' "$ms")"
        rejected=$(api alice POST "/v1/proposals/$n/reject" '{}' | grep -c '"state":"rejected"')
        wait "$one" "$two"
        carried=$(entries carry-out | grep -c "\"proposal\":${n}[,}]")
        echo "after $ms ms: rejected $rejected, carried out $carried"
        [ $((rejected + carried)) = 1 ] || return 1
    done
}
check "two last approvals and a rejection at the same moment: one thing happens, once" moment

# --- who approves
rotates() { desk_given ceremony rotate "$1"; }
desk_given() { "$TESSERE" --home "$home" "$@" --confirmed-by xavier,yves <"$work/shares"; }
for act in "ceremony rotate auth" "ceremony restore" "ceremony share --custodians a,b" "ceremony export auth --block $work/out.block" "ceremony import auth --kcv 000000" "ceremony give library --type aes"; do
    # shellcheck disable=SC2086
    check "shares alone do not allow: $act" alone desk_given $act
done
check "a ceremony that is none cannot be proposed" refused 'init, share, restore' as alice proposal make "ceremony everything"
check "a rotation with a backup is proposed" make alice "ceremony rotate read"
check "exactly: of which key" shows 'argument rotate read 2' api bert GET "/v1/proposals/$(cat "$work/number")"
check "it is approved" by_both alice bert
check "it allows no other role" alone rotates auth
check "and no restoration" alone desk_given ceremony restore
check "another one is proposed" make alice "ceremony rotate write"
check "and approved, which takes nothing from the older one" by_both alice bert
check "with the custodians' shares it is held" shows 'generation 2' rotates read
check "once: for the next generation another one is needed" alone rotates read
check "the journal holds it" shows '"what":"rotate"' entries ceremony

# --- a key of another system
component() { # HEX: with its check value, which is zeros enciphered
    echo "$1 $(head -c 16 /dev/zero | openssl enc -aes-128-ecb -nopad -K "$1" | head -c 3 | xxd -p)"
}
{ cat "$work/shares"; component 00112233445566778899AABBCCDDEEFF; component 5A0102030405060708090A0B0C0D0E0F; } >"$work/components"
gives() { "$TESSERE" --home "$home" ceremony give "$1" --type aes --confirmed-by xavier,yves <"$work/components"; }
check "a key of another system is proposed by its name" make alice "ceremony give library"
check "that is approved" by_both alice bert
check "it allows no other name" alone gives canteen
check "with shares and components it is given" shows 'done' gives library
check "the journal tells its name" shows '"key":"library aes' entries ceremony
check "one person does not forget it" alone desk fleet key forget library --yes
check "what is not there is not proposed to be forgotten" refused 'is called canteen' as alice proposal make "forget-key canteen"
check "forgetting it is proposed" make alice "forget-key library"
check "and done by two" by_both alice bert
check "it is forgotten" shows 'library .* forgotten' desk fleet key list

check "one person adds no administrator at the desk" alone desk person add mallory --roles administrator --out "$work/mallory"
check "and no key was made for him" test ! -e "$work/mallory.key"
check "nor a custodian" alone desk person add mallory --roles custodian --out "$work/mallory"
check "nor an administrator among other roles" alone desk person add mallory --roles operator,administrator --out "$work/mallory"
check "an operator is no approver, and can be added" desk person add oscar --roles operator --out "$work/oscar"
check "no route adds anybody" shows '"code":"method"' api alice POST /v1/people '{"name":"mallory","roles":"administrator"}'
check "one administrator does not suspend another" shows '"code":"quorum"' api alice POST /v1/people/2/suspend '{}'
check "nor a custodian" shows '"code":"quorum"' api alice POST /v1/people/3/suspend '{}'
check "nor reinstates one" shows '"code":"quorum"' api alice POST /v1/people/2/reinstate '{}'
check "nor with a key for repeated requests" shows '"code":"quorum"' curl -sS --cacert "$home/pki/ca.pem" --cert "$work/alice.pem" --key "$work/alice.key" -H 'Idempotency-Key: k1' -H 'Content-Type: application/json' -d '{}' "$url/v1/people/2/suspend"
check "an operator can be suspended by one" shows '"state":"suspended"' api alice POST /v1/people/5/suspend '{}'
check "and reinstated" shows '"state":"active"' api alice POST /v1/people/5/reinstate '{}'
check "a certificate for eve, which gives no right" desk person certificate eve --out "$work/eve"
check "none at all" shows '"code":"certificate-unknown"' api eve GET /v1/people
check "alice proposes eve" make alice "person-add administrator,operator eve" --file "$work/eve.pem"
check "twice the same person's signature is not two" refused 'approved it already' by_both alice alice
check "bert approves: done" shows 'is done' approve bert
check "eve may administer" shows '"name":"eve"' api eve GET /v1/people
check "eve is not in the roster yet" make eve export
check "so eve approves nothing" refused 'not in the roster' approve eve
check "the roster is proposed" make bert "roster"
check "who reads it sees eve" shows 'approver eve' api carl GET "/v1/proposals/$(cat "$work/number")"
check "both approve" by_both alice bert
check "eve proposes bert's suspension" make eve "person-suspend bert"
kept=$(cat "$work/number")
check "bert signs something else meanwhile" make bert "retire read 1"
check "bert's signature" approve bert
retire=$(cat "$work/number")
echo "$kept" >"$work/number"
check "alice and eve suspend bert" by_both alice eve
check "bert is refused from the next message" shows '"code":"person-suspended"' api bert GET /v1/people
echo "$retire" >"$work/number"
check "bert's signature no longer counts" shows 'is open' approve alice
check "the key is still in use" shows 'auth *1 *in use' desk key list
check "a roster of those who are left: alice, carl, eve" make alice "roster 3"
check "two approve" by_both alice carl
echo "$retire" >"$work/number"
check "what was signed for the old roster is void" refused 'another roster' approve eve
check "now two are too few" make alice "person-end bert"
check "two approvals: open" bash -c "$(declare -f as approve); work='$work' home='$home' url='$url'; approve alice && approve carl | grep -q 'is open'"
check "the third: done" shows 'is done' approve eve
check "bert has ended" shows 'bert *ended' desk person list
check "nobody of the three can be suspended: nothing could be approved any more" refused 'too few approvals' as alice proposal make "person-suspend carl"

# --- the journal and the keys
check "the journal is not taken out by one" alone desk journal export "$work/tiles"
check "no file of it was written" test ! -e "$work/tiles"
check "nobody is forgotten by one" alone desk journal erase 10001234567 --yes
check "no master key is made by one" alone desk key rotate auth --yes
check "carl proposes the export" make carl export
most=$(sed -n 's/^argument \([0-9]*\) entries/\1/p' "$work/proposed")
check "one approval" approve carl
check "is not enough" alone desk journal export "$work/tiles"
check "the others approve" by_both alice eve
check "the journal is taken out" shows "^$most entries" desk journal export "$work/tiles"
check "no further than it was proposed" grep -qx "$most" "$work/tiles/checkpoint"
check "the export is in the journal" shows "\"proposal\":$(cat "$work/number")" entries export
check "a holder who is none cannot be proposed" refused 'no such' as alice proposal make "erase 10001234567"
check "alice proposes a new key" make alice "rotate auth"
check "the first" shows 'is open' approve alice
check "the second" shows 'is open' approve carl
check "the third: done" shows 'is done' approve eve
check "generation 2 is in use" shows 'auth *2 *in use' desk key list
check "the server lives" shows 'ready' api alice GET /v1/readyz
stop
check "the journal verifies, receipts and all" desk journal verify
finish
