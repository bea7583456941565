package cpu

import (
	"math"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
)

// probabilities tells where each sequence's attention probabilities stand in one buffer: heads matrices [S,S], row stride ld.
type probabilities struct {
	start []int
	total int
}

func layoutProbabilities(b *ops.Batch, heads int) probabilities {
	p := probabilities{start: make([]int, b.Len())}
	for s := range b.Len() {
		n := int(b.Offsets[s+1] - b.Offsets[s])
		p.start[s] = p.total
		p.total += heads * n * stride(n)
	}
	return p
}

func (p probabilities) of(data []float32, s, head, n int) []float32 {
	size := n * stride(n)
	at := p.start[s] + head*size
	return data[at : at+size]
}

// Attention: ctx = dropout(softmax(q k^T / sqrt(d))) v, per sequence and head. q, k and v stand side by side in qkv.
func (d *Device) Attention(ctx *ops.Tensor, save *ops.Saved, qkv *ops.Tensor, b *ops.Batch, heads int, drop ops.Dropout) {
	if d.int8 {
		d.attentionInt8(ctx, qkv, b, heads)
		return
	}
	hidden := ctx.Cols
	width := hidden / heads
	scale := 1 / float32(math.Sqrt(float64(width)))
	threshold, dropScale := dropThreshold(drop.Rate)
	var layout probabilities
	if save != nil {
		layout = layoutProbabilities(b, heads)
		save.Tensor = d.New(1, layout.total)
	}
	ld := qkv.Stride
	d.pool.run(b.Len()*heads, func(t int) {
		s, head := t/heads, t%heads
		n := int(b.Offsets[s+1] - b.Offsets[s])
		start := int(b.Offsets[s])
		q := qkv.Data[start*ld+head*width:]
		k, v := q[hidden:], q[2*hidden:]
		w := d.getScratch()
		defer d.putScratch(w)
		kp := w.packCols(d.k, 0, k, ld, width, n)
		vp := w.packRows(d.k, 1, v, ld, n, width)
		lp := stride(n)
		out := ctx.Data[start*ctx.Stride+head*width:]
		for r0 := 0; r0 < n; r0 += rowBlock {
			rows := min(rowBlock, n-r0)
			var p []float32
			if save != nil {
				p = layout.of(save.Tensor.Data, s, head, n)[r0*lp:]
			} else {
				p = w.floats(0, rows*lp)
			}
			d.k.Gemm(rows, q[r0*ld:], ld, kp, 0, panelCount(d.k, n), p, lp, nil, kernel.Zero)
			for r := range rows {
				d.k.Softmax(p[r*lp:r*lp+n], scale)
			}
			if drop.Rate > 0 {
				kept := w.floats(1, rows*lp)
				for r := range rows {
					at := [3]uint32{uint32((r0+r)*heads + head), b.Example(s), drop.Site}
					d.k.Dropout(kept[r*lp:r*lp+n], p[r*lp:r*lp+n], threshold, dropScale, drop.Key, at)
				}
				p = kept
			}
			d.k.Gemm(rows, p, lp, vp, 0, panelCount(d.k, width), out[r0*ctx.Stride:], ctx.Stride, nil, kernel.Zero)
		}
	})
}

// headsAtOnce is how many heads' q, k and v are made before their attention is: they stay in L2. It is one where threads would wait.
const headsAtOnce = 2

// SelfAttention: ctx = softmax(q k^T / sqrt(d)) v, q, k and v made of x for a few heads at a time, where their attention finds them.
func (d *Device) SelfAttention(ctx, x *ops.Tensor, b *ops.Batch, heads int, query, key, value ops.Affine) {
	parts := []ops.Affine{query, key, value}
	own, columns := headsAtOnce, d.k.NR
	if d.int8 {
		columns = panelRows
	}
	if heads%(own*d.pool.threads) != 0 {
		own = 1
	}
	tasks, n := heads/own, own*ctx.Cols/heads
	if heads%(own*d.pool.threads) != 0 || n%columns != 0 || x.Rows <= fewRows {
		qkv := d.New(x.Rows, 3*ctx.Cols)
		d.Linear(qkv, nil, x, ops.Identity, parts)
		d.Attention(ctx, nil, qkv, b, heads, ops.Dropout{})
		d.Free(qkv)
		return
	}
	panels := n / columns
	project, free := d.projector(x, parts, panels)
	d.RunLarge(tasks, func(t int) {
		qkv := d.New(x.Rows, 3*n)
		for i := range parts {
			project(i, t*panels, qkv.Data[i*n:], qkv.Stride)
		}
		out := &ops.Tensor{Rows: x.Rows, Cols: n, Stride: ctx.Stride, Data: ctx.Data[t*n:]}
		d.Single().Attention(out, nil, qkv, b, own, ops.Dropout{})
		d.Free(qkv)
	})
	free()
}

