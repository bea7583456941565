package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"albert/internal/engine/mpi"
	"albert/internal/engine/ops"
	"albert/internal/learn/optim"
)

// locked is what all ranks say.
type locked struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

// member is a rank of a run.
type member struct {
	rank int
	ctx  context.Context
	c    Config
	s    *squares
}

// runRanks runs testConfig on newSquares(40, 30) by so many ranks, each changed by change, and gives their errors and what they say.
func runRanks(t *testing.T, dir string, n int, change func(m *member), options ...mpi.LoopbackOption) (errs []error, said string) {
	t.Helper()
	var out locked
	errs = make([]error, n)
	var group sync.WaitGroup
	for rank, w := range mpi.Loopback(n, options...) {
		errs[rank] = errors.New("aborted")
		group.Go(func() {
			m := member{rank, t.Context(), testConfig(dir), newSquares(40, 30)}
			m.c.World, m.c.Messages, m.c.Quiet = w, &out, true
			change(&m)
			err := Run(m.ctx, m.c, m.s.params, m.s)
			errs[rank] = errors.Join(err, w.Close())
		})
	}
	group.Wait()
	return errs, out.String()
}

// A run of any number of ranks has the weights, the moments and the log of one process, however messages are delayed.
func TestRanksSameBits(t *testing.T) {
	for _, kind := range []optim.Kind{optim.LAMB, optim.AdamW} {
		var want result
		for _, n := range []int{1, 2, 3, 5, 8} {
			var options []mpi.LoopbackOption
			if n > 1 {
				options = append(options, mpi.Delay(uint64(n)))
			}
			dir := t.TempDir()
			errs, said := runRanks(t, dir, n, func(m *member) {
				m.c.Optimizer.Kind, m.c.Device = kind, threads(1+m.rank%2)
				m.s.bad = func(step int) bool { return step == 7 }
			}, options...)
			if err := errors.Join(errs...); err != nil {
				t.Fatalf("%d ranks: %v\n%s", n, err, said)
			}
			got := resultOf(t, dir, 20)
			if want.log == nil {
				want = got
			}
			got.mustEqual(t, want, fmt.Sprintf("%s, %d ranks", kind, n))
		}
	}
}

// Stopped on any rank, in any leaf, and gone on with by another number of ranks, a run has the bits of one that was not.
func TestRanksStopAndGoOn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	for start, n := range []int{3, 1, 8, 2, 5} {
		who, step := rng.IntN(n), 4*start+1+rng.IntN(4)
		errs, said := runRanks(t, dir, n, func(m *member) {
			if m.rank == who && start < 4 {
				ctx, cancel := context.WithCancelCause(t.Context())
				m.ctx = ctx
				m.s.batch = func(at int) error {
					if at == step+1 { // while the one before runs
						cancel(errors.New("user defined signal 1"))
					}
					return nil
				}
			}
		}, mpi.Delay(uint64(start)))
		for rank, err := range errs {
			if start < 4 && (!errors.Is(err, ErrStopped) || !strings.HasPrefix(err.Error(), "user defined signal 1 after step")) || start == 4 && err != nil {
				t.Fatalf("start %d, rank %d of %d: %v\n%s", start, rank, n, err, said)
			}
		}
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "after stops")
}

// A leaf, a batch, an evaluation or the disk that fails on one rank ends all with that error, and what was learned before is saved.
func TestRanksFailTogether(t *testing.T) {
	bad := errors.New("it is broken")
	for name, c := range map[string]struct {
		want   string
		change func(m *member)
	}{
		"leaf": {"step 6: rank 2: sequences", func(m *member) {
			if m.rank == 2 {
				m.s.leaf = func(step int) error {
					if step == 6 {
						return bad
					}
					return nil
				}
			}
		}},
		"batch": {"rank 2: step 6: it is broken", func(m *member) {
			if m.rank == 2 {
				m.s.batch = func(step int) error {
					if step == 6 {
						return bad
					}
					return nil
				}
			}
		}},
		"evaluation": {"evaluation after step 5: it is broken", func(m *member) {
			m.s.evaluate = func(context.Context) error { return bad }
		}},
		"part of an evaluation": {"evaluation after step 5: rank 2: it is broken", func(m *member) {
			m.s.term = func(j int) error {
				if j == 14 {
					return bad
				}
				return nil
			}
		}},
		"after": {"it is broken", func(m *member) {
			m.c.After = func(row Fields) (string, error) {
				if row.Number("step") == 5 {
					return "", bad
				}
				return "", nil
			}
		}},
	} {
		dir := t.TempDir()
		errs, said := runRanks(t, dir, 4, c.change, mpi.Delay(3))
		for rank, err := range errs {
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), bad.Error()) {
				t.Errorf("%s: rank %d: %v, want %q\n%s", name, rank, err, c.want, said)
			}
		}
		errs, said = runRanks(t, dir, 3, func(*member) {})
		if err := errors.Join(errs...); err != nil {
			t.Fatalf("%s: gone on with: %v\n%s", name, err, said)
		}
		resultOf(t, dir, 20).mustEqual(t, uninterrupted(), name)
	}
}

