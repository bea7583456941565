package tokenizer

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// withFiles is a directory with a vocabulary of testdata and other files.
func withFiles(t *testing.T, model string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile(filepath.Join("testdata", "added"+filepath.Ext(model)))
	if err != nil {
		t.Fatal(err)
	}
	files = maps.Clone(files)
	files[model] = string(data)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Added tokens are found as transformers' slow tokenizers find them, whichever file has them, and what is written has them again.
func TestAddedTokens(t *testing.T) {
	type goldenAdded struct {
		Model  string
		Files  map[string]string
		Pieces int
		Rows   []struct {
			Text, Decoded string
			IDs           []int32
		}
	}
	for i, g := range rows[goldenAdded](t, "added.jsonl") {
		tok, err := Open(withFiles(t, g.Model, g.Files))
		if err != nil {
			t.Fatalf("row %d: %v", i+1, err)
		}
		written := t.TempDir()
		if err := tok.WriteDir(written); err != nil {
			t.Fatal(err)
		}
		again, err := Open(written)
		if err != nil {
			t.Fatalf("row %d, written: %v", i+1, err)
		}
		if tok.VocabSize() != g.Pieces || again.VocabSize() != g.Pieces || tok.SHA256() != again.SHA256() || tok.IsDefault() {
			t.Errorf("row %d: %d pieces, written %d, want %d; %s, written %s", i+1, tok.VocabSize(), again.VocabSize(), g.Pieces, tok.SHA256(), again.SHA256())
		}
		for _, r := range g.Rows {
			if got := tok.Encode(r.Text); !slices.Equal(got, r.IDs) {
				t.Errorf("row %d: %q: %v, want %v (%v)", i+1, r.Text, got, r.IDs, g.Files)
			}
			if got := again.Encode(r.Text); !slices.Equal(got, r.IDs) {
				t.Errorf("row %d, written: %q: %v, want %v", i+1, r.Text, got, r.IDs)
			}
			if got := tok.Decode(r.IDs); got != r.Decoded {
				t.Errorf("row %d: decoded: %q, want %q", i+1, got, r.Decoded)
			}
			if cut := tok.Cut(r.Text); !slices.Equal(cut.IDs, r.IDs) {
				t.Errorf("row %d: %q cut: %v, want %v", i+1, r.Text, cut.IDs, r.IDs)
			}
		}
	}
}

const decoder = `{"added_tokens_decoder": {"120": {"content": "<e1>", "rstrip": true}, "121": {"content": "New", "special": false, "single_word": true}}}`

// A token that added_tokens.json alone has is found, beside those of added_tokens_decoder, whose entry holds where both have a token.
func TestAddedTokensOfTwoFiles(t *testing.T) {
	tok, err := Open(withFiles(t, ModelFile, map[string]string{ConfigFile: decoder, addedFile: `{"<e1>": 120, "<e2>": 122}`}))
	if err != nil {
		t.Fatal(err)
	}
	n := int32(tok.VocabSize())
	if ids := tok.Encode("a <e2> <e1>"); len(ids) < 3 || ids[len(ids)-1] != n-3 || ids[len(ids)-2] != n-1 {
		t.Errorf("%d of %d pieces", ids, n)
	}
}

// Tokens of tokenizer.json, alone, and without a clean-up.
func TestAddedTokensElsewhere(t *testing.T) {
	tok, err := Open(withFiles(t, ModelFile, map[string]string{ConfigFile: decoder}))
	if err != nil {
		t.Fatal(err)
	}
	n := int32(tok.VocabSize()) - 2
	plain, err := New(tok.data, DefaultOptions)
	if err != nil || plain.SHA256() == tok.SHA256() || int32(plain.VocabSize()) != n {
		t.Fatal(err, n)
	}
	text := "a <e1> \tb New, New"
	got := tok.EncodeWithOffsets(text)
	if len(got) < 4 || got[2] != (Token{n, 2, 6, "<e1>"}) || got[len(got)-1] != (Token{n + 1, 15, 18, "New"}) || tok.IsSpecial(n) {
		t.Errorf("%+v", got)
	}
	json, err := tok.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := FromJSON(json)
	if err != nil || !slices.Equal(again.EncodeWithOffsets(text), got) {
		t.Error(again, err)
	}
	none := tok.With(Options{Cleanup: CleanupNone})
	want := append(append(plain.With(none.Options).Encode("A "), n), plain.With(none.Options).Encode("B [MASK]")...)
	if ids := none.Encode("A <e1>B [MASK]"); !slices.Equal(ids, want) {
		t.Errorf("without clean-up: %v, want %v", ids, want)
	}
	if x := none.Cut("é <e1>"); len(x.IDs) == 0 || x.Offsets[len(x.Offsets)-1] != [2]int{2, 6} {
		t.Errorf("without clean-up: %+v", x)
	}
}

func TestAddedTokensThatCannotBe(t *testing.T) {
	for files, want := range map[string]string{
		strings.Replace(decoder, `"121"`, `"150"`, 1):                                         `added token "New" has the id 150 where there are 121 pieces`,
		strings.Replace(decoder, `"120"`, `"7"`, 1):                                           `added token "<e1>" has the id 7, which is`,
		strings.Replace(decoder, `"120"`, `"x"`, 1):                                           ConfigFile + `: added_tokens_decoder: "x": `,
		strings.Replace(decoder, `"<e1>"`, `7`, 1):                                            ConfigFile + `: added_tokens_decoder: "120": `,
		strings.Replace(decoder, `"<e1>"`, `""`, 1):                                           `added token 120: "" is no text`,
		strings.Replace(decoder, `"<e1>"`, `"[MASK]"`, 1):                                     `added token "[MASK]" has the id 120 and, in the vocabulary, 4`,
		strings.Replace(decoder, `"<e1>"`, `"New"`, 1):                                        `added token "New" has the id 121 and, in the vocabulary, 120`,
		strings.Replace(decoder, `{"content": "<e1>", "rstrip": true}`, `{"content": []}`, 1): ConfigFile,
	} {
		dir := withFiles(t, ModelFile, map[string]string{ConfigFile: files})
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), dir) {
			t.Errorf("%s: %v", files, err)
		}
	}
	for name, text := range map[string]string{addedFile: `{"<e1>": "7"}`, mapFile: `[]`, JSONFile: `{"added_tokens": 3}`} {
		if _, err := Open(withFiles(t, ModelFile, map[string]string{name: text})); err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzAddedTokens(f *testing.F) {
	f.Add(decoder, "a <e1> New")
	f.Add(`{"added_tokens_decoder": {"120": {"content": "ab", "lstrip": true, "single_word": true}, "121": {"content": "b"}}}`, "\xffa\tab?b bab")
	data, err := os.ReadFile(filepath.Join("testdata", "added.model"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, config, text string) {
		if !json.Valid([]byte(config)) {
			return
		}
		x, err := parseAdditions([]byte(config), func(string) ([]byte, error) { return nil, os.ErrNotExist })
		if err != nil {
			return
		}
		tok, err := newUnigram(data, DefaultOptions, x)
		if err != nil {
			return
		}
		cut := tok.Cut(text)
		if ids := tok.Encode(text); !slices.Equal(ids, cut.IDs) {
			t.Fatalf("%v, cut %v", ids, cut.IDs)
		}
		tok.Decode(cut.IDs)
		parsed, err := parseAdditions(tok.Files()[ConfigFile], func(string) ([]byte, error) { return nil, os.ErrNotExist })
		if err != nil {
			t.Fatal(err)
		}
		again, err := newUnigram(data, DefaultOptions, parsed)
		if err != nil || !slices.Equal(again.Encode(text), cut.IDs) {
			t.Fatalf("written: %v", err)
		}
	})
}
