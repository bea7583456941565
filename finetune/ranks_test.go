package finetune

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"albert/internal/engine/mpi"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/train"
	"albert/internal/run"
	"albert/internal/text/dataset"
)

// byRanks is Run by so many ranks; one of them stops after a while, unless that is 0.
func byRanks(t *testing.T, c Config, n int, stopAfter time.Duration) error {
	t.Helper()
	errs := make([]error, n)
	var group sync.WaitGroup
	for rank, w := range mpi.Loopback(n, mpi.Delay(uint64(n))) {
		group.Go(func() {
			ctx := t.Context()
			if stopAfter > 0 && rank == n-1 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, stopAfter)
				defer cancel()
			}
			c := c
			c.World, c.Threads = w, 1+rank%2
			_, err := Run(ctx, c)
			errs[rank] = errors.Join(err, w.Close())
		})
	}
	group.Wait()
	for rank, err := range errs {
		if (err == nil) != (errs[0] == nil) || errors.Is(err, train.ErrStopped) != errors.Is(errs[0], train.ErrStopped) {
			t.Fatalf("rank %d of %d: %v; rank 0: %v", rank, n, err, errs[0])
		}
	}
	return errs[0]
}

// outcome is what must not depend on the number of ranks: the weights, and the log without times.
func outcome(t *testing.T, dir string) (hash string, log []string) {
	t.Helper()
	x, err := formats.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(run.Dir(dir).Log())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		delete(row, "tokens_per_second")
		log = append(log, fmt.Sprint(row))
	}
	return x.Hash(), log
}

// Every kind of task gives several ranks the weights and the log of one process, also stopped anywhere and gone on with by another number.
func TestRanksSameBits(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	for name, d := range map[string]splits{
		"classify": {Train: []string{jsonl(t, 1, 400, classified, dir, "texts.jsonl")}, Dev: []string{jsonl(t, 2, 40, classified, dir, "texts-dev.jsonl")}},
		"squad2":   {Train: []string{squad(t, 1, 300, true, dir, "squad.json")}, Dev: []string{squad(t, 2, 30, true, dir, "squad-dev.json")}},
		"embed":    {Train: []string{jsonl(t, 1, 400, paired, dir, "pairs.jsonl")}, Dev: []string{jsonl(t, 2, 40, scored, dir, "pairs-dev.jsonl")}},
	} {
		c := config(t, name, m, filepath.Join(dir, name), d)
		drop, warmup := float32(0.1), 2
		c.Steps, c.EvalEvery, c.BatchSize, c.Dropout, c.WarmupSteps = 6, 2, 260, &drop, &warmup
		if _, err := Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		hash, log := outcome(t, c.Output)
		check := func(what string) {
			if h, l := outcome(t, c.Output); h != hash || !slices.Equal(l, log) {
				t.Errorf("%s, %s: weights_sha256 %.12s, want %.12s; log\n%s\nwant\n%s", name, what, h, hash, strings.Join(l, "\n"), strings.Join(log, "\n"))
			}
		}
		for _, n := range map[string][]int{"classify": {2, 8}, "squad2": {3, 5}, "embed": {2, 3}}[name] {
			c.Output = filepath.Join(dir, fmt.Sprint(name, n))
			if err := byRanks(t, c, n, 0); err != nil {
				t.Fatalf("%s, %d ranks: %v", name, n, err)
			}
			check(fmt.Sprint(n, " ranks"))
		}
		c.Output = filepath.Join(dir, name+"-parts")
		starts := 0
		for stop := 250 * time.Millisecond; ; stop += time.Duration(rng.IntN(200)) * time.Millisecond {
			starts++
			if err := byRanks(t, c, 1+rng.IntN(5), stop); err == nil {
				break
			} else if !errors.Is(err, train.ErrStopped) {
				t.Fatalf("%s, start %d: %v", name, starts, err)
			}
		}
		t.Logf("%s: %d starts", name, starts)
		check("in parts")
	}
}

// What is wrong on one rank alone ends all.
func TestRanksRefuseTogether(t *testing.T) {
	m := pretrained(t)
	dir := t.TempDir()
	d := splits{Train: []string{jsonl(t, 1, 40, classified, dir, "train.jsonl")}, Dev: []string{jsonl(t, 2, 40, classified, dir, "dev.jsonl")}}
	for want, change := range map[string]func(c *Config){
		"rank 1: ":     func(c *Config) { c.Train = []string{filepath.Join(dir, "none.jsonl")} },
		"batch-size":   func(c *Config) { c.BatchSize = 3 },
		"dev data":     func(c *Config) { c.Dev = d.Train },
		"one process":  func(c *Config) { c.OverfitOneBatch = true },
		"LearningRate": func(c *Config) { c.LearningRate = -1 },
	} {
		errs := make([]error, 2)
		var group sync.WaitGroup
		for rank, w := range mpi.Loopback(2) {
			group.Go(func() {
				c := config(t, "classify", m, filepath.Join(dir, "run"), d)
				c.World = w
				if rank == 1 {
					change(&c)
				}
				_, err := Run(t.Context(), c)
				errs[rank] = errors.Join(err, w.Close())
			})
		}
		group.Wait()
		for rank, err := range errs {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("rank %d: %v, want %q", rank, err, want)
			}
		}
	}
}

