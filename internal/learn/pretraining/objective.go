package pretraining

import (
	"fmt"
	"slices"

	"albert/internal/engine/ops"
	"albert/internal/learn/examples"
	"albert/internal/learn/train"
	"albert/internal/model"
)

// Objective computes the pretraining losses of a model: masked pieces, and the sentence loss of examples that have a label.
type Objective struct {
	Model  *model.Model
	Device ops.Device
	Drop   model.Dropouts // rates; the key is the step's
	Seed   uint64
}

// sums are what a set of examples adds up to. Adding them in a fixed order gives the same bits everywhere.
type sums struct {
	mlmLoss, sopLoss     float64 // not divided
	mlmCorrect, mlmCount int
	sopCorrect, sopCount int
	maskedCorrect        int // of the targets that the model sees as [MASK]
	pieces               int
}

func (s *sums) add(o sums) {
	s.mlmLoss += o.mlmLoss
	s.sopLoss += o.sopLoss
	s.mlmCorrect += o.mlmCorrect
	s.mlmCount += o.mlmCount
	s.sopCorrect += o.sopCorrect
	s.sopCount += o.sopCount
	s.maskedCorrect += o.maskedCorrect
	s.pieces += o.pieces
}

// sumsLen is how many numbers sums are.
const sumsLen = 8

func (s *sums) list() []float64 {
	return []float64{s.mlmLoss, s.sopLoss, float64(s.mlmCorrect), float64(s.mlmCount), float64(s.sopCorrect), float64(s.sopCount),
		float64(s.maskedCorrect), float64(s.pieces)}
}

func sumsOf(x []float64) sums {
	return sums{x[0], x[1], int(x[2]), int(x[3]), int(x[4]), int(x[5]), int(x[6]), int(x[7])}
}

// losses gives the loss, and what it consists of, under the names of log.jsonl; a part without examples is null.
func (s *sums) losses() train.Fields {
	var mlmLoss, mlmAccuracy, sopLoss, sopAccuracy any
	loss := 0.0
	if s.mlmCount > 0 {
		l := s.mlmLoss / float64(s.mlmCount)
		loss += l
		mlmLoss, mlmAccuracy = l, float64(s.mlmCorrect)/float64(s.mlmCount)
	}
	if s.sopCount > 0 {
		l := s.sopLoss / float64(s.sopCount)
		loss += l
		sopLoss, sopAccuracy = l, float64(s.sopCorrect)/float64(s.sopCount)
	}
	return train.Fields{{Name: "loss", Value: loss}, {Name: "mlm_loss", Value: mlmLoss}, {Name: "mlm_accuracy", Value: mlmAccuracy},
		{Name: "sop_loss", Value: sopLoss}, {Name: "sop_accuracy", Value: sopAccuracy}}
}

// ragged lays examples one after another: the batch, the rows and pieces of the masked places, and the sentences that have a
// label, with their labels.
func ragged(list []examples.Example) (b *ops.Batch, rows, targets, labelled, labels []int32) {
	b = &ops.Batch{Offsets: make([]int32, 1, len(list)+1)}
	for i, e := range list {
		first := int32(len(b.IDs))
		b.IDs = append(b.IDs, e.InputIDs...)
		for _, t := range e.TokenTypes {
			b.Types = append(b.Types, int32(t))
		}
		b.Offsets = append(b.Offsets, int32(len(b.IDs)))
		b.Examples = append(b.Examples, e.Index)
		for j, p := range e.MaskedPositions {
			rows = append(rows, first+int32(p))
			targets = append(targets, e.MaskedIDs[j])
		}
		if e.Label >= 0 {
			labelled = append(labelled, int32(i))
			labels = append(labels, int32(e.Label))
		}
	}
	return b, rows, targets, labelled, labels
}

