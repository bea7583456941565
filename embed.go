package albert

import (
	"fmt"
	"math"

	"albert/internal/engine/ops"
	"albert/internal/model"
)

// Pooling says how the vectors of pieces become one.
type Pooling string

// The poolings. PoolNone keeps a vector for every piece.
const (
	PoolMean   Pooling = "mean"   // over all pieces, [CLS] and [SEP] included
	PoolCLS    Pooling = "cls"    // the first piece's
	PoolPooler Pooling = "pooler" // the first piece's through the pooler: tanh of a map
	PoolNone   Pooling = "none"
)

// EmbedOptions of [Model.EmbedAll].
type EmbedOptions struct {
	Pooling   Pooling // "": mean
	Layer     int     // the output of this layer; 0 is the embedding, projected to the hidden size; -1 the last
	Normalize bool    // to length 1
}

// Embed gives the mean of the last layer's vectors of a text, [hidden_size] values.
func (m *Model) Embed(text string) ([]float32, error) {
	in, err := m.Encode(text)
	if err != nil {
		return nil, err
	}
	all, err := m.EmbedAll([]Input{in}, EmbedOptions{Layer: -1})
	if err != nil {
		return nil, err
	}
	return all[0][0], nil
}

// EmbedAll embeds several inputs in one pass: for each one vector, or one for every piece with PoolNone.
func (m *Model) EmbedAll(inputs []Input, o EmbedOptions) ([][][]float32, error) {
	layers := len(m.net.Layers)
	if o.Layer < 0 {
		o.Layer = layers
	}
	if o.Layer > layers {
		return nil, fmt.Errorf("layer %d: the model has %d", o.Layer, layers)
	}
	if o.Pooling == "" {
		o.Pooling = PoolMean
	}
	if o.Pooling == PoolPooler && m.net.Pooler.W == nil {
		return nil, fmt.Errorf("the model has no pooler: use another pooling (mean, cls, none)")
	}
	if err := m.checkAll(inputs); err != nil {
		return nil, err
	}
	t := ops.NewTape(m.dev, nil)
	defer t.Reset()
	b := batch(inputs)
	x := m.net.EncodeTo(t, b, model.NoDropout, o.Layer)
	var pooled *ops.Tensor
	if o.Pooling == PoolPooler {
		pooled = m.net.Pool(t, b, x)
	}
	out := make([][][]float32, len(inputs))
	for i := range inputs {
		first, end := int(b.Offsets[i]), int(b.Offsets[i+1])
		switch o.Pooling {
		case PoolPooler:
			out[i] = [][]float32{clone(pooled.Row(i))}
		case PoolCLS:
			out[i] = [][]float32{clone(x.Row(first))}
		case PoolMean:
			sum := clone(x.Row(first))
			for r := first + 1; r < end; r++ {
				m.dev.Kernels().AddTo(sum, x.Row(r))
			}
			m.dev.Kernels().Scale(sum, sum, 1/float32(end-first))
			out[i] = [][]float32{sum}
		case PoolNone:
			for r := first; r < end; r++ {
				out[i] = append(out[i], clone(x.Row(r)))
			}
		default:
			return nil, fmt.Errorf("pooling %q: want mean, cls, pooler or none", o.Pooling)
		}
		if o.Normalize {
			for _, v := range out[i] {
				if n := math.Sqrt(m.dev.Kernels().SumSquares(v)); n > 0 {
					m.dev.Kernels().Scale(v, v, float32(1/n))
				}
			}
		}
	}
	return out, nil
}

func clone(x []float32) []float32 { return append([]float32(nil), x...) }
