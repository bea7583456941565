package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runOutput runs the command line args with stdin and gives what it wrote and its exit status.
func runOutput(t *testing.T, stdin string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	dir := t.TempDir()
	open := func(name, text string) *os.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	in, out, errs := os.Stdin, os.Stdout, os.Stderr
	defer func() { os.Stdin, os.Stdout, os.Stderr = in, out, errs }()
	files := [3]*os.File{open("in", stdin), open("out", ""), open("err", "")}
	os.Stdin, os.Stdout, os.Stderr = files[0], files[1], files[2]
	status = runCommand(args)
	var text [3]string
	for i, f := range files[1:] {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		text[i+1] = string(b)
	}
	return text[1], text[2], status
}

// tokenizerModel is a small model of ALBERT's kind, with the ids of some of its pieces.
const tokenizerModel = "../../tokenizer/testdata/albert.model"

// tokenizerDir is a model directory with it.
func tokenizerDir(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(tokenizerModel)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "spiece.model"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTokenizerEncodesLineByLine(t *testing.T) {
	dir := tokenizerDir(t)
	for _, c := range []struct {
		stdin, args, want string
	}{
		// Only '\n' ends a line, and the last one may lack it. An empty line gives one.
		{"the\r\n\nthe\x0bthe", "--model " + tokenizerModel + " --format pieces", "▁the \r\n\n▁the \x0b t h e\n"},
		{"", "--model " + tokenizerModel, ""},
		{"The [MASK]\n", "--model " + dir + " --format pieces", "▁the [MASK]\n"},
		{"The\n", "--model " + dir + " --format pieces --special", "[CLS] ▁the [SEP]\n"},
		{"[CLS]", "--model " + dir + " --format ids", "2\n"},
		{"{\"text\": 1}\n", "--model " + dir + " --format pieces --cleanup none", "▁ { \" t e x t \" : ▁1 }\n"},
	} {
		args := append([]string{"tokenizer", "encode"}, strings.Fields(c.args)...)
		got, stderr, status := runOutput(t, c.stdin, args...)
		if got != c.want || status != 0 {
			t.Errorf("%q %s: %q (%d, %s), want %q", c.stdin, c.args, got, status, stderr, c.want)
		}
	}
}

// Files and all files of directories are read, packed or not, with a byte order mark or without.
func TestTokenizerReadsFilesAndDirectories(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"b.txt": "the\n", "a/z.txt": "teacher the", "c.txt": ""} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("\ufeffreading the\n"))
	if err := errors.Join(z.Close(), os.WriteFile(filepath.Join(dir, "d.gz"), packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	got, stderr, status := runOutput(t, "reading", "tokenizer", "encode", "--model", tokenizerModel, "--format", "pieces", dir, "--input", filepath.Join(dir, "b.txt"), "--input", "-")
	if want := "▁teacher ▁the\n▁the\n▁reading ▁the\n▁the\n▁reading\n"; got != want || status != 0 {
		t.Errorf("%q (%d, %s), want %q", got, status, stderr, want)
	}
}

func TestTokenizerJSONLines(t *testing.T) {
	dir := tokenizerDir(t)
	stdin := `{"text": "the", "id": 7}
{"text": "The", "text_pair": "reading"}
{"question": "the", "context": "reading"}
the
{"input_ids": [4, 2]}
{"text": 3}
`
	got, stderr, status := runOutput(t, stdin, "tokenizer", "encode", "--model", dir, "--format", "jsonl", "--input-format", "auto", "--special")
	if status != 1 || !strings.Contains(stderr, "1 lines could not be read") {
		t.Errorf("status %d, %s", status, stderr)
	}
	want := []string{
		`{"id":7,"ids":[2,ID1,3],"pieces":["[CLS]","▁the","[SEP]"],"offsets":[[0,0],[0,3],[3,3]]}`,
		`{"ids":[2,ID1,3,ID2,3],"pieces":["[CLS]","▁the","[SEP]","▁reading","[SEP]"],"offsets":[[0,0],[0,3],[3,3],[0,7],[7,7]],"token_type_ids":[0,0,0,1,1]}`,
		`{"ids":[2,ID1,3,ID2,3],"pieces":["[CLS]","▁the","[SEP]","▁reading","[SEP]"],"offsets":[[0,0],[0,3],[3,3],[0,7],[7,7]],"token_type_ids":[0,0,0,1,1]}`,
		`{"ids":[2,ID1,3],"pieces":["[CLS]","▁the","[SEP]"],"offsets":[[0,0],[0,3],[3,3]]}`,
		`{"ids":[4,2],"pieces":["[MASK]","[CLS]"],"offsets":[[0,1],[1,2]]}`,
	}
	ids := strings.Fields(first(runOutput(t, "the reading", "tokenizer", "encode", "--model", tokenizerModel)))
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(ids) != 2 || len(lines) != 6 {
		t.Fatalf("%v; %d lines: %s", ids, len(lines), got)
	}
	for i, w := range want {
		if w = strings.NewReplacer("ID1", ids[0], "ID2", ids[1]).Replace(w); lines[i] != w {
			t.Errorf("line %d: %s, want %s", i+1, lines[i], w)
		}
	}
	var failed struct {
		Error string
		Line  int
	}
	if err := json.Unmarshal([]byte(lines[5]), &failed); err != nil || failed.Line != 6 || failed.Error == "" {
		t.Errorf("%s: %v", lines[5], err)
	}
}

func first(s, _ string, _ int) string { return s }

func TestTokenizerDecodes(t *testing.T) {
	text := "the teacher (of 2,000), is reading.\n\nagain\n"
	for _, model := range []string{tokenizerModel, tokenizerDir(t)} {
		ids, _, _ := runOutput(t, text, "tokenizer", "encode", "--model", model)
		if got, stderr, status := runOutput(t, ids, "tokenizer", "decode", "--model", model); got != text || status != 0 {
			t.Errorf("%s: %q (%d, %s), want %q", model, got, status, stderr, text)
		}
	}
	for _, bad := range []string{"5 x", "5 -1", "5 100000", "5 99999999999999999999"} {
		_, stderr, status := runOutput(t, "6 7\n"+bad+"\n", "tokenizer", "decode", "--model", tokenizerModel)
		if status != 1 || !strings.HasPrefix(stderr, "albert: stdin:2: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: status %d, %s", bad, status, stderr)
		}
	}
}

