// Package ops is the small set of operations that the model is written in, each with its gradient beside it: the [Device]
// interface that runs them, and the [Tape] that records a forward pass so that it can be walked back.
//
// Operations are coarse, fused the way a good kernel wants them. A batch is ragged: the pieces of all its sequences stand one
// after another, T rows in all, and nothing is padded. The package holds no arithmetic; package cpu does.
//
//	t := ops.NewTape(device, grads)          // grads nil: inference, nothing is recorded
//	x := t.Embed(batch, word, position, tokenType)
//	y := t.Linear(x, ops.GeluTanh, ops.Affine{W: w, B: b})
//	...
//	t.Backward()                             // adds to grads
package ops

import "albert/internal/engine/numeric"

// Tensor is a matrix of activations, [Rows, Cols] with Stride values from one row to the next.
type Tensor struct {
	Rows, Cols, Stride int
	Data               []float32

	grad *Tensor // set by the tape during the backward pass
}

// Row is row i, Cols values.
func (t *Tensor) Row(i int) []float32 {
	return t.Data[i*t.Stride : i*t.Stride+t.Cols : i*t.Stride+t.Cols]
}

// Part is rows from to to-1, in the same memory.
func (t *Tensor) Part(from, to int) *Tensor {
	return &Tensor{Rows: to - from, Cols: t.Cols, Stride: t.Stride, Data: t.Data[from*t.Stride : to*t.Stride]}
}

// Grad is the gradient of x after a backward pass that reached it, until the tape is reset; nil otherwise. It is kept only for
// tensors that no operation of the tape made.
func (t *Tensor) Grad() *Tensor { return t.grad }

// Affine is the map x W^T + b: W is [out, in], B [out] or nil.
type Affine struct{ W, B *Param }

// Activation names an elementwise function.
type Activation int

// The activations of ALBERT's configurations. GeluErf is 0.5x(1+erf(x/sqrt 2)); GeluTanh its approximation by tanh, which the
// released code calls "gelu" and Hugging Face "gelu_new".
const (
	Identity Activation = iota
	GeluTanh
	GeluErf
	Relu
	Tanh
)

// Batch is a ragged batch of sequences.
type Batch struct {
	IDs      []int32  // T pieces, all sequences one after another
	Types    []int32  // T token types
	Offsets  []int32  // where each sequence starts; one more than there are sequences, the last is T
	Examples []uint64 // each sequence's number, which keys its dropout; nil counts from 0
}

// Len is the number of sequences.
func (b *Batch) Len() int { return len(b.Offsets) - 1 }

// Rows is T, the number of pieces.
func (b *Batch) Rows() int { return len(b.IDs) }

// Example is the number of sequence s.
func (b *Batch) Example(s int) uint32 {
	if b.Examples == nil {
		return uint32(s)
	}
	return uint32(b.Examples[s])
}

// Dropout is one of the network's dropouts in one step. The zero value drops nothing. What is dropped depends on the key, the site,
// the example and the position within it, and on nothing else.
type Dropout struct {
	Rate float32
	Key  [2]uint32 // from seed and step
	Site uint32    // which dropout of the network, counted from its input
}

