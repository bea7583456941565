package cpu

import (
	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
)

// Meter is a device that computes nothing and counts the memory that a [Device] would take for the same operations.
type Meter struct {
	k    *kernel.Set
	now  int
	Peak int // bytes of tensors at most, packed activations and saved ones included

	packed map[*ops.Param]int // bit 1: forward, bit 2: backward
}

var _ ops.Device = (*Meter)(nil)

// Meter gives a meter for the device.
func (d *Device) Meter() *Meter { return &Meter{k: d.k, packed: map[*ops.Param]int{}} }

// PackedBytes is the memory of the weights in the forms that the metered operations want.
func (m *Meter) PackedBytes() int {
	n := 0
	for p, forms := range m.packed {
		if forms&1 != 0 {
			n += hugeBytes(m.k.PanelsLen(p.Cols(), p.Rows()))
		}
		if forms&2 != 0 {
			n += hugeBytes(m.k.PanelsLen(p.Rows(), p.Cols()))
		}
	}
	return n
}

// New counts a tensor; it has no values.
func (m *Meter) New(rows, cols int) *ops.Tensor {
	t := &ops.Tensor{Rows: rows, Cols: cols, Stride: stride(cols)}
	m.now += 4 * classSize(rows*t.Stride)
	m.Peak = max(m.Peak, m.now)
	return t
}

// Free counts a tensor as given back.
func (m *Meter) Free(t *ops.Tensor) { m.now -= 4 * classSize(t.Rows*t.Stride) }

// Threads is 1: what is apart is counted one after another.
func (m *Meter) Threads() int { return 1 }

// Apart counts what is apart.
func (m *Meter) Apart(n int, f func(i int, d ops.Device)) {
	for i := range n {
		f(i, m)
	}
}

// scratch counts tensors that live for one operation.
func (m *Meter) scratch(tensors ...*ops.Tensor) {
	for _, t := range tensors {
		m.Free(t)
	}
}

func (m *Meter) Linear(y *ops.Tensor, save *ops.Saved, x *ops.Tensor, act ops.Activation, parts []ops.Affine) {
	if save != nil && act != ops.Identity && act != ops.Tanh {
		save.Tensor = m.New(y.Rows, y.Cols)
	}
	m.round(x.Rows, x.Cols)
	for _, p := range parts {
		m.packed[p.W] |= 1
	}
}

func (m *Meter) FeedForward(y, x *ops.Tensor, act ops.Activation, first, second ops.Affine) {
	f := m.New(x.Rows, first.W.Rows())
	m.Linear(f, nil, x, act, []ops.Affine{first})
	m.Linear(y, nil, f, ops.Identity, []ops.Affine{second})
	m.Free(f)
}

func (m *Meter) SelfAttention(ctx, x *ops.Tensor, b *ops.Batch, heads int, query, key, value ops.Affine) {
	qkv := m.New(x.Rows, 3*ctx.Cols)
	m.Linear(qkv, nil, x, ops.Identity, []ops.Affine{query, key, value})
	m.Free(qkv)
}

// round counts the rounded rows of a left operand.
func (m *Meter) round(rows, k int) {
	if n := m.k.Left(k); n != 0 {
		m.scratch(m.New(rows, n))
	}
}

func (m *Meter) LinearGrad(g *ops.Grads, dx *ops.Tensor, accumulate bool, dy, y, x *ops.Tensor, saved *ops.Saved, act ops.Activation, parts []ops.Affine) {
	packed := m.New(1, m.k.PanelsLen(x.Rows, x.Cols))
	for _, p := range parts {
		m.outer(p.W.Rows(), x.Rows)
		if dx != nil {
			m.packed[p.W] |= 2
		}
	}
	m.Free(packed)
	if dx != nil {
		for _, p := range parts {
			m.round(x.Rows, p.W.Rows())
		}
	}
}

// outer counts what outerAccumulate takes.
func (m *Meter) outer(cols, rows int) {
	if n := m.k.Left(rows); n != 0 {
		rows = n
	}
	m.scratch(m.New(cols, rows))
}

func (m *Meter) Norm(y *ops.Tensor, save *ops.Saved, x, res *ops.Tensor, gamma, beta *ops.Param, eps float32, b *ops.Batch, drop ops.Dropout) {
	if save != nil {
		save.Tensor = m.New(x.Rows, x.Cols)
	}
}

func (m *Meter) Attention(ctx *ops.Tensor, save *ops.Saved, qkv *ops.Tensor, b *ops.Batch, heads int, drop ops.Dropout) {
	if save != nil {
		save.Tensor = m.New(1, layoutProbabilities(b, heads).total)
	}
}

func (m *Meter) DecoderLoss(loss *ops.Loss, g *ops.Grads, dx *ops.Tensor, accumulate bool, x *ops.Tensor, table, bias *ops.Param, targets []int32, scale float32) {
	rows := min(x.Rows, rowBlock)
	logits := m.New(rows, table.Rows())
	m.packed[table] |= 1
	m.round(rows, x.Cols)
	if g != nil {
		m.packed[table] |= 2
		packed := m.New(1, m.k.PanelsLen(rows, x.Cols))
		m.outer(table.Rows(), rows)
		m.Free(packed)
		m.round(rows, table.Rows())
	}
	m.Free(logits)
}

func (m *Meter) SoftmaxLoss(loss *ops.Loss, dx *ops.Tensor, accumulate bool, x *ops.Tensor, targets []int32, scale float32) {
	if accumulate {
		m.scratch(m.New(x.Rows, x.Cols))
	}
}

// The operations that take no memory of their own.

func (m *Meter) Embed(*ops.Tensor, *ops.Batch, *ops.Param, *ops.Param, *ops.Param)     {}
func (m *Meter) Dropout(*ops.Tensor, bool, *ops.Tensor, *ops.Batch, bool, ops.Dropout) {}
func (m *Meter) Gather(*ops.Tensor, *ops.Tensor, []int32)                              {}
func (m *Meter) GatherGrad(*ops.Tensor, bool, *ops.Tensor, []int32)                    {}
func (m *Meter) Concat(*ops.Tensor, *ops.Tensor, *ops.Tensor)                          {}
func (m *Meter) ConcatGrad(*ops.Tensor, bool, *ops.Tensor, bool, *ops.Tensor)          {}
func (m *Meter) SoftmaxSum(*ops.Tensor, *ops.Tensor, *ops.Tensor, *ops.Batch, []bool)  {}

func (m *Meter) EmbedGrad(*ops.Grads, *ops.Tensor, *ops.Batch, *ops.Param, *ops.Param, *ops.Param) {}

func (m *Meter) NormGrad(*ops.Grads, *ops.Tensor, bool, *ops.Tensor, bool, *ops.Tensor, *ops.Saved, *ops.Param, *ops.Param, *ops.Batch, ops.Dropout) {
}

func (m *Meter) AttentionGrad(*ops.Tensor, bool, *ops.Tensor, *ops.Tensor, *ops.Saved, *ops.Batch, int, ops.Dropout) {
}

func (m *Meter) SoftmaxSumGrad(*ops.Tensor, bool, *ops.Tensor, bool, *ops.Tensor, *ops.Tensor, *ops.Tensor, *ops.Batch, []bool) {
}
