package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs the program with arguments and gives its exit status, stdout and stderr.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	oldOut, oldErr := os.Stdout, os.Stderr
	defer func() { os.Stdout, os.Stderr = oldOut, oldErr }()
	read := func(to **os.File) func() string {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		*to = w
		text := make(chan string)
		go func() {
			var b bytes.Buffer
			io.Copy(&b, r)
			text <- b.String()
		}()
		return func() string {
			w.Close()
			return <-text
		}
	}
	out, err := read(&os.Stdout), read(&os.Stderr)
	status = runCommand(args)
	return status, out(), err()
}

// must is call for what has to succeed.
func must(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	status, out, errs := call(t, args...)
	if status != 0 {
		t.Fatalf("albert %s: status %d\n%s", strings.Join(args, " "), status, errs)
	}
	return out
}

// prose writes documents of simple sentences.
func prose(t *testing.T, path string, seed, documents int) {
	t.Helper()
	subjects := []string{"the reader", "a writer", "the small file", "our buffer", "each packet", "the old server", "a client", "this value"}
	verbs := []string{"opens", "closes", "returns", "copies", "sends", "counts", "checks", "keeps"}
	objects := []string{"the network", "a table of names", "the first error", "two numbers", "the last line", "an empty list", "the whole tree"}
	var b strings.Builder
	n := seed
	next := func(list []string) string {
		n = (n*1103515245 + 12345) & 0x7fffffff
		return list[(n>>8)%len(list)]
	}
	for range documents {
		for range 6 {
			s := next(subjects)
			fmt.Fprintf(&b, "%s%s %s %s. ", strings.ToUpper(s[:1]), s[1:], next(verbs), next(objects))
		}
		b.WriteString("\n\n")
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

const tinyConfig = `{"model_type":"albert","vocab_size":150,"embedding_size":16,"hidden_size":24,"num_hidden_layers":2,"num_attention_heads":2,
"intermediate_size":40,"max_position_embeddings":48,"hidden_act":"gelu_new","hidden_dropout_prob":0.1,"attention_probs_dropout_prob":0.1}`

// workplace makes text, a tokenizer and a configuration.
func workplace(t *testing.T) (dir string, in func(string) string) {
	t.Helper()
	dir = t.TempDir()
	in = func(name string) string { return filepath.Join(dir, name) }
	prose(t, in("train.txt"), 1, 60)
	prose(t, in("dev.txt"), 2, 20)
	if err := os.WriteFile(in("config.json"), []byte(tinyConfig), 0o666); err != nil {
		t.Fatal(err)
	}
	must(t, "tokenizer", "train", "--input", in("train.txt"), "--sentences", "auto", "--cleanup", "albert", "--model-prefix", in("tok"), "--vocab-size", "60", "--quiet")
	return dir, in
}

func pretrainArgs(in func(string) string, output string, more ...string) []string {
	return append([]string{"pretrain", "--output", in(output), "--config", in("config.json"), "--tokenizer", in("tok.model"), "--dev", in("dev.txt"),
		"--max-seq-length", "48", "--batch-size", "30", "--warmup-steps", "2", "--learning-rate", "0.01", "--eval-every", "0", "--save-every", "2", "--quiet"}, more...)
}

type inspected struct {
	Parameters    int    `json:"parameters"`
	WeightsSHA256 string `json:"weights_sha256"`
}

func inspect(t *testing.T, path string) (r inspected) {
	t.Helper()
	if err := json.Unmarshal([]byte(must(t, "inspect", path, "--json")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// From text to filled masks, with the same weights from text and from shards, and after stops.
func TestTheWay(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "6")...)
	want := inspect(t, in("run"))
	if want.WeightsSHA256 == "" || want.Parameters == 0 {
		t.Fatalf("%+v", want)
	}

	must(t, "prepare", "--tokenizer", in("tok.model"), "--output", in("shards"), in("train.txt"), "--quiet")
	must(t, pretrainArgs(in, "run2", "--train", in("shards"), "--steps", "6", "--threads", "1", "--micro-batch-size", "1")...)
	if got := inspect(t, in("run2")); got != want {
		t.Errorf("from shards %+v, from text %+v", got, want)
	}

	status, _, errs := call(t, pretrainArgs(in, "run3", "--train", in("train.txt"), "--steps", "6", "--max-time", "1ms")...)
	if status != 75 {
		t.Errorf("--max-time: status %d: %s", status, errs)
	}
	must(t, pretrainArgs(in, "run3", "--train", in("train.txt"), "--steps", "6")...)
	if got := inspect(t, in("run3")); got != want {
		t.Errorf("after a stop %+v, without %+v", got, want)
	}
	status, _, errs = call(t, pretrainArgs(in, "run3", "--train", in("train.txt"), "--steps", "6", "--mask-rate", "0.2")...)
	if status != 1 || !strings.Contains(errs, "mask-rate was 0.15, is 0.2") {
		t.Errorf("changed settings: status %d: %s", status, errs)
	}

	steps := must(t, "inspect", in("run"), "--step", "3")
	var example struct {
		InputIDs        []int `json:"input_ids"`
		MaskedPositions []int `json:"masked_positions"`
		Source          []any `json:"source"`
	}
	lines := strings.Split(strings.TrimSpace(steps), "\n")
	if len(lines) != 30 {
		t.Errorf("step 3 has %d examples, want 30", len(lines))
	}
	if err := json.Unmarshal([]byte(lines[0]), &example); err != nil || len(example.InputIDs) == 0 || len(example.MaskedPositions) == 0 || len(example.Source) != 2 {
		t.Errorf("%v: %s", err, lines[0])
	}

	var eval map[string]float64
	if err := json.Unmarshal([]byte(must(t, "eval", in("run"), "--task", "pretrain", "--data", in("dev.txt"), "--json")), &eval); err != nil {
		t.Fatal(err)
	}
	if eval["sop_count"] == 0 || eval["mlm_masked_count"] == 0 || eval["mlm_loss"] <= 0 {
		t.Errorf("%v", eval)
	}

	var answers []struct {
		Score    float64 `json:"score"`
		Token    int     `json:"token"`
		TokenStr string  `json:"token_str"`
	}
	if err := json.Unmarshal([]byte(must(t, "fill", in("run"), "--top-k", "3", "The reader [MASK] the network.")), &answers); err != nil || len(answers) != 3 || answers[0].Score < answers[1].Score {
		t.Errorf("%v: %+v", err, answers)
	}
	var vector struct {
		Embedding []float64 `json:"embedding"`
	}
	if err := json.Unmarshal([]byte(must(t, "embed", in("run"), "The reader opens a file.")), &vector); err != nil || len(vector.Embedding) != 24 {
		t.Errorf("%v: %d values", err, len(vector.Embedding))
	}
}

// Lines that cannot be answered have an error in their place; the others are answered.
func TestLineErrors(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "1")...)
	input := strings.Join([]string{`a [MASK]`, `{"id": 7, "text": "the [MASK] and the [MASK]"}`, `no mask`, `{broken`, `{"input_ids": [2, 4, 3]}`, `{"input_ids": [2, 4, 999]}`, `{"id": "x", "text": 5}`}, "\n") + "\n"
	if err := os.WriteFile(in("lines"), []byte(input), 0o666); err != nil {
		t.Fatal(err)
	}
	status, out, _ := call(t, "fill", in("run"), "--top-k", "1", in("lines"))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 1 || len(lines) != 7 {
		t.Fatalf("status %d, %d lines:\n%s", status, len(lines), out)
	}
	for i, want := range []string{`[{"score":`, `{"id":7,"result":[[{"score":`, `"error":"no [MASK] in the text","line":3`, `"error":"broken JSON`, `[{"score":`, `input_ids[2] is 999`, `"line":7`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d: %s\nwant %s", i+1, lines[i], want)
		}
	}
}

