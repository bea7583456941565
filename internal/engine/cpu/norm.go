package cpu

import "albert/internal/engine/ops"

// rowPositions gives for every row its sequence's number and its position in the sequence.
func rowPositions(b *ops.Batch) (example, position []uint32) {
	example, position = make([]uint32, b.Rows()), make([]uint32, b.Rows())
	for s := range b.Len() {
		for r := b.Offsets[s]; r < b.Offsets[s+1]; r++ {
			example[r], position[r] = b.Example(s), uint32(r-b.Offsets[s])
		}
	}
	return example, position
}

// dropThreshold is the word below which a value is dropped, and what the others are multiplied by.
func dropThreshold(rate float32) (drop uint32, scale float32) {
	return uint32(float64(rate) * (1 << 32)), 1 / (1 - rate)
}

// rowDropout is a dropout on rows.
type rowDropout struct {
	threshold uint32
	scale     float32
	key       [2]uint32
	counter   [][3]uint32 // per row; nil if nothing is dropped
}

// dropoutOf lays out a dropout on the pieces of a batch or, perSequence, on a row for each of its sequences.
func dropoutOf(drop ops.Dropout, b *ops.Batch, perSequence bool) rowDropout {
	r := rowDropout{key: drop.Key}
	r.threshold, r.scale = dropThreshold(drop.Rate)
	switch {
	case drop.Rate == 0:
	case perSequence:
		for s := range b.Len() {
			r.counter = append(r.counter, [3]uint32{0, b.Example(s), drop.Site})
		}
	default:
		r.counter = make([][3]uint32, b.Rows())
		example, position := rowPositions(b)
		for i := range r.counter {
			r.counter[i] = [3]uint32{position[i], example[i], drop.Site}
		}
	}
	return r
}

// Norm: y = LayerNorm(res + dropout(x)) * gamma + beta. The sum, its mean and 1/deviation are saved.
func (d *Device) Norm(y *ops.Tensor, save *ops.Saved, x, res *ops.Tensor, gamma, beta *ops.Param, eps float32, b *ops.Batch,
	drop ops.Dropout) {
	sum := y // in inference the sum is made in place
	var mean, rstd []float32
	if save != nil {
		sum = d.New(x.Rows, x.Cols)
		mean, rstd = make([]float32, x.Rows), make([]float32, x.Rows)
		save.Tensor, save.Mean, save.Rstd = sum, mean, rstd
	}
	dropped := dropoutOf(drop, b, false)
	d.eachRow(x.Rows, func(r int) {
		s := sum.Row(r)
		switch {
		case drop.Rate > 0 && res != nil:
			d.k.DropoutAdd(s, x.Row(r), res.Row(r), dropped.threshold, dropped.scale, dropped.key, dropped.counter[r])
		case drop.Rate > 0:
			d.k.Dropout(s, x.Row(r), dropped.threshold, dropped.scale, dropped.key, dropped.counter[r])
		case res != nil:
			d.k.Add(s, res.Row(r), x.Row(r))
		default:
			copy(s, x.Row(r))
		}
		m, v := d.k.LayerNorm(y.Row(r), s, gamma.Data, beta.Data, eps)
		if save != nil {
			mean[r], rstd[r] = m, v
		}
	})
}

