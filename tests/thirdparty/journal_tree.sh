#!/usr/bin/env bash
# Trees, tiles, proofs and signatures of ours before Go's x/mod, and x/mod's before ours.
#   journal_tree.sh JOURNAL_TREE
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/cache" GOFLAGS="" HOME="$work"
"$1" write "$work/log"
go run "$here/journal_tree.go" "$work/log"
"$1" read "$work/log"
