package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/learn/optim"
	"albert/internal/run"
)

// threads is a device of n goroutines.
type threads int

func (d threads) Kernels() *kernel.Set {
	k, err := kernel.Select("")
	if err != nil {
		panic(err)
	}
	return k
}

func (d threads) RunLarge(n int, f func(int)) { d.Run(n, f) }

func (d threads) Run(n int, f func(int)) {
	var wg sync.WaitGroup
	for t := range int(d) {
		wg.Go(func() {
			for i := t; i < n; i += int(d) {
				f(i)
			}
		})
	}
	wg.Wait()
}

// squares is a tiny task: least squares, a few features a piece, sequences of uneven length. It stands for a language model.
type squares struct {
	params    *ops.Params
	w, bias   *ops.Param
	sequences int
	features  int

	bad      func(step int) bool             // steps whose loss is not finite
	onLeaf   func(step, a, b int)            // told of each leaf
	leaf     func(step int) error            // called by Leaf
	evaluate func(ctx context.Context) error // called by Evaluate
	term     func(feature int) error         // called by Evaluate for each feature
	batch    func(step int) error            // called by Batch
	metric   func(step int) float64          // "accuracy" of the evaluation after a step; nil: from the weights
	last     int                             // the step that ran last
}

func newSquares(sequences, features int) *squares {
	s := &squares{sequences: sequences, features: features, w: ops.NewParam("layer.weight", 1, features), bias: ops.NewParam("layer.bias", 1)}
	stream := numeric.NewStream(1, numeric.PurposeInit, 0, 0, 0)
	for i := range s.w.Data {
		s.w.Data[i] = float32(stream.Normal())
	}
	s.params = ops.NewParams([]*ops.Param{s.w, s.bias})
	return s
}

type squaresBatch struct {
	*squares
	step    int
	lengths []int
	found   []float64 // a loss for each sequence
	next    int
}

func (s *squares) Batch(step int) (Batch, error) {
	if s.batch != nil {
		if err := s.batch(step); err != nil {
			return nil, err
		}
	}
	b := &squaresBatch{squares: s, step: step}
	stream := numeric.NewStream(2, numeric.PurposeCut, uint32(step), 0, 0)
	b.found = make([]float64, s.sequences)
	for range s.sequences {
		b.lengths = append(b.lengths, 1+stream.Intn(512))
	}
	return b, nil
}

func (b *squaresBatch) Len() int             { return len(b.lengths) }
func (b *squaresBatch) Pieces(i int) int     { return b.lengths[i] }
func (b *squaresBatch) Example(i int) string { return fmt.Sprintf("%d/%d", b.step, i) }

func (b *squaresBatch) Found(from, to int) []float64 { return b.found[from:to] }

func (b *squaresBatch) Leaf(g *ops.Grads, from, to int) error {
	if from < b.next { // another rank may have done those before
		return fmt.Errorf("leaf from %d, want %d", from, b.next)
	}
	b.next = to
	b.last = b.step
	if b.onLeaf != nil {
		b.onLeaf(b.step, from, to)
	}
	if b.leaf != nil {
		if err := b.leaf(b.step); err != nil {
			return err
		}
	}
	gw, gb := g.Of(b.w), g.Of(b.bias)
	for i := from; i < to; i++ {
		stream := numeric.NewStream(3, numeric.PurposeMask, uint32(b.step), uint32(i), 0)
		for range 1 + b.lengths[i]/64 {
			j := stream.Intn(b.features)
			x := float32(stream.Float64())
			y := float32(j%10) / 10
			d := float32(b.w.Data[j]*x) + b.bias.Data[0] - y
			b.found[i] += float64(d) * float64(d)
			d /= float32(len(b.lengths))
			gw[j] += float32(d * x)
			gb[0] += d
		}
	}
	return nil
}

func (b *squaresBatch) Report() Fields {
	loss := 0.0
	for _, x := range b.found {
		loss += x
	}
	loss /= float64(len(b.lengths))
	if b.bad != nil && b.bad(b.step) {
		loss = math.NaN()
	}
	return Fields{{Name: "loss", Value: loss}, {Name: "mlm_loss", Value: loss}}
}