// NormGrad: the gradient of the sum goes to res as it is and to x through the dropout.
func (d *Device) NormGrad(g *ops.Grads, dx *ops.Tensor, accumulateX bool, dres *ops.Tensor, accumulateRes bool, dy *ops.Tensor,
	saved *ops.Saved, gamma, beta *ops.Param, b *ops.Batch, drop ops.Dropout) {
	sum := saved.Tensor
	dgamma, dbeta := g.Of(gamma), g.Of(beta)
	d.eachColumns(sum.Cols, func(c0, c1 int) {
		for r := range sum.Rows {
			d.k.LayerNormGradParams(dgamma[c0:c1], dbeta[c0:c1], dy.Row(r)[c0:c1], sum.Row(r)[c0:c1], saved.Mean[r], saved.Rstd[r])
		}
	})
	dropped := dropoutOf(drop, b, false)
	d.eachRow(sum.Rows, func(r int) {
		ds := dx.Row(r)
		if accumulateX {
			w := d.getScratch()
			defer d.putScratch(w)
			ds = w.floats(0, sum.Cols)
		}
		d.k.LayerNormGrad(ds, dy.Row(r), sum.Row(r), gamma.Data, saved.Mean[r], saved.Rstd[r])
		if dres != nil {
			d.put(dres.Row(r), ds, accumulateRes)
		}
		if drop.Rate > 0 {
			d.k.Dropout(ds, ds, dropped.threshold, dropped.scale, dropped.key, dropped.counter[r])
		}
		if accumulateX {
			d.k.AddTo(dx.Row(r), ds)
		}
	})
}

// Dropout: y = dropout(x), or y += dropout(x).
func (d *Device) Dropout(y *ops.Tensor, accumulate bool, x *ops.Tensor, b *ops.Batch, perSequence bool, drop ops.Dropout) {
	dropped := dropoutOf(drop, b, perSequence)
	d.eachRow(x.Rows, func(r int) {
		if accumulate {
			d.k.DropoutAdd(y.Row(r), x.Row(r), y.Row(r), dropped.threshold, dropped.scale, dropped.key, dropped.counter[r])
		} else {
			d.k.Dropout(y.Row(r), x.Row(r), dropped.threshold, dropped.scale, dropped.key, dropped.counter[r])
		}
	})
}

// Embed: y = word + token type + position.
func (d *Device) Embed(y *ops.Tensor, b *ops.Batch, word, position, tokenType *ops.Param) {
	n := word.Cols()
	_, positions := rowPositions(b)
	d.eachRow(b.Rows(), func(r int) {
		row := y.Row(r)
		if word.Int8 != nil && d.int8 {
			word.Int8.Row(row, int(b.IDs[r]))
		} else {
			copy(row, tableRow(word, n, b.IDs[r]))
		}
		d.k.AddTo(row, tableRow(tokenType, n, b.Types[r]))
		d.k.AddTo(row, tableRow(position, n, int32(positions[r])))
	})
}

func tableRow(p *ops.Param, n int, i int32) []float32 { return p.Data[int(i)*n : int(i)*n+n] }

// EmbedGrad adds each row's gradient to the rows of the three tables, rows ascending; threads share out the columns.
func (d *Device) EmbedGrad(g *ops.Grads, dy *ops.Tensor, b *ops.Batch, word, position, tokenType *ops.Param) {
	n := word.Cols()
	_, positions := rowPositions(b)
	dw, dp, dt := g.Of(word), g.Of(position), g.Of(tokenType)
	d.eachColumns(n, func(c0, c1 int) {
		for r := range dy.Rows {
			row := dy.Row(r)[c0:c1]
			for _, to := range [3]struct {
				table []float32
				i     int32
			}{{dw, b.IDs[r]}, {dt, b.Types[r]}, {dp, int32(positions[r])}} {
				d.k.AddTo(to.table[int(to.i)*n+c0:int(to.i)*n+c1], row)
			}
		}
	})
}

// Gather: y[i] = x[rows[i]].
func (d *Device) Gather(y, x *ops.Tensor, rows []int32) {
	for i, r := range rows {
		copy(y.Row(i), x.Row(int(r)))
	}
}

// GatherGrad: dx[rows[i]] += dy[i].
func (d *Device) GatherGrad(dx *ops.Tensor, accumulate bool, dy *ops.Tensor, rows []int32) {
	if !accumulate {
		clear(dx.Data[:dx.Rows*dx.Stride])
	}
	for i, r := range rows {
		d.k.AddTo(dx.Row(int(r)), dy.Row(i))
	}
}
