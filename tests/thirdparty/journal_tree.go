// Our tree, tiles, proofs and signatures judged by golang.org/x/mod, and x/mod's given to ours.
//
//	journal_tree.go DIR: DIR as `journal_tree write` made it; writes DIR/go for `journal_tree read`
package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var dir string
var ours note.Verifiers

func must(err error) {
	if err != nil {
		fmt.Println("not ok - " + err.Error())
		os.Exit(1)
	}
}

func check(ok bool, format string, a ...interface{}) {
	if !ok {
		must(fmt.Errorf(format, a...))
	}
}

func load(name string) []byte {
	data, err := os.ReadFile(filepath.Join(dir, name))
	must(err)
	return data
}

// A cosigner, by C2SP tlog-cosignature: x/mod knows no such key of its own, and takes ours.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	time := binary.BigEndian.Uint64(sig)
	signed := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", time)), msg...)
	return time == 1795464000 && ed25519.Verify(c.key, signed, sig[8:])
}

func newCosigner(vkey string) cosigner {
	part := strings.SplitN(vkey, "+", 3)
	hash, err := hex.DecodeString(part[1])
	must(err)
	key, err := base64.StdEncoding.DecodeString(part[2])
	must(err)
	check(len(key) == 33 && key[0] == 4, "the witness's key is of another kind")
	return cosigner{part[0], binary.BigEndian.Uint32(hash), key[1:]}
}

// Opens a checkpoint, which both the log and the witness must have signed.
func open(text []byte) tlog.Tree {
	n, err := note.Open(text, ours)
	must(err)
	check(len(n.Sigs) == 2, "%d known signatures", len(n.Sigs))
	line := strings.Split(n.Text, "\n")
	size, err := strconv.ParseInt(line[1], 10, 64)
	must(err)
	hash, err := tlog.ParseHash(line[2])
	must(err)
	return tlog.Tree{N: size, Hash: hash}
}

// Parts a proof into its first lines, hashes and checkpoint.
func parse(text []byte) (head map[string]string, hashes []tlog.Hash, checkpoint []byte) {
	head = map[string]string{}
	at := bytes.Index(text, []byte("\n\n"))
	check(at > 0, "a proof without an empty line")
	for _, line := range strings.Split(string(text[:at]), "\n") {
		if word := strings.SplitN(line, " ", 2); len(word) == 2 {
			head[word[0]] = word[1]
			continue
		}
		if line == "c2sp.org/tlog-proof@v1" {
			continue
		}
		hash, err := tlog.ParseHash(line)
		must(err)
		hashes = append(hashes, hash)
	}
	return head, hashes, text[at+2:]
}

func checkProofs() (inclusions, growths int) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.tlog-proof"))
	must(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(err)
		head, hashes, checkpoint := parse(text)
		tree := open(checkpoint)
		index, err := strconv.ParseInt(head["index"], 10, 64)
		must(err)
		entry, err := base64.StdEncoding.DecodeString(head["extra"])
		must(err)
		must(tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(entry)))
		check(tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash(nil)) != nil,
			"%s holds for anything", file)
		inclusions++
	}
	files, err = filepath.Glob(filepath.Join(dir, "*", "from-*"))
	must(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(err)
		head, hashes, checkpoint := parse(text)
		tree := open(checkpoint)
		old := open(load(filepath.Join(head["old"], "checkpoint")))
		must(tlog.CheckTree(hashes, tree.N, tree.Hash, old.N, old.Hash))
		growths++
	}
	return
}

// Reads our tiles where x/mod's own paths, without the height in them, say that they are.
type tiles struct{ read map[string]bool }

func (t tiles) Height() int                         { return 8 }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (t tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range list {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data := load(path)
		if len(data) != tile.W*tlog.HashSize {
			return nil, errors.New(path + " has another width")
		}
		t.read[path] = true
		out = append(out, data)
	}
	return out, nil
}

// Every tile that x/mod wants for the tree is there, holds what it wants, and no other is there.
func checkTiles(tree tlog.Tree) (count int, entries [][]byte) {
	t := tiles{map[string]bool{}}
	reader := tlog.TileHashReader(tree, t)
	wanted := map[string]bool{}
	for _, tile := range tlog.NewTiles(8, 0, tree.N) {
		if tile.W < 256 && int64(tile.W) != tree.N>>(8*tile.L)&255 {
			continue // x/mod lists the partial tiles of all smaller trees too
		}
		data, err := tlog.ReadTileData(tile, reader)
		must(err)
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		check(bytes.Equal(data, load(path)), "%s differs", path)
		wanted[path] = true
	}
	for n := int64(0); int64(len(entries)) < tree.N; n++ {
		width := tree.N - n*256
		if width > 256 {
			width = 256
		}
		path := "tile/" + strings.TrimPrefix(tlog.Tile{H: 8, L: -1, N: n, W: int(width)}.Path(), "tile/8/")
		path = strings.Replace(path, "tile/data/", "tile/entries/", 1)
		wanted[path] = true
		bundle := load(path)
		for i := int64(0); i < width; i++ {
			length := int(binary.BigEndian.Uint16(bundle))
			entries = append(entries, bundle[2:2+length])
			bundle = bundle[2+length:]
		}
		check(len(bundle) == 0, "%s is too long", path)
	}
	must(filepath.Walk(filepath.Join(dir, "tile"), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		check(wanted[name], "%s is no tile of this tree", name)
		count++
		return err
	}))
	check(count == len(wanted), "%d tiles of %d", count, len(wanted))
	return count, entries
}