// inline is a device whose panics reach the caller, as those of a cpu.Device do.
type inline struct{ threads }

func (d inline) RunLarge(n int, f func(int)) { d.Run(n, f) }

func (inline) Run(n int, f func(int)) {
	for i := range n {
		f(i)
	}
}

// A panic on one rank ends all of them, in one line of its own.
func TestRanksEndAtAPanic(t *testing.T) {
	aborted := ""
	errs, said := runRanks(t, t.TempDir(), 3, func(m *member) {
		if m.rank == 1 {
			m.c.Device = inline{threads(1)}
			m.s.leaf = func(step int) error { panic("a bug") }
		}
	}, mpi.OnAbort(func(rank, status int) { aborted = fmt.Sprint(rank, " ", status) }))
	for rank, err := range errs {
		if err == nil {
			t.Errorf("rank %d went on", rank)
		}
	}
	if aborted != "1 1" || !strings.HasPrefix(said, "albert: rank 1: panic: a bug\n") {
		t.Errorf("aborted by %q: %s", aborted, said)
	}
}

// A rank that was started with something else is named before the first step, and nothing is written.
func TestRanksStartedAlike(t *testing.T) {
	for want, change := range map[string]func(c *Config){
		"ranks 0 and 2 were not started alike: batch-size is 40 on rank 0, 41 on rank 2": func(c *Config) { c.Settings[1].Value = 41 },
		`train data is "abc" on rank 0, "abd" on rank 2`:                                 func(c *Config) { c.Data[0].Value = "abd" },
		"dry-run is": func(c *Config) { c.DryRun = true },
		"output is":  func(c *Config) { c.Dir += "2" },
	} {
		dir := t.TempDir()
		errs, said := runRanks(t, dir+"/run", 4, func(m *member) {
			if m.rank == 2 {
				change(&m.c)
			}
			m.s.leaf = func(int) error { t.Error("a leaf ran"); return nil }
		})
		for rank, err := range errs {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("rank %d: %v, want %q\n%s", rank, err, want, said)
			}
		}
		mustBeEmpty(t, dir)
	}
}

// The gradient of any number of ranks is that of one, for batches of every shape; a part is owned by one rank, whoever has its neighbours.
func TestRanksGradientIsTheTree(t *testing.T) {
	params := ops.NewParams([]*ops.Param{ops.NewParam("a", 37), ops.NewParam("b", 2, 100)})
	rng := rand.New(rand.NewPCG(1, 1))
	for _, sequences := range []int{1, 2, 3, 7, 65, 200} {
		var lengths []int
		for range sequences {
			lengths = append(lengths, 1+rng.IntN(900))
		}
		b := &listed{params: params, lengths: lengths}
		want := b.naive(0, sequences, 0)
		for _, n := range []int{2, 3, 6, 64} {
			var group sync.WaitGroup
			for rank, w := range mpi.Loopback(n) {
				group.Go(func() {
					b := &listed{params: params, lengths: lengths}
					a := &accumulator{params: params, dev: threads(1), ranks: newRanks(w, nil)}
					for range 2 { // the second time with used buffers
						g, err := a.gradient(t.Context(), b, func(int) {})
						if err != nil {
							t.Error(err)
							return
						}
						if !slices.EqualFunc(g.Flat(), want, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) {
							t.Errorf("%d sequences, rank %d of %d: another gradient", sequences, rank, n)
						}
						a.put(g)
					}
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		}
	}
	for ranks := 1; ranks <= 64; ranks++ {
		for part := range 64 {
			if r := owner(part, ranks); 64*r/ranks > part || part >= 64*(r+1)/ranks {
				t.Errorf("part %d of %d ranks is rank %d's", part, ranks, r)
			}
		}
	}
}