// projector gives a function that computes so many panels from p on of a part of x's linear map, on its caller's thread, and one that frees what
// it needs.
func (d *Device) projector(x *ops.Tensor, parts []ops.Affine, panels int) (project func(part, p int, y []float32, ld int), free func()) {
	if d.int8 {
		var weights []*kernel.Int8Panels
		for _, p := range parts {
			weights = append(weights, d.weightInt8(p.W))
		}
		a := d.quantizeRows(x, nil)
		return func(part, p int, y []float32, ld int) {
			w := d.getScratch()
			defer d.putScratch(w)
			b, bias := weights[part].From(p), biasOf(parts[part], p*panelRows)
			for r := 0; r < x.Rows; r += int8RowBlock {
				end := min(x.Rows, r+int8RowBlock)
				d.gemmInt8(w, a.data[r*a.ld:], a.ld, a.rows[r:end], b, bias, 0, panels, y[r*ld:], ld, ops.Identity, nil)
			}
		}, func() { d.Free(a.from) }
	}
	var weights []*kernel.Panels
	for _, p := range parts {
		weights = append(weights, d.weight(p.W, true))
	}
	left, block := d.roundRows(x.Rows, x.Data, x.Stride, x.Cols), d.rowBlock(x.Cols)
	return func(part, p int, y []float32, ld int) {
		b := d.k.PanelsFrom(weights[part], p)
		bias, init := startAt(parts[part], p*d.k.NR)
		for r := 0; r < x.Rows; r += block {
			d.multiply(min(block, x.Rows-r), left.Data[r*left.Stride:], left.Stride, b, 0, panels, y[r*ld:], ld, bias, init)
		}
	}, func() { d.freeRows(left) }
}

// AttentionGrad, with P the probabilities and D the dropout: dv = D(P)^T dctx; dP = D(dctx v^T);
// dS = scale * P * (dP - rowsum(P * dP)); dq = dS k; dk = dS^T q.
func (d *Device) AttentionGrad(dqkv *ops.Tensor, accumulate bool, dctx, qkv *ops.Tensor, saved *ops.Saved, b *ops.Batch, heads int,
	drop ops.Dropout) {
	hidden := dctx.Cols
	width := hidden / heads
	scale := 1 / float32(math.Sqrt(float64(width)))
	threshold, dropScale := dropThreshold(drop.Rate)
	layout := layoutProbabilities(b, heads)
	ld, lc := qkv.Stride, dctx.Stride
	init := startOf(accumulate)
	d.pool.run(b.Len()*heads, func(t int) {
		s, head := t/heads, t%heads
		n := int(b.Offsets[s+1] - b.Offsets[s])
		start := int(b.Offsets[s])
		at := start*ld + head*width
		q, k, v := qkv.Data[at:], qkv.Data[at+hidden:], qkv.Data[at+2*hidden:]
		dq, dk, dv := dqkv.Data[at:], dqkv.Data[at+hidden:], dqkv.Data[at+2*hidden:]
		dc := dctx.Data[start*lc+head*width:]
		w := d.getScratch()
		defer d.putScratch(w)
		p := layout.of(saved.Tensor.Data, s, head, n)
		lp := stride(n)
		wide, narrow := panelCount(d.k, n), panelCount(d.k, width)

		dp := w.floats(0, n*lp)
		vp := w.packCols(d.k, 0, v, ld, width, n)
		d.k.Gemm(n, dc, lc, vp, 0, wide, dp, lp, nil, kernel.Zero)
		kept := p
		if drop.Rate > 0 {
			kept = w.floats(1, n*lp)
			for r := range n {
				at := [3]uint32{uint32(r*heads + head), b.Example(s), drop.Site}
				d.k.Dropout(kept[r*lp:r*lp+n], p[r*lp:r*lp+n], threshold, dropScale, drop.Key, at)
				d.k.Dropout(dp[r*lp:r*lp+n], dp[r*lp:r*lp+n], threshold, dropScale, drop.Key, at)
			}
		}
		turned := w.floats(2, n*lp)
		d.k.Transpose(turned, lp, kept, lp, n, n)
		d.k.Gemm(n, turned, lp, w.packRows(d.k, 1, dc, lc, n, width), 0, narrow, dv, ld, nil, init)
		for r := range n {
			d.k.SoftmaxGrad(dp[r*lp:r*lp+n], p[r*lp:r*lp+n], scale)
		}
		d.k.Gemm(n, dp, lp, w.packRows(d.k, 2, k, ld, n, width), 0, narrow, dq, ld, nil, init)
		d.k.Transpose(turned, lp, dp, lp, n, n)
		d.k.Gemm(n, turned, lp, w.packRows(d.k, 3, q, ld, n, width), 0, narrow, dk, ld, nil, init)
	})
}
