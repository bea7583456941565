package quickstart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"albert/internal/learn/train"
	"albert/internal/run"
	"albert/internal/text/corpus"
	"albert/pretrain"
	"albert/tokenizer"
	"albert/tokenizer/spmtrain"
)

// installation writes what looks like a Go installation: packages with comments of made-up words, enough of them for the vocabulary.
func installation(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	lot := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 8000)
	for i := range words {
		for range 2 + lot.IntN(3) {
			words[i] += string("bcdfghklmnprstvz"[lot.IntN(16)]) + string("aeiou"[lot.IntN(5)])
		}
	}
	for a, name := range append([]string{"cmd", "strings"}, areas...) {
		for p := range 6 {
			dir := filepath.Join(root, "src", name, fmt.Sprintf("p%d", p))
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for i := range 70 {
				fmt.Fprintf(&b, "// F%d", i)
				for range 6 + lot.IntN(12) {
					fmt.Fprintf(&b, " %s", words[(a*500+lot.IntN(1500))%len(words)])
				}
				fmt.Fprintf(&b, ".\nfunc F%d() {}\n\n", i)
			}
			if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte("package p\n\n"+b.String()), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func options(t *testing.T, root string) Options {
	return Options{Output: filepath.Join(t.TempDir(), "out"), GOROOT: root, Steps: 3, Seed: 1, Quiet: true, Out: io.Discard, Log: io.Discard}
}

// All of it in few steps; again it shows the same; after a stop it goes on to the same result; other files are left alone.
func TestQuickstart(t *testing.T) {
	root := installation(t)
	o := options(t, root)
	var first bytes.Buffer
	o.Out = &first
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	r, err := readResult(o.Output)
	if err != nil {
		t.Fatal(err)
	}
	f := r.Finetune
	if f == nil || !slices.Equal(f.Labels, areas) || f.Train < 1000 || f.Dev < 200 || r.MLMMaskedCount == 0 || r.SOPCount == 0 || r.WeightsSHA256 == "" {
		t.Fatalf("%+v, %+v", r, f)
	}
	if want := standardError(f.Accuracy, f.Dev); f.StandardError != want || math.Abs(f.AccuracyMajority-0.1) > 0.06 {
		t.Errorf("%+v, want a standard error of %g", f, want)
	}
	for _, want := range []string{"masked pieces", "pretrained, then fine-tuned", "from random weights", "the likeliest area, always"} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("not shown: %s\n%s", want, first.String())
		}
	}
	lines := strings.Split(strings.TrimSpace(first.String()), "\n")
	if want := "albert predict " + filepath.Join(o.Output, "finetune") + ` "`; !strings.Contains(lines[len(lines)-1], want) {
		t.Errorf("the last line is %q, want %q", lines[len(lines)-1], want)
	}

	var again bytes.Buffer
	o.Out = &again
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, shown, _ := strings.Cut(again.String(), "anew).\n\n"); shown != first.String() {
		t.Errorf("a finished one shows\n%s\nwas\n%s", again.String(), first.String())
	}

	// Stopped between pretraining and fine-tuning.
	half := *r
	half.Finetune = nil
	if err := run.Dir(o.Output).WriteResult(&half); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(o.Output, "scratch")); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if r, err := readResult(o.Output); err != nil || r.Finetune == nil || r.Finetune.Accuracy != f.Accuracy || r.Finetune.AccuracyScratch != f.AccuracyScratch {
		t.Errorf("%v: after a stop %+v, want %+v", err, r, f)
	}

	o.Seed++
	if err := os.Remove(filepath.Join(o.Output, "result.json")); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "--force begins") {
		t.Errorf("another seed: %v", err)
	}
	o.Seed--

	done, cancel := context.WithCancel(t.Context())
	cancel()
	o.Force = true
	if err := Run(done, o); !errors.Is(err, train.ErrStopped) {
		t.Errorf("stopped: %v", err)
	}

	other := options(t, root)
	other.Output, other.Force = filepath.Join(root, "src"), true
	if err := Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), "holds other files") {
		t.Errorf("a directory of other files: %v", err)
	}
	other = options(t, t.TempDir())
	if err := Run(t.Context(), other); err == nil || !strings.Contains(err.Error(), "is no Go installation") {
		t.Errorf("no Go installation: %v", err)
	}
}