type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = s[at]
	}
	return out, nil
}

func save(name string, data []byte) {
	must(os.MkdirAll(filepath.Join(dir, "go"), 0777))
	must(os.WriteFile(filepath.Join(dir, "go", name), data, 0666))
}

// The same entries, as x/mod stores, signs and proves them.
func proveToUs(entries [][]byte) {
	const name = "go.example/journal"
	private, public, err := note.GenerateKey(zeros{}, name)
	must(err)
	signer, err := note.NewSigner(private)
	must(err)
	save("key", []byte(public))
	var all stored
	for i, entry := range entries {
		added, err := tlog.StoredHashes(int64(i), entry, all)
		must(err)
		all = append(all, added...)
	}
	sign := func(size int64) []byte {
		root, err := tlog.TreeHash(size, all)
		must(err)
		text, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", name, size, root)}, signer)
		must(err)
		return text
	}
	lines := func(hashes []tlog.Hash) (out string) {
		for _, hash := range hashes {
			out += hash.String() + "\n"
		}
		return out + "\n"
	}
	sizes := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 255, 256, 257, 4097, int64(len(entries))}
	for _, size := range sizes {
		checkpoint := sign(size)
		save(fmt.Sprint(size), checkpoint)
		for _, i := range []int64{0, size / 2, size - 1} {
			proof, err := tlog.ProveRecord(size, i, all)
			must(err)
			save(fmt.Sprintf("%d-%d.tlog-proof", i, size), []byte(fmt.Sprintf(
				"c2sp.org/tlog-proof@v1\nextra %s\nindex %d\n%s%s", base64.StdEncoding.EncodeToString(entries[i]),
				i, lines(proof), checkpoint)))
		}
		for _, old := range sizes {
			if old > size {
				continue
			}
			proof, err := tlog.ProveTree(size, old, all)
			must(err)
			save(fmt.Sprintf("%d-%d.growth", old, size), []byte(fmt.Sprintf("old %d\n%s%s", old, lines(proof), checkpoint)))
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func main() {
	dir = os.Args[1]
	fmt.Println("1..9")
	log, err := note.NewVerifier(string(load("key")))
	must(err)
	fmt.Println("ok 1 - x/mod reads our key")
	ours = note.VerifierList(log, newCosigner(string(load("witness-key"))))
	tree := open(load("70000/checkpoint"))
	fmt.Println("ok 2 - x/mod opens our checkpoint, signed by the log and by the witness")
	bad := bytes.Replace(load("70000/checkpoint"), []byte("70000"), []byte("70001"), 1)
	_, err = note.Open(bad, ours)
	check(err != nil, "a changed checkpoint opens")
	fmt.Println("ok 3 - and not when it was changed")
	inclusions, growths := checkProofs()
	check(inclusions > 300 && growths > 300, "%d and %d proofs", inclusions, growths)
	fmt.Printf("ok 4 - our %d inclusion proofs hold in x/mod, each for its entry only\n", inclusions)
	fmt.Printf("ok 5 - our %d consistency proofs hold in x/mod\n", growths)
	count, entries := checkTiles(tree)
	fmt.Printf("ok 6 - x/mod's tile reader accepts our %d tiles and bundles, at their paths\n", count)
	for i, entry := range entries {
		leaf := tlog.RecordHash(entry)
		tile := load("tile/" + strings.TrimPrefix(tileOf(int64(i), tree.N).Path(), "tile/8/"))
		check(bytes.Equal(tile[i%256*32:i%256*32+32], leaf[:]), "entry %d is not the one in the tile", i)
	}
	proveToUs(entries)
	fmt.Printf("ok 7 - the %d entries are those whose hashes the tiles hold\n", len(entries))
}

func tileOf(i, size int64) tlog.Tile {
	width := size - i/256*256
	if width > 256 {
		width = 256
	}
	return tlog.Tile{H: 8, L: 0, N: i / 256, W: int(width)}
}