// run computes the losses of examples; with g not nil also the gradients of mean losses over a batch of mlmCount masked places and
// sopCount labelled pairs. mask is the id of [MASK].
func (o *Objective) run(g *ops.Grads, list []examples.Example, step, mlmCount, sopCount int, mask int32) sums {
	b, rows, targets, labelled, labels := ragged(list)
	t := ops.NewTape(o.Device, g)
	defer t.Reset()
	drop := model.NoDropout
	if g != nil && (o.Drop.Hidden > 0 || o.Drop.Attention > 0) {
		drop = o.Drop
		drop.Key = ops.DropoutKey(o.Seed, uint32(step))
	}
	s := sums{pieces: b.Rows(), mlmCount: len(rows), sopCount: len(labels)}
	hidden := o.Model.Encode(t, b, drop)
	if len(labels) > 0 {
		logits := o.Model.SOPLogits(t, o.Model.Pool(t, b, hidden))
		if len(labels) < b.Len() {
			logits = t.Gather(logits, labelled)
		}
		l := t.SoftmaxLoss(logits, labels, 1/float32(sopCount))
		for i, v := range l.Values {
			s.sopLoss += float64(v)
			if l.Argmax[i] == labels[i] {
				s.sopCorrect++
			}
		}
	}
	if len(rows) > 0 {
		l := o.Model.MLMLoss(t, hidden, rows, targets, 1/float32(mlmCount))
		for i, v := range l.Values {
			s.mlmLoss += float64(v)
			if l.Argmax[i] == targets[i] {
				s.mlmCorrect++
				if b.IDs[rows[i]] == mask {
					s.maskedCorrect++
				}
			}
		}
	}
	t.Backward()
	return s
}

// Batch is a step's examples, ready for the training loop.
type Batch struct {
	Examples []examples.Example

	objective          *Objective
	step               int
	mask               int32
	mlmCount, sopCount int
	found              []float64 // for each sequence the sums of the leaf that begins there, else zeros
}

// NewBatch counts the divisors of a step's losses: masked pieces and labelled pairs of the whole batch.
func (o *Objective) NewBatch(step int, list []examples.Example, mask int32) *Batch {
	b := &Batch{Examples: list, objective: o, step: step, mask: mask, found: make([]float64, sumsLen*len(list))}
	for _, e := range list {
		b.mlmCount += len(e.MaskedPositions)
		if e.Label >= 0 {
			b.sopCount++
		}
	}
	return b
}

// Len is the number of sequences.
func (b *Batch) Len() int { return len(b.Examples) }

// Pieces is the length of sequence i.
func (b *Batch) Pieces(i int) int { return len(b.Examples[i].InputIDs) }

// Leaf runs sequences [from,to) forward and back, adding their gradients to g. It may be called by several goroutines.
func (b *Batch) Leaf(g *ops.Grads, from, to int) error {
	s := b.objective.run(g, b.Examples[from:to], b.step, b.mlmCount, b.sopCount, b.mask)
	copy(b.Found(from, to), s.list())
	return nil
}

// Found is what Leaf found in sequences [from,to).
func (b *Batch) Found(from, to int) []float64 { return b.found[sumsLen*from : sumsLen*to] }

// Report gives the step's losses and accuracies.
func (b *Batch) Report() train.Fields {
	var total sums
	for x := range slices.Chunk(b.found, sumsLen) {
		total.add(sumsOf(x))
	}
	return total.losses()
}

// Example names sequence i in the log of a skipped step.
func (b *Batch) Example(i int) string { return fmt.Sprint(b.Examples[i].Index) }

// Bound is a loss that no model can be below on examples: where inputs are equal, masked pieces included, and what stood there is not.
func Bound(list []examples.Example) float64 {
	masked, _ := train.Ambiguity(func(yield func(string, int32) bool) {
		for _, e := range list {
			text := fmt.Sprint(e.InputIDs, e.TokenTypes)
			for i, p := range e.MaskedPositions {
				yield(fmt.Sprint(p, text), e.MaskedIDs[i])
			}
		}
	})
	order, _ := train.Ambiguity(func(yield func(string, int) bool) {
		for _, e := range list {
			if e.Label >= 0 {
				yield(fmt.Sprint(e.InputIDs, e.TokenTypes), int(e.Label))
			}
		}
	})
	return masked + order
}
