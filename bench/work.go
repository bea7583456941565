package bench

import (
	"albert/internal/engine/cpu"
	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
	"albert/internal/infer"
	"albert/internal/learn/examples"
	"albert/internal/learn/pretraining"
	"albert/internal/model"
)

// in gives the device whose products are in a precision, and quantises weights where that is int8.
func in(dev *cpu.Device, precision infer.Precision, all *ops.Params, products []*ops.Param) (*cpu.Device, error) {
	if precision == infer.Int8 {
		return dev.Int8(), dev.Quantize(all, products)
	}
	return dev.In(precision)
}

// gemmWork is y[M,N] = x[M,K] W^T + b, the weight packed beforehand.
func gemmWork(dev *cpu.Device, precision infer.Precision, m, k, n int) (*work, error) {
	s := numeric.NewStream(1, numeric.PurposeInit, uint32(m), uint32(k), uint32(n))
	w, b := ops.NewParam("w", n, k), ops.NewParam("b", n)
	for i := range w.Data {
		w.Data[i] = float32(s.Float64() - 0.5)
	}
	x, y := dev.New(m, k), dev.New(m, n)
	for r := range m {
		row := x.Row(r)
		for j := range row {
			row[j] = float32(s.Float64() - 0.5)
		}
	}
	parts := []ops.Affine{{W: w, B: b}}
	dev, err := in(dev, precision, ops.NewParams([]*ops.Param{w, b}), []*ops.Param{w})
	if err != nil {
		return nil, err
	}
	return &work{
		flops: 2 * float64(m) * float64(k) * float64(n),
		run: func() error {
			dev.Linear(y, nil, x, ops.Identity, parts)
			return nil
		},
	}, nil
}

// randomBatch is a batch of sequences of equal length over the normal pieces of a vocabulary.
func randomBatch(sequences, length, vocab int) *ops.Batch {
	s := numeric.NewStream(2, numeric.PurposeInit, uint32(sequences), uint32(length), 0)
	b := &ops.Batch{Offsets: []int32{0}}
	for range sequences {
		for j := range length {
			b.IDs = append(b.IDs, int32(5+s.Intn(vocab-5)))
			b.Types = append(b.Types, int32(j*2/length))
		}
		b.Offsets = append(b.Offsets, int32(len(b.IDs)))
	}
	return b
}

// forwardWork is the encoder of a randomly initialised model on a batch.
func forwardWork(dev *cpu.Device, precision infer.Precision, c model.Config, sequences, length int) (*work, error) {
	m := model.New(c, 1)
	dev, err := in(dev, precision, m.Params, m.Products())
	if err != nil {
		return nil, err
	}
	b := randomBatch(sequences, length, c.VocabSize)
	t := ops.NewTape(dev, nil)
	return &work{
		flops: float64(sequences) * c.FlopsForward(length),
		run: func() error {
			m.Encode(t, b, model.NoDropout)
			t.Reset()
			return nil
		},
	}, nil
}

// trainWork is a training step: forward and backward pass with 15 % of the pieces masked and the sentence loss, then LAMB.
func trainWork(dev *cpu.Device, c model.Config, sequences, length int) *work {
	m := model.New(c, 1)
	b := randomBatch(sequences, length, c.VocabSize)
	var list []examples.Example
	for s := range sequences {
		e := examples.Example{Index: uint64(s), InputIDs: b.IDs[s*length : (s+1)*length], Label: int8(s % 2)}
		for j, t := range b.Types[s*length : (s+1)*length] {
			e.TokenTypes = append(e.TokenTypes, uint8(t))
			if j%7 == 3 { // one in seven is close to 15 %
				e.MaskedPositions = append(e.MaskedPositions, int32(j))
				e.MaskedIDs = append(e.MaskedIDs, e.InputIDs[j])
			}
		}
		list = append(list, e)
	}
	step := pretraining.NewBenchStep(dev, m, list)
	return &work{
		flops: 3 * float64(sequences) * c.FlopsForward(length),
		run:   step,
	}
}
