package pretrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"albert/internal/engine/mpi"
	"albert/internal/learn/train"
	"albert/internal/run"
)

// byRanks is Run by so many ranks; one of them stops after a while, unless that is 0.
func byRanks(t *testing.T, c Config, n int, stopAfter time.Duration) (*Result, error) {
	t.Helper()
	results, errs := make([]*Result, n), make([]error, n)
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
			r, err := Run(ctx, c)
			results[rank], errs[rank] = r, errors.Join(err, w.Close())
		})
	}
	group.Wait()
	for rank, err := range errs {
		if (err == nil) != (errs[0] == nil) || errors.Is(err, train.ErrStopped) != errors.Is(errs[0], train.ErrStopped) {
			t.Fatalf("rank %d of %d: %v; rank 0: %v", rank, n, err, errs[0])
		}
	}
	return results[0], errs[0]
}

func logOf(t *testing.T, dir string) (log []string) {
	t.Helper()
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
	return log
}

// Any number of ranks gives the weights and the log of one process, in every precision, also stopped anywhere and gone on with by another number.
func TestRanksSameBits(t *testing.T) {
	dir := t.TempDir()
	c := tiny(t, dir)
	c.BatchSize, c.Steps, c.EvalEvery, c.SaveEvery, c.WarmupSteps, c.LearningRate = 200, 5, 2, 2, 1, 0.01
	rng := rand.New(rand.NewPCG(1, 1))
	for _, x := range []struct {
		optimizer, precision string
		ranks                []int
	}{{"lamb", "fp32", []int{3, 8}}, {"adamw", "bf16-tile", []int{3}}, {"adamw", "bf16-dot", []int{2}}} {
		name := x.optimizer + x.precision
		c.Optimizer, c.Precision, c.Output = x.optimizer, x.precision, filepath.Join(dir, name)
		want, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		log := logOf(t, c.Output)
		check := func(got *Result, what string) {
			if l := logOf(t, c.Output); got.Hash != want.Hash || !slices.Equal(l, log) {
				t.Errorf("%s, %s: weights_sha256 %.12s, want %.12s; log\n%s\nwant\n%s", name, what, got.Hash, want.Hash, strings.Join(l, "\n"), strings.Join(log, "\n"))
			}
		}
		for _, n := range x.ranks {
			c.Output = filepath.Join(dir, fmt.Sprint(name, n))
			got, err := byRanks(t, c, n, 0)
			if err != nil {
				t.Fatalf("%s, %d ranks: %v", name, n, err)
			}
			check(got, fmt.Sprint(n, " ranks"))
		}
		if x.precision != "fp32" {
			continue
		}
		c.Output = filepath.Join(dir, name+"-parts")
		starts := 0
		for stop := 400 * time.Millisecond; ; stop += time.Duration(rng.IntN(200)) * time.Millisecond {
			starts++
			got, err := byRanks(t, c, 1+rng.IntN(5), stop)
			if err == nil {
				check(got, "in parts")
				break
			} else if !errors.Is(err, train.ErrStopped) {
				t.Fatalf("%s, start %d: %v", name, starts, err)
			}
		}
		t.Logf("%s: %d starts", name, starts)
	}
}
