package corpus

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shardBytes writes a shard of some documents, each a list of sentences.
func shardBytes(t testing.TB, vocab int, docs ...[][]int32) []byte {
	t.Helper()
	head, err := headOf(&Meta{Numerics: 1, VocabSize: vocab, TokenizerSHA256: strings.Repeat("ab", 32), Settings: Settings{Cleanup: "albert,cased"}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := newShardWriter(&b, head)
	for _, d := range docs {
		var pieces, ends []int32
		for _, s := range d {
			pieces = append(pieces, s...)
			ends = append(ends, int32(len(pieces)))
		}
		if err := w.add(pieces, ends); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func parse(data []byte) (*shard, error) { return parseShard(data, bytes.NewReader(data)) }

// sum makes the checksums of a shard's bytes right again.
func sum(data []byte) []byte {
	blocks := (len(data) + blockBytes + 3) / (blockBytes + 4)
	body := len(data) - 4*blocks
	for i := range blocks {
		binary.LittleEndian.PutUint32(data[body+4*i:], crc32.Checksum(data[i*blockBytes:min(body, (i+1)*blockBytes)], castagnoli))
	}
	return data
}

// No bit of a shard can flip unnoticed.
func TestShardBitFlips(t *testing.T) {
	data := shardBytes(t, 100, [][]int32{{1, 2, 3}, {4}}, [][]int32{{99}})
	if s, err := parse(data); err != nil || s.documents != 2 || s.cleanup != "albert,cased" || s.numerics != 1 || s.vocab != 100 {
		t.Fatalf("%+v, %v", s, err)
	}
	for bit := range 8 * len(data) {
		flipped := slices.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		if _, err := parse(flipped); err == nil {
			t.Errorf("bit %d of byte %d", bit%8, bit/8)
		}
	}
	for n := range len(data) {
		if _, err := parse(data[:n]); err == nil {
			t.Errorf("the first %d bytes of %d", n, len(data))
		}
	}
}

// Nor is a shard believed whose checksums are right but whose indices are not.
func TestShardForged(t *testing.T) {
	data := shardBytes(t, 100, [][]int32{{1, 2, 3}, {4}}, [][]int32{{99}})
	at := map[string]int{"width": 16, "vocabulary": 20, "piece": headBytes + 2*2, "first end": headBytes + 16, "last end": headBytes + 16 + 8,
		"first sentence": headBytes + 32, "second document": headBytes + 32 + 8, "first piece": headBytes + 32 + 24, "pieces of the second": headBytes + 32 + 32,
		"documents": len(data) - 4 - 24, "sentences": len(data) - 4 - 16, "pieces": len(data) - 4 - 8}
	for name, i := range at {
		for _, v := range []byte{0, 3, 5, 100, 255} {
			forged := slices.Clone(data)
			if forged[i] == v {
				continue
			}
			forged[i] = v
			_, err := parse(sum(forged))
			// Some changes give another shard that is as good.
			if name == "piece" && v < 100 || name == "vocabulary" && v >= 100 || name == "first end" && v == 3 {
				if err != nil {
					t.Errorf("%s %d: %v", name, v, err)
				}
				continue
			}
			if err == nil {
				t.Errorf("%s %d is believed", name, v)
			}
		}
	}
}

// An error names the file and the place, for all that can be wrong in a directory of shards.
func TestOpenShardsErrors(t *testing.T) {
	text := write(t, "a.txt", novel(2000, 20))
	made := options(t, text)
	made.ShardPieces = 1 << 20
	prepare(t, made)
	content := map[string][]byte{}
	for name := range files(t, made.Output) {
		data, err := os.ReadFile(filepath.Join(made.Output, name))
		if err != nil {
			t.Fatal(err)
		}
		content[name] = data
	}
	shard := content[shardName(0)]
	if len(shard) < blockBytes {
		t.Fatalf("a shard of %d bytes has one block", len(shard))
	}
	flipped := slices.Clone(shard)
	flipped[blockBytes+5] ^= 4
	old := slices.Clone(shard)
	old[8] = 1
	for _, c := range []struct {
		name, file string
		data       []byte // nil: removed
		want       string
	}{
		{"flipped bit", shardName(0), flipped, "bytes 1048576 to "},
		{"truncated", shardName(0), shard[:len(shard)/2], "cut short"},
		{"longer", shardName(0), append(slices.Clone(shard), 0), "cut short or damaged"},
		{"empty", shardName(0), []byte{}, "cut short"},
		{"missing", shardName(0), nil, "no such file"},
		{"older", shardName(0), old, "version 1; this program reads version 2"},
		{"another shard", shardName(0), shardBytes(t, 100, [][]int32{{1}}), "says"},
		{"tokenizer", "words.model", []byte("999"), "not the file that the shards were made with"},
		{"tokenizer missing", "config.json", nil, "no such file"},
		{"meta", metaFile, content[metaFile][:100], "unexpected end"},
		{"meta of other text", metaFile, bytes.Replace(content[metaFile], []byte(`"pieces": `), []byte(`"pieces": 1`), 1), metaFile},
		{"meta with a path", metaFile, bytes.Replace(content[metaFile], []byte(shardName(0)), []byte("../"+shardName(0)), 1), "not a file of this directory"},
		{"meta with another tokenizer", metaFile, bytes.Replace(content[metaFile], []byte(`"tokenizer_sha256": "`), []byte(`"tokenizer_sha256": "0`), 1), "SHA-256"},
		{"meta with another clean-up", metaFile, bytes.Replace(content[metaFile], []byte(`"albert"`), []byte(`"none"`), 1), "clean-up albert"},
		{"no meta", metaFile, nil, "no shards there"},
	} {
		dir := t.TempDir()
		for name, data := range content {
			if name == c.file {
				if data = c.data; data == nil {
					continue
				}
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		s, err := OpenShards(dir)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

// Whatever the bytes, a shard is refused or can be read from end to end.
func FuzzShard(f *testing.F) {
	f.Add(shardBytes(f, 100, [][]int32{{1, 2, 3}, {4}}, [][]int32{{99}}))
	f.Add(shardBytes(f, 1<<20, [][]int32{{1, 1 << 19}}, [][]int32{{5}, {6}}))
	f.Add(shardBytes(f, 5))
	f.Fuzz(func(t *testing.T, data []byte) {
		for range 2 {
			if s, err := parse(data); err == nil {
				sentences, pieces := 0, 0
				for d := range s.documents {
					ends := s.endsOf(d, nil)
					n := int(ends[len(ends)-1])
					for _, id := range s.piecesOf(d, 0, n, nil) {
						if id < 0 || int(id) >= s.vocab {
							t.Errorf("piece %d of %d", id, s.vocab)
						}
					}
					sentences += len(ends)
					pieces += n
				}
				if sentences != s.sentences || pieces != s.pieces {
					t.Errorf("%d sentences, %d pieces, said to be %d and %d", sentences, pieces, s.sentences, s.pieces)
				}
			}
			if len(data) < headBytes+tailBytes+4 {
				return
			}
			data = sum(slices.Clone(data)) // past the checksums
		}
	})
}
