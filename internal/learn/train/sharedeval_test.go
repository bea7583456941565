package train

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"albert/internal/engine/mpi"
)

// sharedOn runs Shared over n numbers on so many ranks: f computes one of them on a rank. It gives rank 0's results and the ranks' errors.
func sharedOn(t *testing.T, ranks, n int, f func(rank, x int) error, contexts map[int]context.Context) (results []int, errs []error) {
	t.Helper()
	errs = make([]error, ranks)
	var group sync.WaitGroup
	for rank, w := range mpi.Loopback(ranks, mpi.Delay(uint64(n))) {
		group.Go(func() {
			ctx := t.Context()
			if c, ok := contexts[rank]; ok {
				ctx = c
			}
			run := func(ctx context.Context, items iter.Seq[int]) iter.Seq2[struct{ Square int }, error] {
				return func(yield func(struct{ Square int }, error) bool) {
					for x := range items {
						err := ctx.Err()
						if err == nil {
							err = f(rank, x)
						}
						if !yield(struct{ Square int }{x * x}, err) || err != nil {
							return
						}
					}
				}
			}
			items := func(yield func(int) bool) {
				for x := range n {
					if !yield(x) {
						return
					}
				}
			}
			for x, err := range Shared(WithRanks(ctx, w), items, run) {
				if err == nil && rank == 0 {
					results = append(results, x.Square)
				}
				errs[rank] = err
			}
			errs[rank] = errors.Join(errs[rank], w.Close())
		})
	}
	group.Wait()
	return results, errs
}

// Every rank computes its share, the same number of items but for one, and rank 0 has all results in their order.
func TestSharedIsSharedOut(t *testing.T) {
	for _, ranks := range []int{1, 2, 3, 5, 8} {
		for _, n := range []int{0, 1, 7, groupSize * ranks, groupSize*ranks + 1, 200} {
			var mu sync.Mutex
			count := make([]int, ranks)
			results, errs := sharedOn(t, ranks, n, func(rank, x int) error {
				mu.Lock()
				defer mu.Unlock()
				count[rank]++
				return nil
			}, nil)
			for rank, err := range errs {
				if rank == 0 && err != nil || rank > 0 && !errors.Is(err, ErrElsewhere) {
					t.Fatalf("%d of %d ranks: %v", rank, ranks, err)
				}
				if want := (n + ranks - 1 - rank) / ranks; count[rank] != want {
					t.Errorf("rank %d of %d computes %d of %d items, want %d", rank, ranks, count[rank], n, want)
				}
			}
			want := []int(nil)
			for x := range n {
				want = append(want, x*x)
			}
			if !slices.Equal(results, want) {
				t.Errorf("%d ranks, %d items: %v", ranks, n, results)
			}
		}
	}
}

// What fails on one rank, or a wish to stop there, ends the work of all, however much of it is left; all have that error.
func TestSharedFailsTogether(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for rank := range 3 {
		_, errs := sharedOn(t, 3, 1<<40, func(r, x int) error {
			if r == rank && x > 100 {
				return errors.New("it is broken")
			}
			return nil
		}, nil)
		for r, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "it is broken") || strings.Contains(err.Error(), "\n") || rank > 0 && !strings.Contains(err.Error(), fmt.Sprint("rank ", rank)) {
				t.Errorf("rank %d fails, rank %d: %v", rank, r, err)
			}
		}
		_, errs = sharedOn(t, 3, 1<<40, func(int, int) error { return nil }, map[int]context.Context{rank: stopped})
		for r, err := range errs {
			if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
				t.Errorf("rank %d stops, rank %d: %v", rank, r, err)
			}
		}
	}
}

// A panic on one rank while it evaluates ends all of them, in one line of its own.
func TestRanksEndAtAPanicInEvaluation(t *testing.T) {
	for rank := range 3 {
		aborted := ""
		errs, said := runRanks(t, t.TempDir(), 3, func(m *member) {
			if m.rank == rank {
				m.s.term = func(int) error { panic("a bug") }
			}
		}, mpi.OnAbort(func(rank, status int) { aborted = fmt.Sprint(rank, " ", status) }))
		for r, err := range errs {
			if err == nil {
				t.Errorf("rank %d went on", r)
			}
		}
		if aborted != fmt.Sprint(rank, " 1") || !strings.HasPrefix(said, fmt.Sprintf("albert: rank %d: panic: a bug\n", rank)) {
			t.Errorf("rank %d: aborted by %q: %s", rank, aborted, said)
		}
	}
}

// Stopped in the middle of an evaluation by a wish that one rank has, a run has saved its steps, and goes on with the bits of one that was not.
func TestRanksStopInEvaluation(t *testing.T) {
	dir := t.TempDir()
	for start, n := range []int{3, 2, 5} {
		errs, said := runRanks(t, dir, n, func(m *member) {
			if start < 2 && m.rank == n-1 {
				ctx, cancel := context.WithCancelCause(t.Context())
				m.ctx = ctx
				m.s.term = func(int) error {
					if m.s.last == 5*(start+1) {
						cancel(errors.New("user defined signal 1"))
					}
					return nil
				}
			}
		}, mpi.Delay(uint64(start)))
		for rank, err := range errs {
			want := fmt.Sprintf("user defined signal 1 after step %d of 20: %v", 5*(start+1), ErrStopped)
			if start < 2 && (!errors.Is(err, ErrStopped) || err.Error() != want) || start == 2 && err != nil {
				t.Fatalf("start %d, rank %d of %d: %v\n%s", start, rank, n, err, said)
			}
		}
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "after stops")
}

// Patience ends a run of several ranks at the step where it ends that of one, and all measure the best step's weights.
func TestRanksHavePatience(t *testing.T) {
	var want result
	for _, n := range []int{1, 2, 3} {
		dir := t.TempDir()
		measured := make([]float32, n)
		errs, said := runRanks(t, dir, n, func(m *member) {
			c, s := impatient(dir)
			c.World, c.Messages, c.Quiet = m.c.World, m.c.Messages, true
			c.Measure = func(ctx context.Context) error {
				measured[m.rank] = s.w.Data[0]
				_, err := s.Evaluate(ctx)
				return err
			}
			c.Finish = func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "weights"), nil, 0o666)
			}
			m.c, m.s = c, s
		}, mpi.Delay(uint64(n)))
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("%d ranks: %v\n%s", n, err, said)
		}
		if got := resultOf(t, dir, 20); n == 1 {
			want = got
		} else {
			got.mustEqual(t, want, fmt.Sprint(n, " ranks"))
		}
		for rank, w := range measured {
			if w != measured[0] || w == 0 {
				t.Errorf("rank %d of %d measures other weights than rank 0: %v, %v", rank, n, w, measured[0])
			}
		}
	}
}
