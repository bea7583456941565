package train

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"albert/internal/engine/mpi"
	"albert/internal/engine/ops"
	"albert/internal/run"
)

// counted counts the bytes of a rank's messages.
type counted struct {
	mpi.World
	mu             sync.Mutex
	sent, received int64
}

func (c *counted) Send(to, tag int, data []byte) mpi.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += int64(len(data))
	return c.World.Send(to, tag, data)
}

func (c *counted) Receive(from, tag int, data []byte) mpi.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received += int64(len(data))
	return c.World.Receive(from, tag, data)
}

// joinedList is a batch that needs of each sequence three values before any leaf, and finds two.
type joinedList struct {
	*listed
	kept  []float32
	found []float64
}

func (b *joinedList) Forward(from, to int) error {
	for i := from; i < to; i++ {
		copy(b.Forwarded(i, i+1), []float32{float32(i), 1, 2})
	}
	return nil
}

func (b *joinedList) Forwarded(from, to int) []float32 { return b.kept[3*from : 3*to] }
func (b *joinedList) Found(from, to int) []float64     { return b.found[2*from : 2*to] }

func (b *joinedList) Join() error {
	for i := range b.Len() {
		if b.kept[3*i] != float32(i) || b.kept[3*i+2] != 2 {
			return fmt.Errorf("sequence %d: %v", i, b.kept[3*i:3*i+3])
		}
	}
	return nil
}

func (b *joinedList) Leaf(g *ops.Grads, from, to int) error {
	for i := from; i < to; i++ {
		copy(b.Found(i, i+1), []float64{1, float64(i)})
	}
	return b.listed.Leaf(g, from, to)
}

// The bytes of the forecast, and the buffers of the plan, are those that a step of several ranks has; what leaves keep and find comes to all.
func TestForecastCountsWhatIsSent(t *testing.T) {
	params := ops.NewParams([]*ops.Param{ops.NewParam("a", 37), ops.NewParam("b", 2, 101)})
	rng := rand.New(rand.NewPCG(1, 1))
	for _, sequences := range []int{1, 3, 9, 70, 150} {
		var lengths []int
		for range sequences {
			lengths = append(lengths, 1+rng.IntN(900))
		}
		for _, n := range []int{2, 3, 5, 8, 64} {
			var group sync.WaitGroup
			for rank, w := range mpi.Loopback(n, mpi.Delay(1)) {
				group.Go(func() {
					b := &joinedList{&listed{params: params, lengths: lengths}, make([]float32, 3*sequences), make([]float64, 2*sequences)}
					c := &counted{World: w}
					a := &accumulator{params: params, dev: threads(1), ranks: newRanks(c, nil)}
					if err := a.ranks.agree(t.Context(), nil); err != nil {
						t.Error(err)
					}
					g, err := a.gradient(t.Context(), b, func(int) {})
					if err != nil {
						t.Error(err)
						return
					}
					x := a.shared(b, n)
					if want := x.traffic(rank); want.sent != c.sent || want.received != c.received {
						t.Errorf("%d sequences, rank %d of %d: %d bytes sent, %d received, foretold %+v", sequences, rank, n, c.sent, c.received, want)
					}
					a.put(g)
					if held := len(a.free); held > x.buffers(rank) {
						t.Errorf("%d sequences, rank %d of %d: %d gradients held, %d foretold", sequences, rank, n, held, x.buffers(rank))
					}
					for i := range sequences {
						if b.found[2*i] != 1 || b.found[2*i+1] != float64(i) {
							t.Errorf("%d sequences, rank %d of %d: found of %d %v", sequences, rank, n, i, b.found[2*i:2*i+2])
						}
					}
					if err := w.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		}
	}
}

// A dry run says what a number of ranks would take, and how many have nothing to do.
func TestForecastInThePlan(t *testing.T) {
	dir := t.TempDir()
	s := newSquares(40, 30)
	c := testConfig(dir)
	said := messages(&c)
	c.DryRun, c.Forecast = true, Forecast{Ranks: 24, Bandwidth: 1e9, Latency: 1e-5}
	c.Flops, c.Peak = func(n int) float64 { return 1e6 * float64(n) }, 1e9
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(run.Dir(dir).Plan())
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Seconds float64
		Rate    string
		Ranks   forecast
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	f := p.Ranks
	if f.Ranks != 24 || f.Idle == 0 || f.Compute <= 0 || f.Communication <= 0 || f.Step != f.Compute+f.Communication || f.Seconds != 20*f.Step ||
		f.Compute > p.Seconds/20/4 || !strings.HasPrefix(p.Rate, "measured on 2 sequences: ") || f.BytesSent < 23*noteBytes || f.Memory <= 0 {
		t.Errorf("%s", text)
	}
	for _, want := range []string{"ranks       24: a step ", " memory ", fmt.Sprintf("warning: %d of 24 ranks have nothing to do: a step of 40 sequences has ", f.Idle)} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("not said: %q in\n%s", want, said)
		}
	}
}