func TestUsage(t *testing.T) {
	_, in := workplace(t)
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"nonsense"}, 2, "there is no command nonsense"},
		{[]string{"pretrain", "--output", in("x"), "--train", in("train.txt")}, 2, "--config NAME|FILE or --init MODEL"},
		{[]string{"pretrain", "--output", in("x"), "--config", "bass", "--tokenizer", in("tok.model"), "--train", in("train.txt")}, 2, "neither a file nor one of base"},
		{[]string{"pretrain", "--output", in("x"), "--config", "base", "--tokenizer", in("tok.model"), "--train", in("absent")}, 1, "absent"},
		{[]string{"pretrain", "--output", in("x"), "--config", in("config.json"), "--tokenizer", in("tok.model"), "--train", in("train.txt"), "--max-seq-length", "64"}, 1, "48 positions"},
		{[]string{"inspect"}, 2, "give a model or run directory, or --config NAME"},
		{[]string{"inspect", filepath.Dir(in("x"))}, 1, "no weights there"},
		{[]string{"fill", in("absent"), "x"}, 1, "absent"},
		{[]string{"tokenizer", "encode", "--model", in("train.txt")}, 1, "not a usable vocabulary"},
		{[]string{"prepare", "--tokenizer", in("tok.model"), "--output", in("empty"), os.DevNull}, 1, "empty"},
	} {
		status, _, errs := call(t, c.args...)
		if status != c.status || !strings.Contains(errs, c.want) {
			t.Errorf("albert %s: status %d, want %d; %q in\n%s", strings.Join(c.args, " "), status, c.status, c.want, errs)
		}
	}
	if _, err := os.Stat(in("empty")); err == nil {
		t.Error("a failed prepare left its directory")
	}
}
