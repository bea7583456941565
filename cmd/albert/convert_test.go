package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run goes through every format, and every command takes each of them.
func TestConvert(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "2")...)
	want := inspect(t, in("run"))
	filled := must(t, "fill", in("run"), "The reader [MASK] the network.")
	var half struct{ Tensors []struct{ DType string } }
	from := in("run")
	for _, to := range []string{"hf", "a/pytorch_model.bin", "b/model.ckpt-best", "c.tar.gz", "d/model.onnx", "e/model.safetensors", "f/x.pt", "out"} {
		var said struct {
			Format string `json:"to_format"`
			Hash   string `json:"weights_sha256"`
		}
		if err := json.Unmarshal([]byte(must(t, "convert", from, in(to), "--json")), &said); err != nil || said.Hash != want.WeightsSHA256 || said.Format == "" {
			t.Errorf("%s: %v %+v", to, err, said)
		}
		from = in(to)
		if got := inspect(t, from); got != want {
			t.Errorf("%s: %+v, want %+v", to, got, want)
		}
		if got := must(t, "fill", from, "The reader [MASK] the network."); got != filled {
			t.Errorf("%s: fills %s, want %s", to, got, filled)
		}
	}
	must(t, "convert", in("out"), in("half"), "--dtype", "fp16")
	if err := json.Unmarshal([]byte(must(t, "inspect", in("half"), "--json")), &half); err != nil || half.Tensors[0].DType != "F16" {
		t.Errorf("--dtype fp16: %v, %+v", err, half)
	}
	if must(t, "convert", in("half"), in("kept/x.pt"), "--dtype", "keep"); inspect(t, in("kept/x.pt")) != inspect(t, in("half")) {
		t.Error("--dtype keep: the weights are others")
	}
	must(t, "convert", in("out"), in("small/model.onnx"), "--int8")
	must(t, "embed", in("small/model.onnx"), "The reader opens a file.")
	must(t, "predict", in("c.tar.gz"), `{"text": "The reader opens a file.", "text_pair": "A writer sends it."}`)
	must(t, "eval", in("c.tar.gz"), "--task", "pretrain", "--data", in("dev.txt"), "--json")
	must(t, "pretrain", "--init", in("c.tar.gz"), "--output", in("more"), "--train", in("train.txt"), "--max-seq-length", "48", "--batch-size", "4",
		"--steps", "1", "--eval-every", "0", "--quiet")
	if got := inspect(t, in("more")); got.Parameters != want.Parameters || got.WeightsSHA256 == "" {
		t.Errorf("--init: %+v", got)
	}
}

// Each refusal is one line and says what to do; 2 is bad usage, 1 the rest.
func TestConvertRefuses(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "1")...)
	must(t, "convert", in("run"), in("hf"))
	if err := os.WriteFile(in("evil.bin"), []byte("\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		flags    []string
		status   int
		want     string
	}{
		{"run", "hf", nil, 1, "--force"},
		{"run", "run", []string{"--force"}, 1, "is a run of training"},
		{"run", "m.h5", nil, 2, ".h5 is not written: give a directory, or a name that ends in"},
		{"run", "m", []string{"--int8"}, 2, "int8 is written as ONNX only"},
		{"run", "m", []string{"--to", "onnx"}, 2, "onnx is written where the name ends in .onnx"},
		{"run", "m", []string{"--to", "gguf"}, 2, "--to must be one of"},
		{"run", "m.onnx", []string{"--dtype", "bf16"}, 2, "onnx is written as fp32 only"},
		{"evil.bin", "m", nil, 1, "refuses to call posix.system"},
		{"absent", "m", nil, 1, "no such file, directory or checkpoint"},
		{"train.txt", "m", nil, 1, "is no model"},
		{"run", "train.txt/m.onnx", nil, 1, "not a directory"},
	} {
		status, out, errs := call(t, append([]string{"convert", in(c.from), in(c.to)}, c.flags...)...)
		if status != c.status || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("convert %s %s %q: status %d, want %d; %q in\n%s%s", c.from, c.to, c.flags, status, c.status, c.want, errs, out)
		}
	}
	if list, _ := filepath.Glob(in("m*")); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}

// No answer is given only where --null-threshold allows it, and a threshold may be negative.
func TestNullThreshold(t *testing.T) {
	model := filepath.Join("..", "..", "internal", "learn", "task", "testdata", "golden", "answer")
	line := `{"input_ids": [2, 7, 8, 3, 9, 10, 11, 3], "token_type_ids": [0, 0, 0, 0, 1, 1, 1, 1]}`
	var plain, null struct{ Start, End int }
	if err := json.Unmarshal([]byte(must(t, "predict", model, line)), &plain); err != nil || plain.Start < 4 || plain.End > 7 {
		t.Errorf("%v %+v", err, plain)
	}
	if err := json.Unmarshal([]byte(must(t, "predict", model, "--null-threshold", "-1e9", line)), &null); err != nil || null.End != 0 {
		t.Errorf("%v %+v", err, null)
	}
}
