package cpu

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

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

// TestSingle: a device without its helper threads gives the same bits, in several goroutines at once.
func TestSingle(t *testing.T) {
	dev, m := newDevice(t, 2), newTestModel()
	g := ops.NewGrads(m.params)
	want := m.run(dev, g)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			single, gradient := dev.Single(), ops.NewGrads(m.params)
			if got := m.run(single, gradient); !slices.Equal(got, want) || !slices.Equal(gradient.Flat(), g.Flat()) {
				t.Error("losses or gradients differ from those of the device with all its threads")
			}
			single.Close()
		})
	}
	wg.Wait()
	if len(dev.packed) != 3 {
		t.Errorf("%d weights are packed, the model has 3", len(dev.packed))
	}
	runAll(t, dev.pool, 10)
}

// packedBytes is the memory of a device's packed weights.
func packedBytes(dev *Device) (forward, back int) {
	dev.mu.Lock()
	defer dev.mu.Unlock()
	for _, p := range dev.packed {
		forward += 4 * cap(p.forward[0].Data)
		back += 4 * cap(p.back[0].Data)
	}
	return forward, back
}

// TestPackedWeightsGoWithTheirModel: inference packs no weights for the backward pass, and a model that nobody uses any more leaves
// no packed weights behind, while those of another stay.
func TestPackedWeightsGoWithTheirModel(t *testing.T) {
	dev, kept := newDevice(t, 2), newTestModel()
	kept.run(dev, nil)
	one, back := packedBytes(dev)
	if one == 0 || back != 0 {
		t.Fatalf("after inference %d bytes are packed for the forward pass, %d for the backward pass", one, back)
	}
	func() {
		dropped := newTestModel()
		dropped.run(dev, ops.NewGrads(dropped.params))
	}()
	if forward, back := packedBytes(dev); forward != 2*one || back == 0 {
		t.Fatalf("with a second model %d bytes are packed for the forward pass and %d for the backward pass, one has %d", forward, back, one)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		if forward, back := packedBytes(dev); forward == one && back == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the packed weights of a dropped model stay")
		}
	}
	runtime.KeepAlive(kept)
}

// TestLayersReuseBuffers: once a pass has run, the tensors of a transformer's layers, wide and narrow in turn, find free buffers.
func TestLayersReuseBuffers(t *testing.T) {
	for _, rows := range []int{16, 128, 1000} {
		for _, hidden := range []int{312, 768, 1024} {
			dev := newDevice(t, 1)
			seen := map[*float32]bool{}
			made := 0
			tensor := func(cols int) *ops.Tensor {
				x := dev.New(rows, cols)
				if !seen[&x.Data[0]] {
					seen[&x.Data[0]] = true
					made++
				}
				return x
			}
			for pass := range 3 {
				made = 0
				x := tensor(hidden)
				for range 4 {
					qkv := tensor(3 * hidden)
					context := tensor(hidden)
					dev.Free(qkv)
					dense := tensor(hidden)
					dev.Free(context)
					normed := tensor(hidden)
					dev.Free(dense)
					wide := tensor(4 * hidden)
					narrow := tensor(hidden)
					dev.Free(wide)
					y := tensor(hidden)
					dev.Free(normed)
					dev.Free(narrow)
					dev.Free(x)
					x = y
				}
				dev.Free(x)
				if pass == 2 && made > 0 {
					t.Errorf("%d pieces, hidden size %d: the third pass made %d buffers", rows, hidden, made)
				}
			}
		}
	}
}
