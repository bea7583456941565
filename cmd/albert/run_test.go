package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Commands that read a run without a result take its newest checkpoint that is whole: the highest number, none that was put aside, and
// none whose hashes are wrong, whatever the path.
func TestNewestWholeCheckpoint(t *testing.T) {
	_, in := workplace(t)
	name := "run [1]*?"
	must(t, pretrainArgs(in, name, "--train", in("train.txt"), "--steps", "3", "--save-every", "1")...)
	checkpoint := func(step string) string { return in(filepath.Join(name, "checkpoints", step)) }
	if err := os.RemoveAll(in(filepath.Join(name, "model"))); err != nil {
		t.Fatal(err)
	}
	second, third := inspect(t, checkpoint("step-000002")), inspect(t, checkpoint("step-000003"))
	if second.WeightsSHA256 == third.WeightsSHA256 {
		t.Fatal("a step changed nothing")
	}
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(checkpoint(from), checkpoint(to)); err != nil {
			t.Fatal(err)
		}
	}
	rename("step-000002", "step-999999")
	rename("step-000003", "step-1000000")
	if got := inspect(t, in(name)); got != third {
		t.Errorf("inspect takes %v, want step 1000000's", got)
	}
	answer := must(t, "fill", in(name), "the reader [MASK]")
	if want := must(t, "fill", checkpoint("step-1000000"), "the reader [MASK]"); answer != want {
		t.Errorf("fill answers %s, want %s", answer, want)
	}
	file := checkpoint("step-1000000/model.safetensors")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := inspect(t, in(name)); got != second {
		t.Errorf("one whose hash is wrong is taken: %v", got)
	}
	rename("step-1000000", "step-1000000.damaged")
	if got := inspect(t, in(name)); got != second {
		t.Errorf("one that was put aside is taken: %v", got)
	}
	if want := must(t, "fill", checkpoint("step-999999"), "the reader [MASK]"); must(t, "fill", in(name), "the reader [MASK]") != want {
		t.Errorf("fill does not answer as step 999999 does")
	}
}