// Ranks share the evaluations of every kind of task, those of the result on the dev set and of the test set too, and all that a run writes is that of
// one process.
func TestRanksEvaluateTogether(t *testing.T) {
	m, dir := pretrained(t), t.TempDir()
	data := map[string]splits{
		"squad1": {Train: []string{squad(t, 1, 40, false, dir, "squad1.json")}, Dev: []string{squad(t, 2, 50, false, dir, "squad1-dev.json")}},
		"squad2": {Train: []string{squad(t, 1, 40, true, dir, "squad2.json")}, Dev: []string{squad(t, 2, 50, true, dir, "squad2-dev.json")}},
		"mnli":   {Dir: mnliFolder(t)},
		"embed":  {Train: []string{jsonl(t, 1, 40, paired, dir, "pairs.jsonl")}, Dev: []string{jsonl(t, 2, 50, scored, dir, "pairs-dev.jsonl")}},
		"search": {Train: []string{jsonl(t, 1, 40, paired, dir, "search.jsonl")}, Dev: []string{beir(t, filepath.Join(dir, "beir"))}},
	}
	for name, k := range kinds {
		data[name] = splits{Train: []string{jsonl(t, 1, 40, k.one, dir, name+".jsonl")}, Dev: []string{jsonl(t, 2, 50, k.one, dir, name+"-dev.jsonl")}}
	}
	for name, d := range data {
		if d.Test = d.Dev; name == "embed" || name == "search" || name == "mnli" {
			d.Test = nil
		}
		var want map[string]string
		examples := int64(0) // that one process evaluates
		for _, n := range []int{1, 2, 3, 5} {
			c := config(t, strings.Replace(name, "search", "embed", 1), m, filepath.Join(dir, fmt.Sprint(name, n)), d)
			warmup := 0
			c.Steps, c.EvalEvery, c.BatchSize, c.WarmupSteps = 2, 1, 8, &warmup
			traces, errs := make([]infer.Trace, n), make([]error, n)
			var group sync.WaitGroup
			for rank, w := range mpi.Loopback(n, mpi.Delay(uint64(n))) {
				group.Go(func() {
					c := c
					c.World, c.Threads = w, 1
					_, err := Run(infer.WithTrace(t.Context(), &traces[rank]), c)
					errs[rank] = errors.Join(err, w.Close())
				})
			}
			group.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Fatalf("%s, %d ranks: %v", name, n, err)
			}
			hash, log := outcome(t, c.Output)
			got := map[string]string{"weights_sha256": hash, "log": strings.Join(log, "\n")}
			files, err := os.ReadDir(c.Output)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if ext := filepath.Ext(f.Name()); f.IsDir() || ext == ".jsonl" || ext == ".zip" || f.Name() == run.ManifestFile || f.Name() == "plan.json" {
					continue
				}
				text, err := os.ReadFile(filepath.Join(c.Output, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				got[f.Name()] = strings.ReplaceAll(string(text), c.Output, "RUN")
			}
			if n == 1 {
				want, examples = got, traces[0].Examples.Load()
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s, %d ranks:\n%v\nwant\n%v", name, n, got, want)
			}
			sum := int64(0)
			for rank := range traces {
				count := traces[rank].Examples.Load()
				if sum += count; count < examples/int64(n)-30 || count > examples/int64(n)+30 {
					t.Errorf("%s: rank %d of %d evaluates %d of %d examples", name, rank, n, count, examples)
				}
			}
			if sum != examples {
				t.Errorf("%s: %d ranks evaluate %d examples, one process %d", name, n, sum, examples)
			}
		}
	}
}

// A rank whose data cannot be evaluated, here because a file was changed after it was read, ends all with that error.
func TestRanksFailInEvaluation(t *testing.T) {
	defer func(old int) { dataset.KeptTexts = old }(dataset.KeptTexts)
	dataset.KeptTexts = 0 // so that it is read again
	m, dir := pretrained(t), t.TempDir()
	for rank := range 3 {
		var errs [3]error
		var group sync.WaitGroup
		for r, w := range mpi.Loopback(3, mpi.Delay(1)) {
			group.Go(func() {
				held := beir(t, filepath.Join(dir, fmt.Sprint(rank, r)))
				c := config(t, "embed", m, filepath.Join(dir, fmt.Sprint("run", rank)), splits{Train: []string{jsonl(t, 1, 40, paired, dir, fmt.Sprint(rank, r, ".jsonl"))}, Dev: []string{held}})
				c.World, c.Steps, c.EvalEvery, c.BatchSize = w, 2, 1, 8
				if r == rank {
					c.World = &spoiled{World: w, spoil: sync.OnceFunc(func() { write(t, []string{`{"_id":"other","text":"text"}`}, held, "corpus.jsonl") })}
				}
				_, err := Run(t.Context(), c)
				errs[r] = errors.Join(err, w.Close())
			})
		}
		group.Wait()
		for r, err := range errs {
			if err == nil || !strings.HasPrefix(err.Error(), "evaluation after step 1: ") || !strings.Contains(err.Error(), "the file was changed while it was read") || strings.Contains(err.Error(), "\n") {
				t.Errorf("rank %d fails, rank %d: %v", rank, r, err)
			}
		}
	}
}

// spoiled is a world in which something happens once training has begun.
type spoiled struct {
	mpi.World
	spoil func()
}

func (s *spoiled) Send(to, tag int, data []byte) mpi.Request {
	if len(data) > 2000 { // a gradient's slice
		s.spoil()
	}
	return s.World.Send(to, tag, data)
}
