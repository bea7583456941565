package tokenizer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// jsonOptions are the options by the names of the golden files.
var jsonOptions = map[string]Options{
	"default":      DefaultOptions,
	"keep_accents": {Cleanup: CleanupAlbert, Lower: true, KeepAccents: true, RemoveSpace: true},
	"cased":        {Cleanup: CleanupAlbert, RemoveSpace: true},
}

func TestTokenizerJSONIsThatOfTransformers(t *testing.T) {
	for name, o := range jsonOptions {
		text, err := newGolden(t, "albert", o).JSON()
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		for _, step := range got["normalizer"].(map[string]any)["normalizers"].([]any) {
			if s := step.(map[string]any); s["type"] == "Precompiled" {
				s["precompiled_charsmap"] = ""
			}
		}
		golden, err := os.ReadFile(filepath.Join("testdata", "tokenizer-"+name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(golden, &want); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got)\n%s", name, d)
		}
	}
}

func TestTokenizerJSONComesBack(t *testing.T) {
	for _, name := range []string{"albert", "spiece", "bytes"} {
		for _, o := range []Options{DefaultOptions, jsonOptions["cased"], {Cleanup: CleanupNone, KeepAccents: true, RemoveSpace: true}} {
			t.Run(fmt.Sprint(name, o), func(t *testing.T) {
				if name == "bytes" && o.Cleanup != CleanupNone {
					t.Skip("one option is enough")
				}
				data := []byte(nil)
				if name == "spiece" {
					data = spiece(t)
				} else {
					data = goldenModel(t, name)
				}
				tok, err := New(data, o)
				if err != nil {
					t.Fatal(err)
				}
				text, err := tok.JSON()
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, JSONFile), text, 0o600); err != nil {
					t.Fatal(err)
				}
				again, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				if again.Options != o {
					t.Errorf("%+v came back as %+v", o, again.Options)
				}
				if [...]int32{again.PAD, again.UNK, again.CLS, again.SEP, again.MASK} != [...]int32{tok.PAD, tok.UNK, tok.CLS, tok.SEP, tok.MASK} {
					t.Error("other special pieces")
				}
				for id, p := range tok.Model().Pieces {
					q := again.Model().Pieces[id]
					if p.Text != q.Text || p.Score != q.Score || p.Type != q.Type {
						t.Fatalf("piece %d: %+v came back as %+v", id, p, q)
					}
				}
				second, err := again.JSON()
				if err != nil || string(second) != string(text) {
					t.Errorf("written again it differs: %v", err)
				}
				for _, row := range rows[goldenText](t, "hf-default.jsonl") {
					if a, b := tok.EncodeWithOffsets(row.Text), again.EncodeWithOffsets(row.Text); !slices.Equal(a, b) {
						t.Errorf("%q: %v, from tokenizer.json %v", row.Text, a, b)
					}
				}
				// It can be written as a model again.
				other := t.TempDir()
				if err := again.WriteDir(other); err != nil {
					t.Fatal(err)
				}
				if third, err := Open(other); err != nil || third.SHA256() != again.SHA256() || third.Cleanup != o.Cleanup || o.Cleanup == CleanupAlbert && third.Options != o {
					t.Error(third, err)
				}
			})
		}
	}
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}

func TestWhatTokenizerJSONCannotSay(t *testing.T) {
	tok := newGolden(t, "suffix", DefaultOptions)
	if _, err := tok.JSON(); err == nil {
		t.Error("a model with the space sign after words is written as tokenizer.json")
	}
	dir := t.TempDir()
	if err := tok.WriteDir(dir); err != nil || isFile(filepath.Join(dir, JSONFile)) || !isFile(filepath.Join(dir, ModelFile)) {
		t.Error(err)
	}
}

// smallJSON is a tokenizer.json as the older published ones are.
const smallJSON = `{"version": "1.0", "added_tokens": [{"id": 0, "content": "<pad>", "special": true}, {"id": 4, "content": "<ent>", "special": true}],
"normalizer": {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "''"}, "content": "\""}, {"type": "Sequence", "normalizers": [{"type": "Lowercase"}]}]},
"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "add_prefix_space": true}]},
"model": {"unk_id": 1, "vocab": [["<pad>", 0.0], ["<unk>", 0.0], ["▁a", -1], ["9,", -104.5]]}}`

