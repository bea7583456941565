package ops

// Tape runs operations on a device and, when it has gradients to fill, records what their backward pass needs and no more. A tensor may
// be used by any number of operations and losses: its gradient is the sum over all of them.
type Tape struct {
	dev   Device
	grads *Grads
	back  []func()
	owned []*Tensor // results, gradients and saved tensors that are not given back yet
}

// NewTape makes a tape on dev. With grads nil it records nothing: that is inference, where Release gives memory back early.
func NewTape(dev Device, grads *Grads) *Tape { return &Tape{dev: dev, grads: grads} }

// Recording tells whether the tape will be walked back.
func (t *Tape) Recording() bool { return t.grads != nil }

// Threads is how many threads an operation of the tape has at most.
func (t *Tape) Threads() int { return t.dev.Threads() }

// Apart calls f(0) ... f(n-1), as many at once as there are threads, each with a tape for inference whose operations have one thread. What
// is on that tape is freed when f returns.
func (t *Tape) Apart(n int, f func(i int, own *Tape)) {
	t.dev.Apart(n, func(i int, d Device) {
		own := NewTape(d, nil)
		f(i, own)
		own.Reset()
	})
}

// Release gives a tensor back before Reset when nothing will need it again. It does nothing on a recording tape.
func (t *Tape) Release(x *Tensor) {
	if !t.Recording() {
		t.giveBack(x)
	}
}

// giveBack frees one of the tape's tensors, or does nothing if x is not one.
func (t *Tape) giveBack(x *Tensor) {
	for i := len(t.owned) - 1; i >= 0; i-- {
		if t.owned[i] == x {
			t.owned[i] = t.owned[len(t.owned)-1]
			t.owned = t.owned[:len(t.owned)-1]
			t.dev.Free(x)
			return
		}
	}
}

// Reset frees every tensor of the tape and forgets what was recorded.
func (t *Tape) Reset() {
	for _, x := range t.owned {
		x.grad = nil
		t.dev.Free(x)
	}
	t.owned, t.back = t.owned[:0], t.back[:0]
}

// Backward walks the tape back from the losses that were computed and adds every parameter's gradient to the tape's Grads.
func (t *Tape) Backward() {
	for i := len(t.back) - 1; i >= 0; i-- {
		t.back[i]()
	}
}

// New gives a [rows, cols] tensor whose values are not set.
func (t *Tape) New(rows, cols int) *Tensor {
	x := t.dev.New(rows, cols)
	t.owned = append(t.owned, x)
	return x
}

// gradOf gives x's gradient tensor and whether it already holds a contribution; nil for nil.
func (t *Tape) gradOf(x *Tensor) (dx *Tensor, accumulate bool) {
	if x == nil {
		return nil, false
	}
	if x.grad != nil {
		return x.grad, true
	}
	x.grad = t.New(x.Rows, x.Cols)
	return x.grad, false
}

func (t *Tape) saved() *Saved {
	if t.Recording() {
		return new(Saved)
	}
	return nil
}

// record keeps the gradient of the operation that made y, and what it saved (nil for nothing). Once that has run, the operations that
// used y have been walked back too, so y, its gradient and what was saved are freed.
func (t *Tape) record(y *Tensor, s *Saved, back func()) {
	if !t.Recording() {
		return
	}
	if s == nil {
		s = new(Saved)
	} else if s.Tensor != nil {
		t.owned = append(t.owned, s.Tensor)
	}
	t.back = append(t.back, func() {
		dy := y.grad
		if dy != nil { // nil: nothing downstream reached a loss
			back()
		}
		y.grad = nil // before y is free: another goroutine's tape may get it at once
		for _, x := range []*Tensor{s.Tensor, dy, y} {
			t.giveBack(x)
		}
	})
}

// Seed gives x's gradient tensor for the caller to add to before Backward: zeros, unless a loss of x was computed before. It is the way
// in for a loss that is no operation of its own.
func (t *Tape) Seed(x *Tensor) *Tensor {
	dx, accumulate := t.gradOf(x)
	if !accumulate {
		clear(dx.Data[:dx.Rows*dx.Stride])
	}
	return dx
}

// Embed: [T,E], the sum of the three tables' rows for every piece.
func (t *Tape) Embed(b *Batch, word, position, tokenType *Param) *Tensor {
	y := t.New(b.Rows(), word.Cols())
	t.dev.Embed(y, b, word, position, tokenType)
	t.record(y, nil, func() { t.dev.EmbedGrad(t.grads, y.grad, b, word, position, tokenType) })
	return y
}

// Linear: [R, sum of outs] = act(x W^T + b), the parts side by side.
func (t *Tape) Linear(x *Tensor, act Activation, parts ...Affine) *Tensor {
	n := 0
	for _, p := range parts {
		n += p.W.Rows()
	}
	y, s := t.New(x.Rows, n), t.saved()
	t.dev.Linear(y, s, x, act, parts)
	t.record(y, s, func() {
		dx, accumulate := t.gradOf(x)
		t.dev.LinearGrad(t.grads, dx, accumulate, y.grad, y, x, s, act, parts)
	})
	return y
}

// FeedForward: [R,out] = act(x W1^T + b1) W2^T + b2.
func (t *Tape) FeedForward(x *Tensor, act Activation, first, second Affine) *Tensor {
	if t.Recording() {
		return t.Linear(t.Linear(x, act, first), Identity, second)
	}
	y := t.New(x.Rows, second.W.Rows())
	t.dev.FeedForward(y, x, act, first, second)
	return y
}

