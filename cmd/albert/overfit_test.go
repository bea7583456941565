package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// --overfit-one-batch tells whether a setup learns one batch, needs no --output, writes nothing, and fails where it does not learn.
func TestOverfitOneBatch(t *testing.T) {
	dir, in := workplace(t)
	must(t, pretrainArgs(in, "model", "--train", in("train.txt"), "--steps", "1")...)
	rows := ""
	for i := range 40 {
		rows += []string{"{\"text\": \"the reader opens a table\", \"label\": \"a\"}\n", "{\"text\": \"a client sends two numbers\", \"label\": \"b\"}\n"}[i%2]
	}
	if err := os.WriteFile(in("rows.jsonl"), []byte(rows), 0o666); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"pretrain", "--config", in("config.json"), "--tokenizer", in("tok.model"), "--train", in("train.txt"), "--max-seq-length", "16",
		"--optimizer", "adamw", "--quiet", "--json", "--overfit-one-batch"}
	status, out, errs := call(t, "finetune", in("model"), "--task", "classify", "--train", in("rows.jsonl"), "--dev", in("rows.jsonl"), "--learning-rate", "0.001",
		"--output", in("run"), "--quiet", "--json", "--overfit-one-batch")
	var found struct {
		Learns          bool
		Loss            *float64
		Steps, Examples int
	}
	if err := json.Unmarshal([]byte(out), &found); err != nil || status != 0 || !found.Learns || *found.Loss >= 0.1 || found.Steps != 500 || found.Examples != 16 {
		t.Errorf("%v, status %d, %s%s", err, status, out, errs)
	}
	if !strings.Contains(errs, "the setup can learn") {
		t.Errorf("no verdict: %s", errs)
	}
	status, out, errs = call(t, append(args, "--learning-rate", "0.0000001")...)
	if status != 1 || !strings.Contains(errs, "is not learned") || !strings.Contains(errs, "try --learning-rate") || !strings.Contains(out, `"learns":false`) || strings.Contains(out, "LearningRate") {
		t.Errorf("a rate that is too low: status %d, %s%s", status, out, errs)
	}
	if status, _, errs := call(t, append(args, "--learning-rate", "3")...); status != 1 || !strings.Contains(errs, "the loss grows") || !strings.Contains(errs, "try --learning-rate 0.3") {
		t.Errorf("a rate that is too high: status %d, %s", status, errs)
	}
	_, bf16, _ := call(t, append(args, "--learning-rate", "0.0000001", "--precision", "bf16-tile")...)
	if bf16 == out || !strings.Contains(bf16, `"learns":false`) {
		t.Errorf("in bf16: %s, in fp32: %s", bf16, out)
	}
	if after, err := os.ReadDir(dir); err != nil || len(after) != len(before) {
		t.Errorf("files were left: %v", after)
	}
	if status, _, errs := call(t, args[:len(args)-1]...); status != 2 || !strings.Contains(errs, "--output") {
		t.Errorf("without the flag --output is needed: status %d, %s", status, errs)
	}
}
