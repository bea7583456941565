package dataset

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"albert/internal/model"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func equal(a, b []int) bool { return slices.Equal(a, b) }

func taskNamed(t testing.TB, name string) Task {
	t.Helper()
	task, err := TaskNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// write makes files, given as name and content, in a new directory.
func write(t testing.TB, files ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// readText reads one file with the given content.
func readText(t testing.TB, task string, split Split, name, text string, o Options) (*Set, error) {
	t.Helper()
	return Read(taskNamed(t, task), split, []string{filepath.Join(write(t, name, text), name)}, o)
}

func mustRead(t testing.TB, task string, split Split, name, text string, o Options) *Set {
	t.Helper()
	s, err := readText(t, task, split, name, text, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantError holds an error to words that it must have, the place among them.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q, want %q in it", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has more than one line", err)
	}
}

// show writes an example's fields that are set, labels in words.
func show(s *Set, e Example) string {
	var b strings.Builder
	add := func(name string, v any) { fmt.Fprintf(&b, " %s=%v", name, v) }
	fmt.Fprintf(&b, "%d", e.Line)
	if e.ID != "" {
		add("id", e.ID)
	}
	if e.Text != "" {
		add("text", e.Text)
	}
	if e.HasPair {
		add("pair", e.Pair)
	}
	if !math.IsNaN(e.Score) {
		add("score", e.Score)
	}
	if e.Label >= 0 && s.Task.Kind == model.Classify {
		add("label", s.Labels[e.Label])
	} else if e.Label >= 0 {
		add("label", e.Label)
	}
	if e.Words != nil {
		add("words", strings.Join(e.Words, "|"))
	}
	if e.Labels != nil {
		var names []string
		for _, l := range e.Labels {
			names = append(names, s.Labels[l])
		}
		add("labels", strings.Join(names, "|"))
	}
	if e.Context != "" {
		add("context", e.Context)
	}
	if e.Question != "" {
		add("question", e.Question)
	}
	if e.Answers != nil {
		add("answers", e.Answers)
	}
	if e.Impossible {
		add("impossible", true)
	}
	if e.Choices != nil {
		add("choices", strings.Join(e.Choices, "|"))
	}
	return b.String()
}

func wantExamples(t *testing.T, s *Set, want ...string) {
	t.Helper()
	var got []string
	for i, e := range s.Examples {
		if e.ID == strconv.Itoa(i) && i < len(want) && !strings.Contains(want[i], " id=") { // the file has none
			e.ID = ""
		}
		got = append(got, show(s, e))
	}
	if !slices.Equal(got, want) {
		t.Errorf("examples\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func zstded(s string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(s), nil))
}

func TestTaskNames(t *testing.T) {
	for name, want := range map[string]string{"SST-2": "sst2", "sst2": "sst2", "STS_B": "stsb", "MNLI-mm": "mnli-mm", "SQuAD2.0": "squad2",
		"squad1.1": "squad1", "CoLA": "cola", "race": "race", "ner": "tag"} {
		if task, err := TaskNamed(name); err != nil || task.Name != want {
			t.Errorf("%s: %s, %v", name, task.Name, err)
		}
	}
	_, err := TaskNamed("glue")
	wantError(t, err, `no task "glue"`, "sst2", "choice")
	if s, err := SplitNamed("validation"); s != Dev || err != nil {
		t.Errorf("validation: %s, %v", s, err)
	}
}

// A set's labels are the next split's, whatever occurs there.
func TestLabels(t *testing.T) {
	train := mustRead(t, "classify", Train, "train.tsv", "text\tlabel\na\t10\nb\t9\nc\t-2\nd\t9\n", Options{})
	if !slices.Equal(train.Labels, []string{"-2", "9", "10"}) {
		t.Errorf("labels %q are not by value", train.Labels)
	}
	wantExamples(t, train, "2 text=a label=10", "3 text=b label=9", "4 text=c label=-2", "5 text=d label=9")
	dev := mustRead(t, "classify", Dev, "dev.tsv", "text\tlabel\nx\t10\n", train.Options())
	if dev.Examples[0].Label != 2 || len(dev.Labels) != 3 {
		t.Errorf("label %d of %q", dev.Examples[0].Label, dev.Labels)
	}
	_, err := readText(t, "classify", Dev, "dev.tsv", "text\tlabel\nx\t10\ny\t11\n", train.Options())
	wantError(t, err, "dev.tsv:3:", `"11"`, `"-2", "9", "10"`)
	words := mustRead(t, "classify", Train, "train.tsv", "text\tlabel\na\tzoo\nb\t9\nc\tApe\nd\t10\n", Options{})
	if !slices.Equal(words.Labels, []string{"10", "9", "Ape", "zoo"}) {
		t.Errorf("labels %q are not in byte order", words.Labels)
	}
}

func TestPacked(t *testing.T) {
	text := "\ufefftext\tlabel\r\nGood.\t1\r\nBad.\t0\r\n"
	for name, data := range map[string]string{"a.tsv": text, "a.tsv.gz": zipped(text), "a.tsv.zst": zstded(text), "a.txt": text, "a": zipped(text)} {
		s := mustRead(t, "classify", Train, name, data, Options{})
		wantExamples(t, s, "2 text=Good. label=1", "3 text=Bad. label=0")
		if len(s.Files) != 1 || s.Files[0].Bytes != int64(len(data)) || len(s.Files[0].SHA256) != 64 {
			t.Errorf("%s: files %+v", name, s.Files)
		}
	}
	whole := zipped(strings.Repeat(text, 100))
	_, err := readText(t, "classify", Train, "a.tsv.gz", whole[:len(whole)/2], Options{})
	wantError(t, err, "a.tsv.gz", "gzip: cut short")
	_, err = readText(t, "classify", Train, "a.xlsx", "PK\x03\x04....", Options{})
	wantError(t, err, "a.xlsx: not text but a zip archive")
}

func TestBadText(t *testing.T) {
	for _, c := range []struct {
		task, name, text string
		want             []string
	}{
		{"classify", "a.tsv", "text\tlabel\nGood.\t1\nB\xe9d.\t0\n", []string{"a.tsv:3: not UTF-8", "0xe9"}},
		{"classify", "a.csv", "text,label\nGood.,1\n\"a\nb\xe9\",0\n", []string{"a.csv:3: not UTF-8", "0xe9"}},
		{"classify", "a.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"\xe9\",\"label\":1}\n", []string{"a.jsonl:2: not UTF-8", "0xe9"}},
		{"tag", "a.conll", "a O\nb\xff O\n", []string{"a.conll:2: not UTF-8"}},
		{"classify", "a.tsv", "text\tlabel\nG\x00od.\t1\n", []string{"a.tsv:2: a zero byte"}},
		{"classify", "a.tsv", "text\tlabel\na\t1\n" + strings.Repeat("x", maxField+1) + "\t1\n", []string{"a.tsv:3:", `"text"`, "limit is 10 MB"}},
		{"classify", "a.csv", "text,label\na,1\n" + strings.Repeat("x", maxField+1) + ",1\n", []string{"a.csv:3:", "limit is 10 MB"}},
		{"classify", "a.jsonl", "{\"text\":\"" + strings.Repeat("x", maxField+1) + "\",\"label\":1}\n", []string{"a.jsonl:1:", "limit is 10 MB"}},
		{"tag", "a.conll", strings.Repeat("xxxxxxxxxxxxxxx O\n", maxField/15+1), []string{"a.conll:699051:", "a sentence of more than 10 MB"}},
		{"classify", "a.tsv", "", []string{"a.tsv: an empty file"}},
		{"classify", "a.tsv", "text\tlabel\n", []string{"a.tsv: no examples"}},
		{"sst2", "a.tsv", "", []string{"a.tsv: an empty file"}},
		{"squad1", "a.json", "", []string{"a.json: an empty file"}},
		{"classify", "a.dat", "just words", []string{"a.dat: cannot tell what form"}},
	} {
		_, err := readText(t, c.task, Train, c.name, c.text, Options{})
		wantError(t, err, c.want...)
	}
}
