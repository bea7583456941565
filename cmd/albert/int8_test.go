package main

import (
	"strings"
	"testing"
)

// Every command that runs a model takes --precision int8, and a model converted to int8 gives the bits that its source does in int8, by
// itself and when asked for it.
func TestPrecision(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "2")...)
	must(t, "convert", in("run"), in("small"), "--precision", "int8")
	must(t, "convert", in("small"), in("small2"), "--precision", "int8")
	for _, args := range [][]string{
		{"fill", "MODEL", "The reader [MASK] the network."},
		{"embed", "MODEL", "The reader opens a file."},
		{"predict", "MODEL", `{"text": "The reader opens a file.", "text_pair": "A writer sends it."}`},
		{"eval", "MODEL", "--task", "pretrain", "--data", in("dev.txt"), "--json"},
	} {
		ask := func(model string, more ...string) string {
			all := append([]string{args[0], in(model)}, args[2:]...)
			return must(t, append(all, more...)...)
		}
		fp32, int8 := ask("run"), ask("run", "--precision", "int8")
		if fp32 == int8 {
			t.Errorf("%s: int8 gives what fp32 gives: %s", args[0], fp32)
		}
		if got := ask("run", "--precision", "fp32"); got != fp32 {
			t.Errorf("%s: --precision fp32 gives %s, the default %s", args[0], got, fp32)
		}
		for _, model := range []string{"small", "small2"} {
			for _, more := range [][]string{nil, {"--precision", "int8"}, {"--threads", "2"}} {
				if got := ask(model, more...); got != int8 {
					t.Errorf("%s %s %q: %s, the source in int8 %s", args[0], model, more, got, int8)
				}
			}
		}
	}
	if got := inspect(t, in("small")); got.Parameters != inspect(t, in("run")).Parameters {
		t.Errorf("converted: %+v", got)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{append(pretrainArgs(in, "no", "--train", in("train.txt")), "--precision", "int8"), 2, "pretrain: --precision int8 is for inference"},
		{[]string{"finetune", "--task", "sst2", "--output", in("no"), "--data", in("no"), "--precision", "int8", in("run")}, 2, "finetune: --precision int8 is for inference"},
		{[]string{"fill", in("run"), "--precision", "int4", "x"}, 2, `--precision must be one of "fp32","bf16","bf16-tile","bf16-dot","int8"`},
		{[]string{"convert", in("run"), in("m.bin"), "--precision", "int8"}, 2, "int8 is written as safetensors or ONNX only"},
	} {
		status, out, errs := call(t, c.args...)
		if status != c.status || !strings.Contains(errs, c.want) || strings.Count(errs, "\n") != 1 || out != "" {
			t.Errorf("%q: status %d, want %d and %q:\n%s%s", c.args, status, c.status, c.want, errs, out)
		}
	}
}
