package main

import (
	"compress/gzip"
	"os"
	"strings"
	"testing"
)

// What people type first is answered with what to type instead, in one line.
func TestHints(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "1")...)
	csv := "text,label\n" + strings.Repeat("the reader opens the network,a\na client counts two numbers,b\n", 20)
	if err := os.WriteFile(in("own.csv"), []byte(csv), 0o666); err != nil {
		t.Fatal(err)
	}
	must(t, "finetune", in("run"), "--task", "classify", "--train", in("own.csv"), "--dev", in("own.csv"), "--output", in("tuned"), "--steps", "1", "--quiet")
	squad := `{"question": "what reads", "context": "the reader opens", "answers": {"text": ["reader"], "answer_start": [4]}}` + "\n"
	if err := os.WriteFile(in("squad.jsonl"), []byte(squad), 0o666); err != nil {
		t.Fatal(err)
	}
	out := must(t, "finetune", in("run"), "--task", "squad", "--train", in("squad.jsonl"), "--dev", in("squad.jsonl"), "--output", in("answers"), "--steps", "1", "--quiet")
	if !strings.Contains(out, `echo '{"question": ..., "context": ...}' | albert predict`) {
		t.Errorf("finetune squad: %s", out)
	}
	if err := os.WriteFile(in("binary"), []byte("a\x00b"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string // separated by spaces; _ is a space in one, @ the directory
		status int
		want   string
	}{
		{"train", 2, "albert pretrain"},
		{"download albert-base-v2", 2, "hf download albert/albert-base-v2"},
		{"help train", 2, "albert pretrain"},
		{"serve", 2, "usage: albert serve <model>"},
		{"nonsense", 2, "there is no command nonsense"},
		{"tokenizer nonsense", 2, "albert tokenizer --help lists its commands"},
		{"fill --model x text", 2, "the model is the first argument"},
		{"fill x --k 3", 2, "here it is --top-k"},
		{"predict x --output y", 2, "> FILE"},
		{"finetune x --lr=3", 2, "unknown flag --lr: here it is --learning-rate"},
		{"pretrain --epochs 3", 2, "here it is --steps"},
		{"eval x own.csv", 2, "a file is given as --data own.csv"},
		{"finetune x own.csv", 2, "a file is given as --train own.csv"},
		{"embed @run --layer -2 a", 2, "--layer -2: want at least -1"},
		{"predict @run a", 0, "albert finetune teaches it labels"},
		{"finetune x --task text-classification --output y", 2, "no data is given"},
		{"fill", 2, "usage: albert fill <model>"},
		{"fill x --topk 3", 2, `did you mean "--top-k"?`},
		{"predict x --task foo", 2, "must be one of \"classify\""},
		{"fill albert-large-v2 a", 1, "hf download albert/albert-large-v2 --local-dir albert-large-v2"},
		{"fill runs/nope a", 1, "no such file, directory or checkpoint\n"},
		{"fill The_[MASK] @run", 1, "the model comes first, then the text"},
		{"inspect base", 1, "--config base"},
		{"fill @run a_<mask>", 1, "it is written [MASK], not <mask>"},
		{"embed @run nofile.txt", 0, "warning: there is no file nofile.txt"},
		{"embed @run @binary", 1, "is no text"},
		{"predict @tuned @own.csv", 0, "every line is taken as one text"},
		{"convert @run", 2, "no target is given"},
		{"convert @run @a --output @b", 2, "given twice"},
		{"convert @run m.gguf", 2, "llama.cpp"},
		{"eval @run", 2, "--data FILE"},
		{"finetune @run --task sentiment --data @x --output @y", 2, "--task classify"},
		{"tokenizer encode --model @tok.model hello", 1, "stdin"},
	} {
		var args []string
		for a := range strings.FieldsSeq(c.args) {
			args = append(args, strings.ReplaceAll(strings.ReplaceAll(a, "_", " "), "@", in("")+string(os.PathSeparator)))
		}
		status, _, errs := call(t, args...)
		if status != c.status || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") > 1 {
			t.Errorf("albert %s: status %d, want %d; %q in\n%s", c.args, status, c.status, c.want, errs)
		}
	}
	if _, _, errs := call(t, "convert", in("run"), "--output", in("hf")); !strings.Contains(errs, "AlbertForPreTraining") ||
		!strings.Contains(errs, "pieces, the model 150 rows for them") {
		t.Errorf("convert: %s", errs)
	}
	if status, _, errs := call(t, "fill", in("run"), "--top_k=0", "a_b"); status != 2 || !strings.Contains(errs, "--top-k 0: want at least 1") {
		t.Errorf("--top_k=0: status %d\n%s", status, errs)
	}
	if _, _, errs := call(t, "eval", in("run"), "--data", in("own.csv"), "--max-seq-length", "16"); !strings.Contains(errs, "own.csv: read as plain text") {
		t.Errorf("eval of a table: %s", errs)
	}
	if status, _, errs := call(t); status != 2 || !strings.Contains(errs, "Commands:") {
		t.Errorf("albert: status %d\n%s", status, errs)
	}
	if out := must(t, "help", "fill"); !strings.Contains(out, "--top-k") {
		t.Errorf("help fill: %s", out)
	}
	if out := must(t, "--version"); !strings.HasPrefix(out, "albert ") {
		t.Errorf("--version: %s", out)
	}
	if out := must(t, "eval", in("tuned"), "--data", in("own.csv"), "--json"); !strings.Contains(out, `"accuracy"`) {
		t.Errorf("eval of a fine-tuned run: %s", out)
	}
}

// Files made elsewhere: packed, with a byte order mark, with the line ends of Windows.
func TestForeignFiles(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "1")...)
	f, err := os.Create(in("lines.gz"))
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	z.Write([]byte("\ufeff{\"text\": \"the [MASK] reads\"}\r\nthe [MASK] reads\r\n"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	want := must(t, "fill", in("run"), "the [MASK] reads")
	if got := must(t, "fill", in("run"), in("lines.gz")); got != want+want {
		t.Errorf("got\n%s\nwant twice\n%s", got, want)
	}
}
