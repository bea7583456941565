package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"albert/internal/files/npy"
	"albert/internal/model"
)

// tinyModel makes a random model with the workplace's tokenizer.
func tinyModel(t *testing.T, in func(string) string) string {
	t.Helper()
	c, err := model.ReadConfig(in("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c.InitializerRange = 0.3
	dir := in("model")
	if err := model.NewWith(c, model.Heads{}, 4).Save(dir); err != nil {
		t.Fatal(err)
	}
	tok, err := os.ReadFile(in("tok.model"))
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(dir, "spiece.model"), string(tok))
	return dir
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// vectorsOf reads lines of {"embedding": ...}.
func vectorsOf(t *testing.T, lines string) (list [][]float32) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var x struct{ Embedding []float32 }
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatal(err, line)
		}
		list = append(list, x.Embedding)
	}
	return list
}

// A file of NumPy and one of JSON lines hold the vectors that stdout has, bit for bit; a text that fails leaves no file.
func TestEmbedIntoFiles(t *testing.T) {
	_, in := workplace(t)
	m := tinyModel(t, in)
	writeText(t, in("texts"), "A reader opens the table.\n\n{\"text\": \"two numbers\", \"id\": 7}\n"+strings.Repeat("the network ", 60)+"\n")
	lines := must(t, "embed", m, in("texts"))
	want := vectorsOf(t, lines)
	if must(t, "embed", m, in("texts"), "--output", in("out.jsonl")) != "" {
		t.Error("something on stdout, too")
	}
	if text, err := os.ReadFile(in("out.jsonl")); err != nil || string(text) != lines {
		t.Errorf("%s, %v, want %s", text, err, lines)
	}
	status, _, stderr := call(t, "embed", m, in("texts"), "--format", "npy", "--output", in("out.npy"))
	if status != 0 || stderr != "warning: 1 texts were cut: longer than the model takes, or than --max-seq-length\n" {
		t.Fatalf("%d: %s", status, stderr)
	}
	x, err := npy.Open(in("out.npy"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if x.Rows != len(want) || x.Cols != 24 {
		t.Fatalf("%d x %d", x.Rows, x.Cols)
	}
	for i, v := range x.Data {
		if v != want[i/24][i%24] {
			t.Fatalf("value %d is %v, want %v", i, v, want[i/24][i%24])
		}
	}
	writeText(t, in("broken"), "a text\n{broken\n")
	for _, k := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{in("broken"), "--format", "npy", "--output", in("no.npy")}, 1, "writing " + in("no.npy") + ": " + in("broken") + ":2: broken JSON"},
		{[]string{in("broken"), "--output", in("no.jsonl")}, 1, in("broken") + ":2: broken JSON"},
		{[]string{in("texts"), "--format", "npy"}, 2, "--format npy wants --output"},
		{[]string{in("texts"), "--format", "npy", "--output", in("no.npy"), "--pooling", "none"}, 2, "--format npy is a row for each text"},
	} {
		status, _, stderr := call(t, append([]string{"embed", m}, k.args...)...)
		if status != k.status || !strings.Contains(stderr, k.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %d, %s", k.args, status, stderr)
		}
	}
	if left, _ := filepath.Glob(in("*no.*")); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}