type weight struct {
	Feature int
	Weight  float32
}

// terms are what Evaluate adds up.
func (s *squares) terms(ctx context.Context, weights iter.Seq[float32]) iter.Seq2[weight, error] {
	return func(yield func(weight, error) bool) {
		for w := range weights {
			j := slices.Index(s.w.Data, w)
			var err error
			if s.term != nil {
				err = s.term(j)
			}
			if err == nil {
				err = ctx.Err()
			}
			if !yield(weight{j, w}, err) || err != nil {
				return
			}
		}
	}
}

func (s *squares) Evaluate(ctx context.Context) (Fields, error) {
	if s.evaluate != nil {
		if err := s.evaluate(ctx); err != nil {
			return nil, err
		}
	}
	d := 0.0
	for x, err := range Shared(ctx, slices.Values(s.w.Data), s.terms) {
		if err != nil {
			return nil, err
		}
		d += math.Abs(float64(x.Weight) - float64(x.Feature%10)/10)
	}
	accuracy := 1 / (1 + d)
	if s.metric != nil {
		accuracy = s.metric(s.last)
	}
	return Fields{{Name: "loss", Value: d}, {Name: "accuracy", Value: accuracy}}, nil
}

// testConfig is a run of 20 steps over the task's parameters.
func testConfig(dir string) Config {
	return Config{
		Dir: run.Dir(dir), Steps: 20, Rate: optim.Schedule{LearningRate: 0.05, Steps: 20, Warmup: 3},
		Optimizer: optim.Config{Kind: optim.LAMB, WeightDecay: 0.01, Clip: 1},
		EvalEvery: 5, SaveEvery: 4, Keep: 2, Best: "accuracy",
		Settings:   Fields{{Name: "learning-rate", Value: 0.05}, {Name: "batch-size", Value: 40}, {Name: "threads", Value: 1}},
		Changeable: []string{"threads", "micro-batch-size", "save-every", "keep", "max-time", "quiet"},
		Data:       Fields{{Name: "train", Value: "abc"}},
		Files:      map[string][]byte{"config.json": []byte("{}\n")},
		Device:     threads(1),
	}
}

// result is what must not depend on how a run was interrupted: all weights and moments, and the log without times.
type result struct {
	tensors string
	log     []string
}

func resultOf(t *testing.T, dir string, steps int) result {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(run.Dir(dir).Checkpoint(steps), run.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	return result{string(text), logRows(t, dir)}
}

// logRows are the rows of log.jsonl, without the times.
func logRows(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(run.Dir(dir).Log())
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(text)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		delete(row, "tokens_per_second")
		b, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, string(b))
	}
	return rows
}

func (r result) mustEqual(t *testing.T, want result, what string) {
	t.Helper()
	if r.tensors != want.tensors {
		t.Errorf("%s: other weights or moments", what)
	}
	if !slices.Equal(r.log, want.log) {
		t.Errorf("%s: another log:\n%s\nwant\n%s", what, strings.Join(r.log, "\n"), strings.Join(want.log, "\n"))
	}
}

// uninterrupted is the result of testConfig on newSquares(40, 30).
var uninterrupted = sync.OnceValue(func() result {
	dir, err := os.MkdirTemp("", "train")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	s := newSquares(40, 30)
	if err := Run(context.Background(), testConfig(dir), s.params, s); err != nil {
		panic(err)
	}
	return resultOf(new(testing.T), dir, 20)
})

// copyDir copies a run directory as it stands: what a kill at this moment would leave.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o777)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.Create(target)
		if err != nil {
			return err
		}
		defer out.Close()
		_, err = io.Copy(out, in)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// messages collects what a run says.
func messages(c *Config) *bytes.Buffer {
	b := new(bytes.Buffer)
	c.Messages = b
	return b
}

// mustBeClean holds that nothing of an unfinished write is left in a run directory.
func mustBeClean(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name := d.Name(); path != dir && strings.HasPrefix(name, ".") && name != ".lock" {
			t.Errorf("left behind: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mustBeEmpty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%s holds %v, %v", dir, entries, err)
	}
}
