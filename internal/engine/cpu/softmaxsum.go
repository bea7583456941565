package cpu

import (
	"albert/internal/engine/numeric"
	"albert/internal/engine/ops"
)

// Concat: y = [a | b].
func (d *Device) Concat(y, a, b *ops.Tensor) {
	d.eachRow(y.Rows, func(r int) {
		row := y.Row(r)
		copy(row, a.Row(r))
		copy(row[a.Cols:], b.Row(r))
	})
}

// ConcatGrad: da and db are the halves of dy.
func (d *Device) ConcatGrad(da *ops.Tensor, accumulateA bool, db *ops.Tensor, accumulateB bool, dy *ops.Tensor) {
	d.eachRow(dy.Rows, func(r int) {
		row := dy.Row(r)
		d.put(da.Row(r), row[:da.Cols], accumulateA)
		d.put(db.Row(r), row[da.Cols:], accumulateB)
	})
}

// put writes or adds a row of gradients.
func (d *Device) put(to, from []float32, accumulate bool) {
	if accumulate {
		d.k.AddTo(to, from)
	} else {
		copy(to, from)
	}
}

// SoftmaxSum: y[s] = sum of p[r] x[r] over the rows of sequence s in use, p the softmax of their logits. Sums are in float64, where
// a product of two float32 is exact, rows ascending: no fused or unfused addition differs.
func (d *Device) SoftmaxSum(y, x, logits *ops.Tensor, b *ops.Batch, use []bool) {
	d.pool.run(b.Len(), func(s int) {
		from, to := int(b.Offsets[s]), int(b.Offsets[s+1])
		sums := make([]float64, y.Cols)
		for i, p := range shares(logits, use, from, to) {
			if p == 0 {
				continue
			}
			for j, v := range x.Row(from + i) {
				sums[j] += float64(p) * float64(v)
			}
		}
		row := y.Row(s)
		for j, v := range sums {
			row[j] = float32(v)
		}
	})
}

// shares is the softmax of the logits in use of rows [from,to), 0 for the others.
func shares(logits *ops.Tensor, use []bool, from, to int) []float32 {
	p := make([]float32, to-from)
	high, any := float32(0), false
	for i := range p {
		if v := logits.Row(from + i)[0]; use[from+i] && (!any || v > high) {
			high, any = v, true
		}
	}
	e, sum := make([]float64, len(p)), 0.0
	for i := range p {
		if use[from+i] {
			e[i] = numeric.Exp64(float64(logits.Row(from + i)[0]) - float64(high))
			sum += e[i]
		}
	}
	for i := range p {
		if use[from+i] {
			p[i] = float32(e[i] / sum)
		}
	}
	return p
}

// SoftmaxSumGrad: dx[r] = p[r] dy[s], and dlogits[r] = p[r] (dy[s].x[r] - m) with m the mean of dy[s].x by p.
func (d *Device) SoftmaxSumGrad(dx *ops.Tensor, accumulateX bool, dlogits *ops.Tensor, accumulateLogits bool,
	dy, x, logits *ops.Tensor, b *ops.Batch, use []bool) {
	d.pool.run(b.Len(), func(s int) {
		from, to := int(b.Offsets[s]), int(b.Offsets[s+1])
		p, g := shares(logits, use, from, to), dy.Row(s)
		dots, mean := make([]float64, len(p)), 0.0
		for i, share := range p {
			if use[from+i] {
				for j, v := range x.Row(from + i) {
					dots[i] += float64(v) * float64(g[j]) // exact products, as in the forward pass
				}
				mean += float64(float64(share) * dots[i])
			}
		}
		row := make([]float32, len(g))
		for i, share := range p {
			for j, v := range g {
				row[j] = share * v
			}
			d.put(dx.Row(from+i), row, accumulateX)
			d.put(dlogits.Row(from+i), []float32{float32(float64(share) * (dots[i] - mean))}, accumulateLogits)
		}
	})
}
