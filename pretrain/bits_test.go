package pretrain

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"albert/internal/engine/cpu"
	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/numeric"
	"albert/internal/learn/examples"
	"albert/internal/learn/optim"
	"albert/internal/learn/pretraining"
	"albert/internal/learn/train"
	"albert/internal/model"
	"albert/internal/run"
)

// bitsRun is a short pretraining run with dropout whose batches have at least nine leaves of unequal length.
type bitsRun struct {
	set        string
	threads    int
	microBatch int
	steps      int
	precision  cpu.Precision
	batch      int // 0: 26 long examples
}

// memory is documents of sentences of pieces.
type memory [][][]int32

func (m memory) Documents() int { return len(m) }

func (m memory) Ends(doc int, _ []int32) (ends []int32) {
	n := 0
	for _, sentence := range m[doc] {
		n += len(sentence)
		ends = append(ends, int32(n))
	}
	return ends
}

func (m memory) Pieces(doc, from, to int, _ []int32) []int32 {
	return slices.Concat(m[doc]...)[from:to]
}

func (r bitsRun) hash(t *testing.T) string {
	t.Helper()
	rng := numeric.NewStream(8, numeric.PurposeSample, 0, 0, 0)
	var docs [][][]int32
	for range 60 {
		var doc [][]int32
		for range 2 + rng.Intn(40) {
			sentence := make([]int32, 3+rng.Intn(60))
			for i := range sentence {
				sentence[i] = int32(5 + rng.Intn(100))
			}
			doc = append(doc, sentence)
		}
		docs = append(docs, doc)
	}
	v := examples.Vocabulary{CLS: 2, SEP: 3, Mask: 4}
	for id := range int32(105) {
		v.Starts = append(v.Starts, id%3 != 1)
		if id > 4 {
			v.Normal = append(v.Normal, id)
		}
	}
	config := Defaults()
	config.MaxSeqLength, config.Seed = 400, 5
	if r.batch != 0 {
		config.MaxSeqLength = 64
	}
	sampler, err := examples.NewSampler(memory(docs), v, config.examples())
	if err != nil {
		t.Fatal(err)
	}
	c, _ := model.NamedConfig("base")
	c.VocabSize, c.EmbeddingSize, c.HiddenSize, c.IntermediateSize = 105, 16, 20, 44
	c.NumHiddenLayers, c.NumAttentionHeads, c.MaxPositionEmbeddings = 2, 2, 400
	c.HiddenDropoutProb, c.AttentionProbsDropoutProb = 0.1, 0.1
	m := model.New(c, 3)
	dev, err := cpu.New(r.set, r.threads)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if dev, err = dev.In(r.precision); err != nil {
		t.Fatal(err)
	}
	task := &pretraining.Learner{Objective: pretraining.Objective{Model: m, Device: dev, Seed: 3, Drop: model.Dropouts{Hidden: 0.1, Attention: 0.1}}, Sampler: sampler, BatchSize: cmp.Or(r.batch, 26), Mask: 4}
	b, err := task.Batch(1)
	if err != nil {
		t.Fatal(err)
	}
	leaves := train.Leaves(b)
	sizes := map[int]bool{}
	for _, l := range leaves {
		sizes[l.Pieces] = true
	}
	if r.batch == 0 && (len(leaves) < 9 || len(sizes) < 5) {
		t.Fatalf("%d leaves of %d sizes: the test wants more", len(leaves), len(sizes))
	}
	err = train.Run(context.Background(), train.Config{Dir: run.Dir(t.TempDir()), Steps: r.steps, Rate: optim.Schedule{LearningRate: 0.01, Steps: 40, Warmup: 4},
		Optimizer: optim.Config{Kind: optim.LAMB, WeightDecay: 0.01, Clip: 1}, MicroBatch: r.microBatch, Keep: 1, Quiet: true, Device: dev, Tensors: m.Tensors,
		Settings: train.Fields{{Name: "test", Value: 1}}}, m.Params, task)
	if err != nil {
		t.Fatal(err)
	}
	return m.Hash()
}

// TestBits: the weights after a run are the same for every number of threads, micro-batch size and instruction set.
func TestBits(t *testing.T) {
	best := kernel.Available()[len(kernel.Available())-1]
	want := bitsRun{set: best, threads: 1, steps: 2}.hash(t)
	for _, r := range []bitsRun{{set: best, threads: 2, steps: 2}, {set: best, threads: 7, steps: 2}, {set: best, threads: 2, microBatch: 1, steps: 2}, {set: best, threads: 1, microBatch: 5, steps: 2}} {
		if got := r.hash(t); got != want {
			t.Errorf("%+v: weights_sha256 %.12s, want %.12s", r, got, want)
		}
	}
	for _, set := range kernel.Available() {
		if got := (bitsRun{set: set, threads: 2, steps: 2}).hash(t); got != want {
			t.Errorf("%s: weights_sha256 %.12s, want %.12s", set, got, want)
		}
	}
	for _, p := range []cpu.Precision{cpu.BF16Tile, cpu.BF16Dot} {
		want := bitsRun{set: best, threads: 1, steps: 1, precision: p}.hash(t)
		for _, r := range []bitsRun{{set: best, threads: 2, steps: 1, precision: p}, {set: best, threads: 7, microBatch: 5, steps: 1, precision: p}} {
			if got := r.hash(t); got != want {
				t.Errorf("%+v: weights_sha256 %.12s, want %.12s", r, got, want)
			}
		}
	}
}

// golden is the weights_sha256 after 30 steps with this version of the numerics. If it changes, numeric.Version must be raised.
const golden = "10a55ed51011bcae5293e82248efbe2c50b51aa0c2715f8a7ff439e4a9c98fb4"

// goldenTile and goldenDot are golden's in bf16, in batches of four short examples, as plain Go takes its time.
const (
	goldenTile = "69a7e3ceeffa022f620c3e9544d26e3d383be9646fd3a864ecd3bc1dce2ec3c7"
	goldenDot  = "1688aaa3a482df49195116bf77b095c150e35245eec7fb88a344e28582cbc6a1"
)

func TestGoldenBits(t *testing.T) {
	got := bitsRun{threads: 2, steps: 30}.hash(t)
	if got != golden {
		t.Errorf("weights_sha256 after 30 steps is %s, want %s: raise numeric.Version (%d) with it", got, golden, numeric.Version)
	}
}

// TestGoldenBF16 holds plain Go and every kernel to the recorded bits of both rules.
func TestGoldenBF16(t *testing.T) {
	for p, want := range map[cpu.Precision]string{cpu.BF16Tile: goldenTile, cpu.BF16Dot: goldenDot} {
		for _, set := range kernel.Available() {
			if got := (bitsRun{set: set, threads: 2, steps: 30, precision: p, batch: 4}).hash(t); got != want {
				t.Errorf("%s, %s: weights_sha256 after 30 steps is %s, want %s: raise numeric.Version (%d) with it", p, set, got, want, numeric.Version)
			}
		}
	}
}
