package infer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"albert/internal/engine/ops"
	"albert/internal/learn/task"
	"albert/internal/model"
)

// Pooling says how the vectors of pieces become one.
type Pooling string

// The poolings. PoolNone keeps a vector for every piece.
const (
	PoolMean   Pooling = "mean"   // over all pieces, [CLS] and [SEP] included
	PoolCLS    Pooling = "cls"    // the first piece's
	PoolPooler Pooling = "pooler" // the first piece's through the pooler: tanh of a map
	PoolMax    Pooling = "max"    // the largest of each value over all pieces
	PoolNone   Pooling = "none"
)

// EmbedOptions of [Model.Embed].
type EmbedOptions struct {
	Pooling   Pooling // "": mean
	Layer     int     // the output of this layer; 0 is the embedding, projected to the hidden size; below 0 the last
	Normalize bool    // to length 1
}

// Embedded is a text as one vector, or with PoolNone one for each piece, of hidden_size values.
type Embedded struct {
	Vectors   [][]float32
	Truncated bool
}

// Embed embeds texts.
func (m *Model) Embed(ctx context.Context, questions iter.Seq[*Question], o EmbedOptions) (iter.Seq2[Embedded, error], error) {
	return each(ctx, m, questions, m.checkEmbed(&o), Work[*Question, [][]float32, Embedded]{
		Layout: func(q *Question) ([]task.Example, error) { return m.single(q, false) },
		Head: func(t *ops.Tape, b *ops.Batch, _ []int, examples []task.Example) [][][]float32 {
			x := m.EncodeTo(t, b, model.NoDropout, o.Layer)
			var pooled *ops.Tensor
			if o.Pooling == PoolPooler {
				pooled = m.Pool(t, b, x)
			}
			out := make([][][]float32, len(examples))
			for i := range examples {
				if pooled != nil {
					out[i] = [][]float32{slices.Clone(pooled.Row(i))}
				} else {
					out[i] = m.pool(x, int(b.Offsets[i]), int(b.Offsets[i+1]), o.Pooling)
				}
				if o.Normalize {
					m.normalize(out[i])
				}
			}
			return out
		},
		Answer: func(_ *Question, examples []task.Example, results [][][]float32) (Embedded, error) {
			return Embedded{results[0], truncated(examples)}, nil
		},
	})
}

// checkEmbed fills in what the options leave out and refuses what the model does not have.
func (m *Model) checkEmbed(o *EmbedOptions) error {
	switch o.Pooling {
	case "":
		o.Pooling = PoolMean
	case PoolMean, PoolCLS, PoolMax, PoolNone:
	case PoolPooler:
		if m.Pooler.W == nil {
			return errors.New("the model has no pooler: use another pooling (mean, cls, max, none)")
		}
	default:
		return fmt.Errorf("pooling %q: want mean, cls, pooler, max or none", o.Pooling)
	}
	layers := len(m.Layers)
	if o.Layer > layers {
		return fmt.Errorf("layer %d: the model has %d", o.Layer, layers)
	}
	if o.Layer < 0 {
		o.Layer = layers
	}
	return nil
}

// pool makes one vector of rows [from, to), or copies them.
func (m *Model) pool(x *ops.Tensor, from, to int, p Pooling) [][]float32 {
	v := slices.Clone(x.Row(from))
	switch p {
	case PoolMean:
		for r := from + 1; r < to; r++ {
			m.dev.Kernels().AddTo(v, x.Row(r))
		}
		m.dev.Kernels().Scale(v, v, 1/float32(to-from))
	case PoolMax:
		for r := from + 1; r < to; r++ {
			for i, a := range x.Row(r) {
				v[i] = max(v[i], a)
			}
		}
	case PoolNone:
		rows := [][]float32{v}
		for r := from + 1; r < to; r++ {
			rows = append(rows, slices.Clone(x.Row(r)))
		}
		return rows
	}
	return [][]float32{v}
}

func (m *Model) normalize(vectors [][]float32) {
	for _, v := range vectors {
		if n := math.Sqrt(m.dev.Kernels().SumSquares(v)); n > 0 {
			m.dev.Kernels().Scale(v, v, float32(1/n))
		}
	}
}