// DropoutKey is the key of a step's dropout.
func DropoutKey(seed uint64, step uint32) [2]uint32 {
	w := numeric.Philox([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{step, 0, 0, uint32(numeric.PurposeDropout)})
	return [2]uint32{w[0], w[1]}
}

// Loss is what a loss operation finds in each of its rows.
type Loss struct {
	Values []float32 // cross-entropy, not scaled
	Argmax []int32   // the likeliest class, the lowest where several are
}

// Saved is what a device keeps of a forward operation for its gradient.
type Saved struct {
	Tensor *Tensor   // a normalisation's sums or an activation's inputs, the attention's probabilities
	Mean   []float32 // per row
	Rstd   []float32 // per row: 1/sqrt(variance + eps)
}

// Device runs operations. In every method the tensors written come first; shapes are in the comments, T for a batch's rows.
// A method with a *Saved fills it if it is not nil. Gradients of parameters are added to a [Grads] in ascending order of rows; a
// gradient of an input is written, or added to what is there where accumulate is set.
type Device interface {
	// New gives a [rows, cols] tensor whose values are not set. Free takes it back.
	New(rows, cols int) *Tensor
	Free(t *Tensor)

	// Threads is how many threads an operation has at most.
	Threads() int
	// Apart calls f(0) ... f(n-1), as many at once as there are threads, each with a device that has one thread.
	Apart(n int, f func(i int, d Device))

	// Embed: y[T,E] = word[ids] + tokenType[types] + position[position in its sequence], added in this order.
	Embed(y *Tensor, b *Batch, word, position, tokenType *Param)
	EmbedGrad(g *Grads, dy *Tensor, b *Batch, word, position, tokenType *Param)

	// Linear: y[R, sum of outs] = act(x[R,in] W^T + b), the parts side by side.
	Linear(y *Tensor, save *Saved, x *Tensor, act Activation, parts []Affine)
	// FeedForward: y[R,out] = act(x[R,in] W1^T + b1) W2^T + b2, without a gradient.
	FeedForward(y, x *Tensor, act Activation, first, second Affine)
	// LinearGrad may overwrite dy. dx may be nil.
	LinearGrad(g *Grads, dx *Tensor, accumulate bool, dy, y, x *Tensor, saved *Saved, act Activation, parts []Affine)

	// Norm: y[R,n] = LayerNorm(res + dropout(x)) * gamma + beta; res may be nil, or y where nothing is saved. b locates the rows for
	// dropout, one row a piece.
	Norm(y *Tensor, save *Saved, x, res *Tensor, gamma, beta *Param, eps float32, b *Batch, drop Dropout)
	// NormGrad writes dres first; it may be nil, or the same tensor as dx.
	NormGrad(g *Grads, dx *Tensor, accumulateX bool, dres *Tensor, accumulateRes bool, dy *Tensor, saved *Saved, gamma, beta *Param,
		b *Batch, drop Dropout)

	// Dropout: y = dropout(x), or y += dropout(x). y may be x. The gradient is the same map. perSequence: row r is sequence r, not
	// piece r. The rate is not 0.
	Dropout(y *Tensor, accumulate bool, x *Tensor, b *Batch, perSequence bool, drop Dropout)

	// Attention: ctx[T,H] from qkv[T,3H]: per sequence and head softmax(q k^T / sqrt(H/heads)), dropped, times v.
	Attention(ctx *Tensor, save *Saved, qkv *Tensor, b *Batch, heads int, drop Dropout)
	// SelfAttention: ctx[T,H] is Attention of x[T,H] mapped by three linear maps, without dropout or a gradient.
	SelfAttention(ctx, x *Tensor, b *Batch, heads int, query, key, value Affine)
	AttentionGrad(dqkv *Tensor, accumulate bool, dctx, qkv *Tensor, saved *Saved, b *Batch, heads int, drop Dropout)

	// Gather: y[i] = x[rows[i]]. GatherGrad adds dy[i] to dx[rows[i]], i ascending, after clearing dx unless accumulate is set.
	Gather(y, x *Tensor, rows []int32)
	GatherGrad(dx *Tensor, accumulate bool, dy *Tensor, rows []int32)

	// Concat: y[R, A+B], the rows of a[R,A] and b[R,B] side by side. ConcatGrad takes dy apart again.
	Concat(y, a, b *Tensor)
	ConcatGrad(da *Tensor, accumulateA bool, db *Tensor, accumulateB bool, dy *Tensor)

	// SoftmaxSum: y[s] is the sum of sequence s's rows of x[T,n], each times its share of the softmax of the sequence's logits[T,1].
	// Only rows in use count; a sequence without any gives zeros, and the gradients of the other rows are zero.
	SoftmaxSum(y, x, logits *Tensor, b *Batch, use []bool)
	SoftmaxSumGrad(dx *Tensor, accumulateX bool, dlogits *Tensor, accumulateLogits bool, dy, x, logits *Tensor, b *Batch, use []bool)

	// DecoderLoss: the cross-entropy of softmax(x[R,E] table^T + bias) against targets[R], without storing all logits. If g is not
	// nil the gradients, times scale, are computed too.
	DecoderLoss(loss *Loss, g *Grads, dx *Tensor, accumulate bool, x *Tensor, table, bias *Param, targets []int32, scale float32)

	// SoftmaxLoss: the cross-entropy of softmax(x[R,C]) against targets[R]. dx, if not nil, gets the gradient times scale.
	SoftmaxLoss(loss *Loss, dx *Tensor, accumulate bool, x *Tensor, targets []int32, scale float32)
}
