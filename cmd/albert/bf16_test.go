package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every command that runs a model takes bf16 and its two rules, and bf16 is the one that version names, which forced kernels may change but
// not the bits of a named rule. A run keeps its rule and says so, and inspect shows it.
func TestBF16(t *testing.T) {
	_, in := workplace(t)
	must(t, append(pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "2"), "--precision", "bf16-tile")...)
	var v versionInfo
	if err := json.Unmarshal([]byte(must(t, "version", "--json")), &v); err != nil || v.BF16 != "tile" && v.BF16 != "dot" {
		t.Fatalf("%v: %+v", err, v)
	}
	for _, args := range [][]string{
		{"fill", in("run"), "The reader [MASK] the network."},
		{"embed", in("run"), "The reader opens a file."},
		{"predict", in("run"), `{"text": "The reader opens a file.", "text_pair": "A writer sends it."}`},
		{"eval", in("run"), "--task", "pretrain", "--data", in("dev.txt"), "--json"},
	} {
		t.Setenv("ALBERT_CPU", "")
		ask := func(precision string) string { return must(t, append(args, "--precision", precision)...) }
		fp32, tile, dot := ask("fp32"), ask("bf16-tile"), ask("bf16-dot")
		if tile == fp32 || dot == fp32 {
			t.Errorf("%s: bf16 gives what fp32 gives: %s", args[0], fp32)
		}
		if got := ask("bf16"); got != map[string]string{"tile": tile, "dot": dot}[v.BF16] {
			t.Errorf("%s: bf16 gives %s, tile %s, dot %s", args[0], got, tile, dot)
		}
		t.Setenv("ALBERT_CPU", "generic")
		if got := ask("bf16"); got != tile || ask("bf16-dot") != dot {
			t.Errorf("%s: in plain Go bf16 gives %s, tile was %s, dot %s", args[0], got, tile, dot)
		}
	}
	if out := must(t, "inspect", in("run")); !strings.Contains(out, "\nprecision           bf16-tile\n") {
		t.Error(out)
	}
	if out := must(t, "inspect", in("run"), "--json"); !strings.Contains(out, `"precision":"bf16-tile"`) {
		t.Error(out)
	}
	if plan, err := os.ReadFile(filepath.Join(in("run"), "plan.json")); err != nil || !strings.Contains(string(plan), `"precision": "bf16-tile"`) {
		t.Errorf("%v: %s", err, plan)
	}
	status, _, errs := call(t, "convert", in("run"), in("x"), "--precision", "bf16")
	if status != 2 || !strings.Contains(errs, "files in bf16 are written with --dtype bf16") {
		t.Errorf("%d: %s", status, errs)
	}
}