func TestTokenizerJSONOfOthers(t *testing.T) {
	tok, err := FromJSON([]byte(smallJSON))
	if err != nil {
		t.Fatal(err)
	}
	want := Options{Cleanup: CleanupAlbert, Lower: true, KeepAccents: true, RemoveSpace: true}
	if tok.Options != want || tok.PAD != 0 || tok.UNK != 1 || tok.CLS != -1 || tok.VocabSize() != 5 || !tok.IsSpecial(4) {
		t.Errorf("%+v", tok)
	}
	if p := tok.Model().Pieces[3]; p.Score != -4.5 {
		t.Errorf("the score of a piece with digit and comma is not restored: %+v", p)
	}
	if ids := tok.Encode("A  a x"); !slices.Equal(ids, []int32{2, 2, 1}) {
		t.Error(ids)
	}
	for change, want := range map[string]string{
		`"unk_id": 1 -> "unk_id": 9`:                   "model.unk_id is 9",
		`"unk_id": 1 -> "type": "BPE"`:                 "model.type is BPE",
		`"unk_id": 1 -> "type": "WordLevel"`:           "model.type is WordLevel: only Unigram and WordPiece",
		`"unk_id": 1, -> "merges": [],`:                "model.type is BPE",
		`"vocab": [ -> "nothing": [`:                   "model.type is missing",
		`["▁a", -1] -> ["▁a"]`:                         `["▁a"] is no pair`,
		`["▁a", -1] -> ["▁a", "b"]`:                    `"▁a"`,
		`["▁a", -1] -> ["▁a", 1e99]`:                   "piece 2",
		`["▁a", -1] -> ["9,", -1]`:                     "appears twice",
		`"id": 4 -> "id": 7`:                           `"<ent>" has the id 7`,
		`"id": 0 -> "id": 2`:                           `"<pad>" has the id 2, which is "▁a"'s`,
		`"Lowercase" -> "NFC"`:                         "normalizer: step 2, NFC",
		`"Lowercase" -> "NFKD"`:                        "StripAccents",
		`"type": "Lowercase" -> "type": "Precompiled"`: "charsmap",
		`"type": "Lowercase" -> "type": "Precompiled", "precompiled_charsmap": "AAAA"`:                       "charsmap",
		`"String": "''" -> "String": "x"`:                                                                    "step 1, Replace",
		`WhitespaceSplit -> ByteLevel`:                                                                       "pre_tokenizer: step 1, ByteLevel",
		`"replacement": "▁" -> "replacement": "_"`:                                                           `"_"`,
		`{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true} -> {"type": "WhitespaceSplit"}`: "no Metaspace",
		`"version" -> version`:                                                                               "invalid character",
	} {
		old, now, _ := strings.Cut(change, " -> ")
		bad := strings.Replace(smallJSON, old, now, 1)
		if bad == smallJSON {
			t.Fatal(change)
		}
		if _, err := FromJSON([]byte(bad)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", change, err)
		}
	}
	file := filepath.Join(t.TempDir(), JSONFile)
	if err := os.WriteFile(file, []byte(`{"model": {"type": "BPE"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.HasPrefix(err.Error(), file+": ") || !strings.Contains(err.Error(), "model.type is BPE") {
		t.Error(err)
	}
}

func FuzzTokenizerJSON(f *testing.F) {
	f.Add([]byte(smallJSON))
	f.Add([]byte(`{"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "model": {"type": "WordPiece", "vocab": {"[UNK]": 1, "a": 0}}}`))
	golden, err := os.ReadFile(filepath.Join("testdata", "tokenizer-default.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := FromJSON(data)
		if err != nil {
			return
		}
		x := tok.Cut("The [MASK] café,\t2,000, \xff漢字 " + tok.Piece(int32(tok.VocabSize()-1)))
		tok.Decode(x.IDs)
		text, err := tok.JSON()
		if err != nil {
			return
		}
		again, err := FromJSON(text)
		if err != nil {
			t.Fatalf("what was read and written cannot be read again: %v\n%s", err, text)
		}
		if again.VocabSize() != tok.VocabSize() {
			t.Fatalf("%d pieces, then %d", tok.VocabSize(), again.VocabSize())
		}
	})
}
