package model

import "albert/internal/engine/ops"

// Beam is the head that the released code has for SQuAD 2.0 (run_squad_v2.py; as XLNet's): the start of the answer first, then its end
// given a start, and apart from both whether there is an answer. transformers has no class with it. The parameters are named as
// Google's variables with dots: start_logits.dense, end_logits.dense_0, end_logits.LayerNorm, end_logits.dense_1,
// answer_class.dense_0, answer_class.dense_1.
type Beam struct {
	Start      ops.Affine // [1,H]
	EndDense   ops.Affine // [H,2H], of a piece and the start
	EndNorm    Norm
	End        ops.Affine // [1,H]
	ClassDense ops.Affine // [H,2H], of the expected start and [CLS]
	Class      ops.Affine // [1,H], without a bias
}

// StartLogits is each piece's logit of being the answer's start, [T,1].
func (m *Model) StartLogits(t *ops.Tape, hidden *ops.Tensor) *ops.Tensor {
	return t.Linear(hidden, ops.Identity, m.Beam.Start)
}

// EndLogits is each piece's logit of being the answer's end where starts [T] says in which row it starts, [T,1].
func (m *Model) EndLogits(t *ops.Tape, hidden *ops.Tensor, starts []int32) *ops.Tensor {
	start := t.Gather(hidden, starts)
	both := t.Concat(hidden, start)
	t.Release(start)
	x := t.Linear(both, ops.Tanh, m.Beam.EndDense)
	t.Release(both)
	y := t.Norm(x, nil, m.Beam.EndNorm.Gamma, m.Beam.EndNorm.Beta, m.Config.LayerNormEps, nil, ops.Dropout{})
	t.Release(x)
	return t.Linear(y, ops.Identity, m.Beam.End)
}

// NoAnswerLogits is each sequence's logit of having no answer, [sequences,1]: of the sum of its rows, weighted by the softmax of the
// start logits [T,1] over those that may be a start, and of its [CLS].
func (m *Model) NoAnswerLogits(t *ops.Tape, b *ops.Batch, hidden, start *ops.Tensor, may []bool, drop ops.Dropout) *ops.Tensor {
	both := t.Concat(t.SoftmaxSum(hidden, start, b, may), t.Gather(hidden, b.Offsets[:b.Len()]))
	return t.Linear(t.Dropout(t.Linear(both, ops.Tanh, m.Beam.ClassDense), b, true, drop), ops.Identity, m.Beam.Class)
}
