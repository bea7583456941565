package quickstart

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/run"

	"albert/finetune"
	"albert/internal/text/corpus"
)

// The labelled task: which area of the standard library a sentence of its comments belongs to.
//
// An area is a top-level directory of several packages. Those left out have one or two packages, too few sentences, or no subject of
// their own (cmd, internal). What an area gives is bounded, so that no area is worth guessing.
var areas = []string{"compress", "crypto", "debug", "encoding", "go", "image", "math", "net", "os", "runtime"}

const (
	areaTrain     = 200 // sentences of an area at most: few labels, as people have who fine-tune; docs/quickstart.md has more and fewer
	areaDev       = 300
	areaDevShare  = 0.2 // whole packages are held out until they have this share of an area's sentences
	shortestWords = 8   // of a sentence; a shorter one rarely says where it is from
	longestWords  = 40  // what fits the model's length

	finetuneSteps  = 600
	finetuneRate   = 0.0005
	finetuneWarmup = 60
)

// Finetune is what result.json says of the labelled task. Accuracies are shares of the dev sentences, whose packages neither
// pretraining nor fine-tuning has seen.
type Finetune struct {
	Accuracy         float64  `json:"accuracy"`
	AccuracyScratch  float64  `json:"accuracy_scratch"`  // the same model and steps from random weights
	AccuracyMajority float64  `json:"accuracy_majority"` // the likeliest area of train, always
	StandardError    float64  `json:"standard_error"`    // of accuracy
	Labels           []string `json:"labels"`
	Train            int      `json:"train"` // sentences
	Dev              int      `json:"dev"`
}

// labelled is a sentence and its area, as a line of the files that fine-tuning reads.
type labelled struct {
	Text    string `json:"text"`
	Label   string `json:"label"`
	Package string `json:"package"`
}

// area is the top-level directory that a package is in.
func area(pkg string) string {
	top, _, _ := strings.Cut(pkg, "/")
	return top
}

// suitable tells the sentences that are asked about.
func suitable(sentence string) bool {
	n := strings.Count(sentence, " ") + 1
	return n >= shortestWords && n <= longestWords
}

// sum is a hash of a package's name, by which packages are held out.
func sum(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()
}

// heldOutPackages chooses the packages that nothing learns from: one in twenty for pretraining's evaluation, and of each area as many,
// by the hash of their names, as have a fifth of its sentences. One with more than two fifths stays in train.
func heldOutPackages(docs []corpus.Document) map[string]bool {
	held := map[string]bool{}
	sentences := map[string]int{} // of packages and areas
	for _, d := range docs {
		if sum(d.Name)%heldOut == 0 {
			held[d.Name] = true
		}
		for _, s := range d.Sentences {
			if suitable(s) {
				sentences[d.Name]++
				sentences["area "+area(d.Name)]++
			}
		}
	}
	for _, a := range areas {
		var names []string
		for _, d := range docs {
			if area(d.Name) == a && sentences[d.Name] > 0 && !slices.Contains(names, d.Name) {
				names = append(names, d.Name)
			}
		}
		slices.SortFunc(names, func(x, y string) int { return cmp.Compare(sum(x), sum(y)) })
		want, have := areaDevShare*float64(sentences["area "+a]), 0.0
		for _, n := range names {
			if held[n] {
				have += float64(sentences[n])
			}
		}
		for _, n := range names {
			if have >= want {
				break
			}
			if s := float64(sentences[n]); !held[n] && s <= 2*want {
				held[n] = true
				have += s
			}
		}
	}
	return held
}

// ofAreas gives the sentences of the areas, at most so many of each, evenly from all its packages.
func ofAreas(docs []corpus.Document, most int) []labelled {
	byArea := map[string][]labelled{}
	for _, d := range docs {
		a := area(d.Name)
		if !slices.Contains(areas, a) {
			continue
		}
		for _, s := range d.Sentences {
			if suitable(s) {
				byArea[a] = append(byArea[a], labelled{s, a, d.Name})
			}
		}
	}
	var out []labelled
	for _, a := range areas {
		all := byArea[a]
		n := min(len(all), most)
		for i := range n {
			out = append(out, all[i*len(all)/n])
		}
	}
	return out
}

