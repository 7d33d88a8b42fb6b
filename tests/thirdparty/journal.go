// The journal judged by the Go project's own implementation of the formats (golang.org/x/mod):
// the checkpoint's signature, every entry's hash, the tree that they make, and proofs as printed.
//
//	journal.go DIR KEY PROOF...: DIR as `tessere journal export` writes it, KEY as it publishes it,
//	PROOF as `tessere journal prove` prints it
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = h[at]
	}
	return out, nil
}

func must(err error) {
	if err != nil {
		fmt.Println("not ok - " + err.Error())
		os.Exit(1)
	}
}

func read(dir, kind string, index int64, width int64) []byte {
	name := fmt.Sprintf("%03d", index%1000)
	for v := index / 1000; v > 0; v /= 1000 {
		name = fmt.Sprintf("x%03d/%s", v%1000, name)
	}
	if width < 256 {
		name += ".p/" + strconv.FormatInt(width, 10)
	}
	data, err := os.ReadFile(filepath.Join(dir, "tile", kind, name))
	must(err)
	return data
}

// C2SP tlog-proof, with the entry as its extra data.
func checkProof(file string, verifier note.Verifier) {
	data, err := os.ReadFile(file)
	must(err)
	part := strings.SplitN(string(data), "\n\n", 2)
	line := strings.Split(part[0], "\n")
	signed, err := note.Open([]byte(part[1]), note.VerifierList(verifier))
	must(err)
	body := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(body[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(body[2])
	must(err)
	if line[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(line[1], "extra ") || !strings.HasPrefix(line[2], "index ") {
		must(fmt.Errorf("%s: not a tlog-proof with extra data", file))
	}
	entry, err := base64.StdEncoding.DecodeString(line[1][6:])
	must(err)
	index, err := strconv.ParseInt(line[2][6:], 10, 64)
	must(err)
	var proof tlog.RecordProof
	for _, text := range line[3:] {
		hash, err := tlog.ParseHash(text)
		must(err)
		proof = append(proof, hash)
	}
	must(tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(entry)))
}

func main() {
	dir, key := os.Args[1], os.Args[2]
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	must(err)
	verifier, err := note.NewVerifier(key)
	must(err)
	signed, err := note.Open(text, note.VerifierList(verifier))
	must(err)
	fmt.Println("ok 1 - x/mod opens the checkpoint with the published key")
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)

	var stored hashes
	var leaves []tlog.Hash
	for n := int64(0); n < size; n += 256 {
		width := size - n
		if width > 256 {
			width = 256
		}
		bundle := read(dir, "entries", n/256, width)
		tile := read(dir, "0", n/256, width)
		for i := int64(0); i < width; i++ {
			length := int(binary.BigEndian.Uint16(bundle))
			entry := bundle[2 : 2+length]
			bundle = bundle[2+length:]
			leaf := tlog.RecordHash(entry)
			if string(leaf[:]) != string(tile[32*i:32*i+32]) {
				must(fmt.Errorf("tile and entry %d differ", n+i))
			}
			added, err := tlog.StoredHashes(n+i, entry, stored)
			must(err)
			stored = append(stored, added...)
			leaves = append(leaves, leaf)
		}
	}
	fmt.Printf("ok 2 - the hash tiles hold the hashes of all %d entries\n", size)
	tree, err := tlog.TreeHash(size, stored)
	must(err)
	if string(tree[:]) != string(root) {
		must(fmt.Errorf("the tree's root is not the checkpoint's"))
	}
	fmt.Println("ok 3 - x/mod's tree has the root that was signed")
	for i := int64(0); i < size; i++ {
		proof, err := tlog.ProveRecord(size, i, stored)
		must(err)
		must(tlog.CheckRecord(proof, size, tree, i, leaves[i]))
	}
	fmt.Println("ok 4 - every entry is included")
	for _, file := range os.Args[3:] {
		checkProof(file, verifier)
	}
	fmt.Printf("ok 5 - the %d proofs that were printed hold\n", len(os.Args)-3)
	fmt.Println("1..5")
}
