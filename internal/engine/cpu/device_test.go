package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"albert/internal/engine/ops"
)

// testModel is an attention layer and a head small enough for many runs: the logits of a batch of two sequences.
type testModel struct {
	params               *ops.Params
	table, place, types  *ops.Param
	qkv, up, gamma, beta *ops.Param
	decoder, decoderBias *ops.Param
	batch                *ops.Batch
	targets              []int32
	heads                int
}

func newTestModel() *testModel {
	const hidden, vocab, rows = 32, 50, 12
	m := &testModel{heads: 2}
	rng := rand.New(rand.NewPCG(1, 2))
	var list []*ops.Param
	param := func(shape ...int) *ops.Param {
		p := ops.NewParam(fmt.Sprint(len(list)), shape...)
		for i := range p.Data {
			p.Data[i] = float32(rng.NormFloat64())
		}
		list = append(list, p)
		return p
	}
	m.table, m.place, m.types = param(vocab, hidden), param(rows, hidden), param(2, hidden)
	m.qkv, m.up = param(3*hidden, hidden), param(hidden, hidden)
	m.gamma, m.beta = param(hidden), param(hidden)
	m.decoder, m.decoderBias = param(vocab, hidden), param(vocab)
	m.params = ops.NewParams(list)
	m.batch = &ops.Batch{Offsets: []int32{0, 5, rows}, Types: make([]int32, rows)}
	for i := range rows {
		m.batch.IDs = append(m.batch.IDs, int32(7*i%vocab))
		m.targets = append(m.targets, int32(11*i%vocab))
	}
	return m
}

// run gives the losses of one pass over the batch and, with grads, adds their gradients to it.
func (m *testModel) run(dev *Device, grads *ops.Grads) []float32 {
	t := ops.NewTape(dev, grads)
	defer t.Reset()
	x := t.Embed(m.batch, m.table, m.place, m.types)
	context := t.Attention(t.Linear(x, ops.Identity, ops.Affine{W: m.qkv}), m.batch, m.heads, ops.Dropout{})
	y := t.Linear(context, ops.GeluTanh, ops.Affine{W: m.up})
	y = t.Norm(y, x, m.gamma, m.beta, 1e-12, m.batch, ops.Dropout{})
	loss := t.DecoderLoss(y, m.decoder, m.decoderBias, m.targets, 1)
	t.Backward()
	return loss.Values
}

func newDevice(t *testing.T, threads int) *Device {
	t.Helper()
	dev, err := New("", threads)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dev.Close)
	return dev
}

// TestDeviceSharedByGoroutines: one device gives every one of many goroutines the bits that it gives one alone, forward and
// backward. With the race detector it also holds packed weights, free buffers, scratch memory and helper threads.
func TestDeviceSharedByGoroutines(t *testing.T) {
	dev, m := newDevice(t, 2), newTestModel()
	pass := func() (losses, gradient []float32) {
		g := ops.NewGrads(m.params)
		return m.run(dev, g), g.Flat()
	}
	want, wantGradient := pass()
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for range 5 {
				if i%2 == 0 {
					if got := m.run(dev, nil); !slices.Equal(got, want) {
						t.Errorf("goroutine %d: losses differ from those of a device used alone", i)
					}
				} else if got, gradient := pass(); !slices.Equal(got, want) || !slices.Equal(gradient, wantGradient) {
					t.Errorf("goroutine %d: losses or gradients differ from those of a device used alone", i)
				}
			}
		})
	}
	wg.Wait()
}