// writeLabelled writes JSON lines.
func writeLabelled(path string, list []labelled) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, l := range list {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return disk.WriteFile(path, b.Bytes())
}

// majority is the share of dev that the likeliest label of train is right about.
func majority(train, dev []labelled) float64 {
	count := map[string]int{}
	best := ""
	for _, l := range train {
		if count[l.Label]++; count[l.Label] > count[best] {
			best = l.Label
		}
	}
	right := 0
	for _, l := range dev {
		if l.Label == best {
			right++
		}
	}
	return float64(right) / float64(max(1, len(dev)))
}

// runFinetune fine-tunes the pretrained model, and one from random weights, on the labelled task.
func runFinetune(ctx context.Context, o Options, t *text) (*Finetune, error) {
	train, dev := ofAreas(t.train, areaTrain), ofAreas(t.dev, areaDev)
	dir := filepath.Join(o.Output, "areas")
	if err := disk.MkdirAll(dir); err != nil {
		return nil, err
	}
	trainFile, devFile := filepath.Join(dir, "train.jsonl"), filepath.Join(dir, "dev.jsonl")
	if err := writeLabelled(trainFile, train); err != nil {
		return nil, err
	}
	if err := writeLabelled(devFile, dev); err != nil {
		return nil, err
	}
	steps := min(finetuneSteps, o.Steps) // a short trial is short here, too
	warmup := min(finetuneWarmup, steps/2)
	accuracy := func(name string, scratch bool) (float64, error) {
		// One evaluation, at the end: the dev set chooses nothing.
		c := finetune.Defaults()
		c.Model, c.Output, c.Task = run.Dir(o.Output).Model(), filepath.Join(o.Output, name), "classify"
		c.Train, c.Dev, c.Scratch, c.MaxSeqLength = []string{trainFile}, []string{devFile}, scratch, maxSeqLength
		c.LearningRate, c.BatchSize, c.Steps, c.WarmupSteps, c.Seed = finetuneRate, batchSize, steps, &warmup, o.Seed
		c.EvalEvery, c.SaveEvery, c.Threads, c.Quiet, c.Messages = steps, max(1, steps/3), o.Threads, o.Quiet, o.Log
		r, err := finetune.Run(ctx, c)
		if err != nil {
			return 0, begunAnew(o, stopped(ctx, err))
		}
		if v := r.Runs[0].Value; v != nil {
			return *v, nil
		}
		return 0, fmt.Errorf("%s: %s", filepath.Join(o.Output, name), r.Undefined)
	}
	var err error
	f := &Finetune{Labels: areas, Train: len(train), Dev: len(dev), AccuracyMajority: majority(train, dev)}
	if f.Accuracy, err = accuracy("finetune", false); err != nil {
		return nil, err
	}
	if f.AccuracyScratch, err = accuracy("scratch", true); err != nil {
		return nil, err
	}
	f.StandardError = standardError(f.Accuracy, f.Dev)
	return f, nil
}

// showFinetune prints the labelled task beside its baselines, three held-out sentences, and what to type next.
func showFinetune(o Options, f *Finetune) {
	w := o.Out
	fmt.Fprintf(w, "\nFine-tuned on %d sentences: which of %d areas of the standard library is each from (%s)?\n", f.Train, len(f.Labels),
		strings.Join(f.Labels, ", "))
	fmt.Fprintf(w, "Measured on %d sentences of packages that neither pretraining nor fine-tuning has seen.\n\n", f.Dev)
	fmt.Fprintf(w, "%-34s %9s %12s\n", "", "accuracy", "std. error")
	row := func(name string, p float64, more string) {
		fmt.Fprintf(w, "%-34s %8.1f%% %11.1f%%%s\n", name, 100*p, 100*standardError(p, f.Dev), more)
	}
	gain := f.Accuracy - f.AccuracyScratch
	row("pretrained, then fine-tuned", f.Accuracy, fmt.Sprintf("   %+.1f points by pretraining (std. error %.1f)", 100*gain,
		100*math.Hypot(standardError(f.Accuracy, f.Dev), standardError(f.AccuracyScratch, f.Dev))))
	row("from random weights", f.AccuracyScratch, "")
	row("the likeliest area, always", f.AccuracyMajority, "")
}