// --force begins anew what says that it is a quickstart's, however far it came, and touches nothing else.
func TestForce(t *testing.T) {
	make := func(files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	prepared := t.TempDir() // one that was made before there was a marker, stopped before its first step
	so := spmtrain.DefaultOptions()
	so.VocabSize = 28
	m, _, err := spmtrain.Train(t.Context(), func(yield func(string, error) bool) {
		for range 50 {
			if !yield("every word of these is there", nil) {
				return
			}
		}
	}, so)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(m.Marshal(), tokenizer.DefaultOptions)
	if err != nil {
		t.Fatal(err)
	}
	docs := slices.Repeat([]corpus.Document{{Name: "p", Sentences: []string{"every word", "is there"}}}, 3)
	_, err = corpus.Prepare(t.Context(), corpus.PrepareOptions{Output: run.Dir(prepared).Data("train"), Tokenizer: tok, Cleanup: pretrain.CleanupName(tok),
		Inputs: []string{trainName}, Documents: documents(docs)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, dir string
		ours      bool
	}{
		{"another run", make(map[string]string{"manifest.json": "{}", "tokenizer/spiece.model": "x"}), false},
		{"a tokenizer", make(map[string]string{"tokenizer/spiece.model": "x"}), false},
		{"a fine-tuning's result", make(map[string]string{"manifest.json": "{}", "result.json": `{"task": "rte"}`}), false},
		{"nothing", make(nil), true},
		{"a marked tokenizer", make(map[string]string{"quickstart.json": "{}", "tokenizer/spiece.model": "x"}), true},
		{"an old result", make(map[string]string{"result.json": `{"train_words": 9, "dev_documents": 2}`}), true},
		{"an old one that was stopped", prepared, true},
	} {
		o := Options{Output: c.dir, Force: true}
		before, err := os.ReadDir(c.dir)
		if err != nil {
			t.Fatal(err)
		}
		err = begin(o)
		after, e := os.ReadDir(c.dir)
		switch {
		case e != nil:
			t.Error(e)
		case c.ours && (err != nil || len(after) != 1):
			t.Errorf("%s: %v, %v is left", c.name, err, after)
		case !c.ours && (err == nil || strings.Contains(err.Error(), "\n") || len(after) != len(before)):
			t.Errorf("%s: %v, %v is left of %v", c.name, err, after, before)
		}
	}
}

// Train and dev of the labelled task share no package and no sentence, and every area has packages in both.
func TestAreas(t *testing.T) {
	o := options(t, installation(t))
	all, err := read(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	train, dev := ofAreas(all.train, 150), ofAreas(all.dev, 30)
	packages := map[string]map[string]bool{} // by "split area"
	seen := map[string]bool{}
	for split, list := range map[string][]labelled{"train": train, "dev": dev} {
		for _, l := range list {
			key := split + " " + l.Label
			if packages[key] == nil {
				packages[key] = map[string]bool{}
			}
			packages[key][l.Package] = true
			if seen[l.Text] {
				t.Errorf("twice: %s", l.Text)
			}
			seen[l.Text] = true
			if area(l.Package) != l.Label || !suitable(l.Text) {
				t.Errorf("%+v", l)
			}
		}
	}
	for _, a := range areas {
		if len(packages["train "+a]) < 2 || len(packages["dev "+a]) < 1 {
			t.Errorf("%s: %v in train, %v in dev", a, packages["train "+a], packages["dev "+a])
		}
		for p := range packages["dev "+a] {
			if packages["train "+a][p] {
				t.Errorf("%s is in train and dev", p)
			}
		}
	}
}

// A package with most of an area's sentences is not held out.
func TestLargePackageStays(t *testing.T) {
	sentence := "This one has as many words as are asked for."
	docs := []corpus.Document{{Name: "image", Sentences: slices.Repeat([]string{sentence}, 100)}}
	for i := range 10 {
		docs = append(docs, corpus.Document{Name: fmt.Sprintf("image/p%d", i), Sentences: slices.Repeat([]string{sentence}, 5)})
	}
	held := heldOutPackages(docs)
	if held["image"] || len(held) < 6 {
		t.Errorf("%v", held)
	}
}

func TestMajority(t *testing.T) {
	list := func(labels string) (out []labelled) {
		for _, l := range labels {
			out = append(out, labelled{Label: string(l)})
		}
		return out
	}
	if got := majority(list("abbc"), list("abcb")); got != 0.5 {
		t.Errorf("%g", got)
	}
	if got := majority(list("aab"), list("bbb")); got != 0 {
		t.Errorf("%g", got)
	}
}