func TestTokenizerInfo(t *testing.T) {
	got, _, status := runOutput(t, "", "tokenizer", "info", "--model", tokenizerModel, "--json")
	var info map[string]any
	if err := json.Unmarshal([]byte(got), &info); err != nil || status != 0 {
		t.Fatal(got, err, status)
	}
	if info["model_type"] != "unigram" || info["normalizer"] != "nmt_nfkc" || len(info["sha256"].(string)) != 64 || info["vocab_size"].(float64) < 100 {
		t.Error(got)
	}
}

func TestTokenizerCommandsSayWhatIsWrong(t *testing.T) {
	for args, want := range map[string]struct {
		status int
		text   string
	}{
		"encode":                                       {2, "--model"},
		"encode --model nothing":                       {1, "give a .model file, or a model directory with spiece.model"},
		"encode --model " + t.TempDir():                {1, "give a .model file, or a model directory with spiece.model"},
		"encode --model main.go":                       {1, "main.go: not a usable SentencePiece model"},
		"encode --format x --model m":                  {2, "format"},
		"encode --model " + tokenizerModel + " no":     {1, "no: no such file"},
		"encode --nbest 0x --model m":                  {2, "nbest"},
		"encode --nbest 600 --model " + tokenizerModel: {2, "want 1 to 512"},
	} {
		_, stderr, status := runOutput(t, "", append([]string{"tokenizer"}, strings.Fields(args)...)...)
		last := stderr[strings.LastIndex(strings.TrimSpace(stderr), "\n")+1:]
		if status != want.status || !strings.Contains(last, want.text) {
			t.Errorf("%s: status %d, %q, want %d and %q", args, status, last, want.status, want.text)
		}
	}
}
