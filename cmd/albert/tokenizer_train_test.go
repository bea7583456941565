package main

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/tokenizer"
)

// trainingText is lines enough for a small vocabulary.
func trainingText(lines int) string {
	words := strings.Fields("the reader writer opens closes returned returning networks network (small) file's large-scale packet counts 1905 naïve Tables table")
	var b strings.Builder
	n := uint32(1)
	for range lines {
		for range 8 {
			n = n*1664525 + 1013904223
			fmt.Fprintf(&b, "%s%s ", words[n>>16%uint32(len(words))], []string{"", "", ",", ".", "s"}[n>>8%5])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func trainedPieces(t *testing.T, prefix string) []string {
	t.Helper()
	tok, err := tokenizer.Open(prefix + ".model")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range tok.Model().Pieces {
		out = append(out, p.Text)
	}
	return out
}

// Dashes and underscores, values after a space and after =, booleans of each form, packed files and stdin: the same model.
func TestTokenizerTrainSpellings(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	text := trainingText(300)
	if err := os.WriteFile(in("a,b.txt"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(in("c.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var want []byte
	for i, args := range [][]string{
		{"--input", in("a,b.txt"), "--vocab-size", "70", "--threads", "1"},
		{in("c.gz"), "--vocab_size=70", "--num_threads=3", "--pad_id=0", "--unk_id", "1", "--bos_id", "-1", "--eos-id", "-1", "--bos-id=-1"},
		{"--vocab-size", "70", "--control_symbols=[CLS],[SEP],[MASK]", `--user-defined-symbols=(,),"""",-,.,–,£,€`, "--model_type", "unigram"},
		{in("c.gz"), "--vocab-size=70", "--shuffle_input_sentence=true", "--hard-vocab-limit", "--split-digits=false", "--no-byte-fallback", "--train_extremely_large_corpus=true"},
	} {
		prefix := in(fmt.Sprint("p", i))
		_, errs, status := runOutput(t, text, append([]string{"tokenizer", "train", "--quiet", "--model_prefix", prefix}, args...)...)
		if status != 0 || errs != "" {
			t.Fatalf("%q: status %d\n%s", args, status, errs)
		}
		got, err := os.ReadFile(prefix + ".model")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = got
		}
		if string(got) != string(want) {
			t.Errorf("%q: another model", args)
		}
	}
	vocab, err := os.ReadFile(in("p0.vocab"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(vocab), "\n"), "\n")
	for i, piece := range trainedPieces(t, in("p0")) {
		if text, score, ok := strings.Cut(lines[i], "\t"); !ok || text != piece || i < 13 && score != "0" || i > 13 && !strings.HasPrefix(score, "-") {
			t.Errorf("line %d of the vocabulary is %q, for %q", i+1, lines[i], piece)
		}
	}
}

func TestTokenizerTrainOptions(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text := trainingText(300)
	has := func(p string) func([]string) bool { return func(all []string) bool { return slices.Contains(all, p) } }
	none := func(chars string) func([]string) bool {
		return func(all []string) bool {
			return !slices.ContainsFunc(all[13:], func(p string) bool { return strings.ContainsAny(p, chars) })
		}
	}
	for _, c := range []struct {
		args []string
		ok   func([]string) bool
	}{
		{[]string{"--required_chars", "ü", "--required-chars-file", file("chars", "ö\nß\n")}, func(p []string) bool { return has("ü")(p) && has("ö")(p) && has("ß")(p) }},
		{[]string{"--control-symbols", "", "--control-symbols-file", file("control", "X,Y\nZ\n"), "--user-defined-symbols-file", file("user", "table\n")},
			func(p []string) bool { return p[2] == "X,Y" && p[3] == "Z" && slices.Index(p, "table") == 12 }},
		{[]string{"--user-defined-symbols", `"a,b","c""d",e`}, func(p []string) bool { return slices.Equal(p[5:8], []string{"a,b", `c"d`, "e"}) }},
		{[]string{"--cleanup", "albert"}, none("Tï")},
		{[]string{"--cleanup", "albert", "--cased", "--keep-accents"}, func(p []string) bool { return has("T")(p) && has("ï")(p) }},
		{[]string{"--normalization-rule-tsv", file("rules", "6E\t4E\n74 68\t\n")}, none("n")},
		{[]string{"--byte-fallback", "--vocab-size", "340"}, has("<0xFF>")},
		{[]string{"--unk-piece", "[UNK]", "--pad_piece=[PAD]", "--bos_id=2"}, func(p []string) bool { return p[0] == "[PAD]" && p[1] == "[UNK]" && p[2] == "<s>" }},
	} {
		prefix := filepath.Join(dir, "x")
		args := append([]string{"tokenizer", "train", "--quiet", "--model-prefix", prefix, "--vocab-size", "70", "--no-hard-vocab-limit"}, c.args...)
		if _, errs, status := runOutput(t, text, args...); status != 0 {
			t.Errorf("%q: status %d: %s", c.args, status, errs)
			continue
		}
		if all := trainedPieces(t, prefix); !c.ok(all) {
			t.Errorf("%q: pieces %q", c.args, all)
		}
	}
	if _, errs, status := runOutput(t, text+"broken \xff bytes \xfe\n"+strings.Repeat("a", 5000)+"\n", "tokenizer", "train", "--quiet", "--model-prefix", filepath.Join(dir, "y"),
		"--vocab-size", "70"); status != 0 || !strings.Contains(errs, "2 bytes were not UTF-8") || !strings.Contains(errs, "1 sentences longer than 4192") {
		t.Errorf("status %d: %s", status, errs)
	}
	if _, _, status := runOutput(t, text, "tokenizer", "train", "--quiet", "--model-prefix", filepath.Join(dir, "z"), "--vocab-size", "70", "--no-vocabulary-output-piece-score"); status != 0 {
		t.Errorf("status %d", status)
	}
	if vocab, err := os.ReadFile(filepath.Join(dir, "z.vocab")); err != nil || strings.Contains(string(vocab), "\t") {
		t.Errorf("a vocabulary with scores, or error %v", err)
	}
}

// What is wrong is said in a line, and nothing is left behind.
func TestTokenizerTrainErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("41\tzz\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	text := trainingText(100)
	for _, c := range []struct {
		stdin  string
		args   []string
		status int
		says   string
	}{
		{text, []string{"--vocab-size", "100000"}, 1, "it allows"},
		{text, []string{"--vocab-size", "20"}, 1, "want at least"},
		{text, []string{"--vocab-size", "13"}, 2, "--vocab-size 13"},
		{text, []string{"--user-defined-symbols", `(,),",-`}, 2, "CSV"},
		{text, []string{"--model-type", "bpe"}, 2, "--model-type bpe"},
		{text, []string{"--input-format", "tsv"}, 2, "--input-format tsv"},
		{text, []string{"--character-coverage", "7"}, 2, "--character-coverage"},
		{text, []string{"--normalization-rule-name", "nfx"}, 2, "nfx"},
		{text, []string{"--normalization-rule-tsv", bad}, 1, "bad:1"},
		{text, []string{"--control-symbols-file", bad + "x"}, 1, "--control-symbols-file"},
		{text, []string{"--bos-id", "one"}, 2, "--bos-id"},
		{text, []string{"--model-prefix", filepath.Join(dir, "no", "p")}, 2, "there is no directory"},
		{"", nil, 1, "empty"},
		{"\x00\x01\x02\x03", nil, 1, "binary"},
		{text, []string{"--input", bad + "x"}, 1, "bad"},
	} {
		args := append([]string{"tokenizer", "train", "--quiet", "--model-prefix", filepath.Join(dir, "p"), "--vocab-size", "60"}, c.args...)
		_, errs, status := runOutput(t, c.stdin, args...)
		if status != c.status || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%q: status %d, %q; want %d and one line with %q", c.args, status, errs, c.status, c.says)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, error %v", left, err)
	}
}
