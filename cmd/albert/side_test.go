package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// --truncation-side left keeps the end of a text, wherever texts are cut: the answer is that of the end alone, and places are still those of the text.
func TestTruncationSide(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "1")...)
	long := "[MASK] " + strings.Repeat("the reader opens ", 30) + "[MASK]"
	if status, out, _ := call(t, "fill", in("run"), "--truncation-side", "left", long); status != 1 || !strings.Contains(out, "[MASK] 1 of 2 was cut off") {
		t.Errorf("fill: %s", out)
	}
	words := strings.Repeat("the reader opens a table . ", 30)
	left, right := must(t, "embed", in("run"), "--truncation-side", "left", "a writer "+words), must(t, "embed", in("run"), "a writer "+words)
	if left == right || left != must(t, "embed", in("run"), "--truncation-side", "left", "two numbers "+words) {
		t.Error("embed: the beginning of the text counts, or the side does not")
	}

	rows := ""
	for range 10 {
		rows += `{"words": ["` + strings.Join(strings.Fields(words)[:40], `", "`) + `", "END"], "tags": ["` + strings.Repeat(`B-X", "`, 40) + `B-Y"]}` + "\n"
	}
	if err := os.WriteFile(in("tags.jsonl"), []byte(rows), 0o666); err != nil {
		t.Fatal(err)
	}
	must(t, "finetune", in("run"), "--task", "tag", "--train", in("tags.jsonl"), "--dev", in("tags.jsonl"), "--output", in("tagger"), "--steps", "12",
		"--learning-rate", "0.01", "--truncation-side", "left", "--quiet", "--max-seq-length", "48")
	config, err := os.ReadFile(in("tagger/model/tokenizer_config.json"))
	if err != nil || !strings.Contains(string(config), `"truncation_side": "left"`) {
		t.Errorf("%v: the result does not say how it was trained: %s", err, config)
	}
	text := strings.Join(strings.Fields(words)[:40], " ") + " END"
	var found struct{ Result []struct{ Start, End int } }
	if err := json.Unmarshal([]byte(must(t, "predict", in("tagger"), "--aggregate", text)), &found); err != nil {
		t.Fatal(err)
	}
	if n := len(found.Result); n == 0 || found.Result[0].Start < len(text)/3 || found.Result[n-1].End != len(text) {
		t.Errorf("%+v: not the end of the text's %d characters", found, len(text))
	}
	if status, _, errs := call(t, "embed", in("run"), "--truncation-side", "top", "a"); status != 2 || !strings.Contains(errs, "--truncation-side must be one of") {
		t.Errorf("top: %d, %s", status, errs)
	}
}

// tokenizer encode cuts to --max-seq-length pieces, special ones included, and says so in JSON lines.
func TestEncodeCuts(t *testing.T) {
	dir := tokenizerDir(t)
	for _, c := range []struct{ stdin, args, want string }{
		{"the teacher reading", "--format pieces --max-seq-length 2", "▁the ▁teacher\n"},
		{"the teacher reading", "--format pieces --max-seq-length 2 --truncation-side left", "▁teacher ▁reading\n"},
		{"the teacher reading", "--format pieces --max-seq-length 4 --special", "[CLS] ▁the ▁teacher [SEP]\n"},
		{"the teacher reading", "--format pieces --max-seq-length 3 --truncation-side right", "▁the ▁teacher ▁reading\n"},
		{`{"text": "the teacher", "text_pair": "reading the teacher"}`, "--format pieces --max-seq-length 6 --special --input-format auto", "[CLS] ▁the ▁teacher [SEP] ▁reading [SEP]\n"},
		{`{"text": "the teacher", "text_pair": "reading the teacher"}`, "--format pieces --max-seq-length 6 --special --input-format auto --truncation-side left", "[CLS] ▁the ▁teacher [SEP] ▁teacher [SEP]\n"},
	} {
		got, stderr, status := runOutput(t, c.stdin, append([]string{"tokenizer", "encode", "--model", dir}, strings.Fields(c.args)...)...)
		if got != c.want || status != 0 {
			t.Errorf("%s: %q (%d, %s), want %q", c.args, got, status, stderr, c.want)
		}
	}
	got, _, status := runOutput(t, `{"id": 1, "text": "the teacher"}`+"\n"+`{"input_ids": [5, 6]}`, "tokenizer", "encode", "--model", dir, "--format", "jsonl", "--input-format", "auto", "--max-seq-length", "1")
	if !strings.HasPrefix(got, `{"id":1,"truncated":true,"ids":[`) || !strings.Contains(got, `{"error":"2 input_ids, --max-seq-length is 1`) || status != 1 {
		t.Errorf("%d: %s", status, got)
	}
	for _, args := range []string{"--max-seq-length -1", "--max-seq-length 2 --special", "--max-seq-length 2 --nbest 3 --cleanup none"} {
		if _, _, status := runOutput(t, "", append([]string{"tokenizer", "encode", "--model", dir}, strings.Fields(args)...)...); status != 2 {
			t.Errorf("%s: status %d", args, status)
		}
	}
}
