#!/usr/bin/env bash
# A journal of many entries, exported, and judged by Go's x/mod.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tessere=$1
"$tessere" --home "$work/home" init --finess 750712184 >/dev/null
for ((i = 0; i < 300; i++)); do
    printf "INSERT INTO badge (uid, state, holder_ref, holder_name, profile_id, profile_revision, ev, generations, reason, created_at, changed_at, tapped_at) VALUES (x'%014x', 1, 'r%d', 'n', 'hospital', 1, 2, x'0101010101', '', 0, 0, 0);\n" "$((i + 1))" "$i"
done | sqlite3 "$work/home/store.db"
for ((i = 1; i <= 140; i++)); do
    "$tessere" --home "$work/home" badge suspend "$i" --reason lost >/dev/null
    "$tessere" --home "$work/home" badge revoke "$i" --reason lost >/dev/null
done
"$tessere" --home "$work/home" journal export "$work/tiles" >/dev/null
key=$("$tessere" --home "$work/home" --json journal checkpoint >/dev/null && "$tessere" --home "$work/home" --json journal key | sed -n 's/.*"key": "\(.*\)".*/\1/p')
for entry in 0 1 100 255 256; do
    "$tessere" --home "$work/home" journal prove "$entry" >"$work/$entry.tlog-proof"
done
export GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/cache" GOFLAGS="" HOME="$work"
go run "$here/journal.go" "$work/tiles" "$key" "$work"/*.tlog-proof