// Norm: [R,n] = LayerNorm(res + dropout(x)); res may be nil. In inference the result takes the place of res.
func (t *Tape) Norm(x, res *Tensor, gamma, beta *Param, eps float32, b *Batch, drop Dropout) *Tensor {
	y, s := res, t.saved()
	if y == nil || t.Recording() {
		y = t.New(x.Rows, x.Cols)
	}
	t.dev.Norm(y, s, x, res, gamma, beta, eps, b, drop)
	t.record(y, s, func() {
		dres, accumulateRes := t.gradOf(res)
		dx, accumulateX := t.gradOf(x)
		t.dev.NormGrad(t.grads, dx, accumulateX, dres, accumulateRes, y.grad, s, gamma, beta, b, drop)
	})
	return y
}

// Dropout: x with values dropped, or x itself where the rate is 0. perSequence: x has a row for each sequence, not for each piece.
func (t *Tape) Dropout(x *Tensor, b *Batch, perSequence bool, drop Dropout) *Tensor {
	if drop.Rate == 0 {
		return x
	}
	y := t.New(x.Rows, x.Cols)
	t.dev.Dropout(y, false, x, b, perSequence, drop)
	t.record(y, nil, func() {
		dx, accumulate := t.gradOf(x)
		t.dev.Dropout(dx, accumulate, y.grad, b, perSequence, drop)
	})
	return y
}

// Attention: [T,H] from qkv [T,3H].
func (t *Tape) Attention(qkv *Tensor, b *Batch, heads int, drop Dropout) *Tensor {
	y, s := t.New(qkv.Rows, qkv.Cols/3), t.saved()
	t.dev.Attention(y, s, qkv, b, heads, drop)
	t.record(y, s, func() {
		dqkv, accumulate := t.gradOf(qkv)
		t.dev.AttentionGrad(dqkv, accumulate, y.grad, qkv, s, b, heads, drop)
	})
	return y
}

// SelfAttention: [T,H], the attention of x mapped by three linear maps.
func (t *Tape) SelfAttention(x *Tensor, b *Batch, heads int, drop Dropout, query, key, value Affine) *Tensor {
	if t.Recording() || drop.Rate > 0 {
		return t.Attention(t.Linear(x, Identity, query, key, value), b, heads, drop)
	}
	y := t.New(x.Rows, x.Cols)
	t.dev.SelfAttention(y, x, b, heads, query, key, value)
	return y
}

// Gather: [len(rows), n], the given rows of x.
func (t *Tape) Gather(x *Tensor, rows []int32) *Tensor {
	y := t.New(len(rows), x.Cols)
	t.dev.Gather(y, x, rows)
	t.record(y, nil, func() {
		dx, accumulate := t.gradOf(x)
		t.dev.GatherGrad(dx, accumulate, y.grad, rows)
	})
	return y
}

// Concat: [R, A+B], the rows of two tensors side by side.
func (t *Tape) Concat(a, b *Tensor) *Tensor {
	y := t.New(a.Rows, a.Cols+b.Cols)
	t.dev.Concat(y, a, b)
	t.record(y, nil, func() {
		da, accumulateA := t.gradOf(a)
		db, accumulateB := t.gradOf(b)
		t.dev.ConcatGrad(da, accumulateA, db, accumulateB, y.grad)
	})
	return y
}

// SoftmaxSum: [sequences, n], the sum of each sequence's rows of x [T,n] that are in use, weighted by the softmax of logits [T,1].
func (t *Tape) SoftmaxSum(x, logits *Tensor, b *Batch, use []bool) *Tensor {
	y := t.New(b.Len(), x.Cols)
	t.dev.SoftmaxSum(y, x, logits, b, use)
	t.record(y, nil, func() {
		dx, accumulateX := t.gradOf(x)
		dl, accumulateL := t.gradOf(logits)
		t.dev.SoftmaxSumGrad(dx, accumulateX, dl, accumulateL, y.grad, x, logits, b, use)
	})
	return y
}

// DecoderLoss is the cross-entropy of the tied decoder x table^T + bias against targets. On a recording tape the gradient, times
// scale, is computed at once.
func (t *Tape) DecoderLoss(x *Tensor, table, bias *Param, targets []int32, scale float32) Loss {
	loss, dx, accumulate := t.loss(x)
	t.dev.DecoderLoss(&loss, t.grads, dx, accumulate, x, table, bias, targets, scale)
	return loss
}

// SoftmaxLoss is the cross-entropy of softmax(x) against targets; the gradient, times scale, is computed at once.
func (t *Tape) SoftmaxLoss(x *Tensor, targets []int32, scale float32) Loss {
	loss, dx, accumulate := t.loss(x)
	t.dev.SoftmaxLoss(&loss, dx, accumulate, x, targets, scale)
	return loss
}

// loss gives a loss of x to fill and, on a recording tape, x's gradient.
func (t *Tape) loss(x *Tensor) (loss Loss, dx *Tensor, accumulate bool) {
	if t.Recording() {
		dx, accumulate = t.gradOf(x)
	}
	return Loss{Values: make([]float32, x.Rows), Argmax: make([]int32, x.Rows)}, dx, accumulate
}
