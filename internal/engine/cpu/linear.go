package cpu

import (
	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
)

// split is how the outputs of a product are shared out: a task is a block of rows times a chunk of panels.
type split struct{ rows, panels, rowBlocks, chunks int }

// leftBytes is how much of a left operand in bf16 a task takes where an instruction multiplies: it stays in a core's L2 while the panels pass by
// once, and the more rows it has, the fewer times they come from L3.
const leftBytes = 800 << 10

// splitWork cuts rows x panels into tasks. Few rows: chunks of panels, so that all threads have work, two for each thread, as every chunk reads the
// rows again; many rows: eight tasks for each, whole row blocks, so that a block's panels are read from the cache.
func (d *Device) splitWork(rows, panels, k int) split {
	block := d.rowBlock(k)
	s := split{rows: rows, panels: panels, rowBlocks: (rows + block - 1) / block, chunks: 1}
	if d.k.Instruction() { // a fixed share of the panels for each thread: the same core meets the same weights again
		if s.rowBlocks < 2*d.pool.threads {
			s.chunks = min(panels, d.pool.threads)
		}
		return s
	}
	want := 8 * d.pool.threads
	if s.rowBlocks < 2*d.pool.threads {
		want = 2 * d.pool.threads
	}
	if d.pool.threads > 1 && s.rowBlocks < want {
		s.chunks = min(panels, (want+s.rowBlocks-1)/s.rowBlocks)
	}
	return s
}

// rowBlock is how many rows of k values meet a panel.
func (d *Device) rowBlock(k int) int {
	if d.k.Instruction() {
		return max(32, min(512, leftBytes/(2*max(1, k))&^31))
	}
	return rowBlock
}

// multiply is [kernel.Set.Gemm] of rows that roundRows gave.
func (d *Device) multiply(m int, a []float32, lda int, b *kernel.Panels, p0, p1 int, c []float32, ldc int, bias []float32, init kernel.Init) {
	if !d.k.Instruction() {
		d.k.Gemm(m, a, lda, b, p0, p1, c, ldc, bias, init)
		return
	}
	d.k.GemmLeft(m, a, lda, b, p0, p1, c, ldc, bias, init)
}

func (s split) tasks() int { return s.rowBlocks * s.chunks }

// task gives the rows and panels of task t.
func (s split) task(t int) (r0, r1, p0, p1 int) {
	b, c := t/s.chunks, t%s.chunks
	return s.rows * b / s.rowBlocks, s.rows * (b + 1) / s.rowBlocks, s.panels * c / s.chunks, s.panels * (c + 1) / s.chunks
}

// gemm computes c[rows,N] = init + a[rows,K] b on all threads. after, if not nil, is called for each finished block, rows r0 to r1 and
// columns c0 to c1.
func (d *Device) gemm(rows int, a []float32, lda int, b *kernel.Panels, c []float32, ldc int, bias []float32, init kernel.Init,
	after func(r0, r1, c0, c1 int)) {
	if rows == 0 {
		return
	}
	left := d.roundRows(rows, a, lda, b.K)
	d.gemmLeft(rows, left, b, c, ldc, bias, init, after)
	d.freeRows(left)
}

// roundRows gives the rows of a left operand in the form that products take: a itself, or where an instruction for bf16 multiplies a tensor that
// freeRows takes back.
func (d *Device) roundRows(rows int, a []float32, lda, k int) *ops.Tensor {
	n := d.k.Left(k)
	if n == 0 {
		return &ops.Tensor{Rows: rows, Cols: k, Stride: lda, Data: a}
	}
	t := d.New(rows, n)
	d.eachRow(rows, func(r int) { d.k.RoundRow(t.Row(r), a[r*lda:r*lda+k]) })
	return t
}

// freeRows takes back what roundRows made.
func (d *Device) freeRows(t *ops.Tensor) {
	if d.k.Instruction() {
		d.Free(t)
	}
}

// gemmLeft is gemm of rows that roundRows gave.
func (d *Device) gemmLeft(rows int, a *ops.Tensor, b *kernel.Panels, c []float32, ldc int, bias []float32, init kernel.Init,
	after func(r0, r1, c0, c1 int)) {
	group := panelCount(d.k, b.N)
	if d.k.Instruction() && after != nil {
		group = activationPanels
	}
	s := d.splitWork(rows, panelCount(d.k, b.N), b.K)
	d.pool.run(s.tasks(), func(t int) {
		r0, r1, p0, p1 := s.task(t)
		for p := p0; p < p1; p += group {
			end := min(p1, p+group)
			d.multiply(r1-r0, a.Data[r0*a.Stride:], a.Stride, b, p, end, c[r0*ldc:], ldc, bias, init)
			if after != nil {
				after(r0, r1, p*d.k.NR, min(b.N, end*d.k.NR))
			}
		}
	})
}

// Linear: y = act(x W^T + b).
func (d *Device) Linear(y *ops.Tensor, save *ops.Saved, x *ops.Tensor, act ops.Activation, parts []ops.Affine) {
	if d.int8 {
		d.linearInt8(y, x, act, parts)
		return
	}
	f, _ := d.activation(act)
	z := y
	if save != nil && f != nil && act != ops.Tanh { // tanh's gradient needs only its output
		save.Tensor = d.New(y.Rows, y.Cols)
		z = save.Tensor
	}
	var after func(r0, r1, c0, c1 int)
	at := 0
	if f != nil {
		after = func(r0, r1, c0, c1 int) {
			for r := r0; r < r1; r++ {
				f(y.Row(r)[at+c0:at+c1], z.Row(r)[at+c0:at+c1])
			}
		}
	}
	if x.Rows == 0 {
		return
	}
	left := d.roundRows(x.Rows, x.Data, x.Stride, x.Cols)
	defer d.freeRows(left)
	for _, p := range parts {
		bias, init := startAt(p, 0)
		d.gemmLeft(x.Rows, left, d.weight(p.W, true), z.Data[at:], z.Stride, bias, init, after)
		at += p.W.Rows()
	}
}

// FeedForward: y = act(x W1^T + b1) W2^T + b2. Where an instruction multiplies, what the first product gives is rounded, and meets the second one's
// weights, while it is in L2: some panels at a time, which are the next part of the second product's chains.
func (d *Device) FeedForward(y, x *ops.Tensor, act ops.Activation, first, second ops.Affine) {
	if d.int8 {
		d.feedForwardInt8(y, x, act, first, second)
		return
	}
	if !d.k.Instruction() || x.Rows <= fewRows {
		f := d.New(x.Rows, first.W.Rows())
		d.Linear(f, nil, x, act, []ops.Affine{first})
		d.Linear(y, nil, f, ops.Identity, []ops.Affine{second})
		d.Free(f)
		return
	}
	w1, w2 := d.weight(first.W, true), d.weight(second.W, true)
	left := d.roundRows(x.Rows, x.Data, x.Stride, x.Cols)
	panels, step := panelCount(d.k, w1.N), feedForwardPanels*d.pool.threads
	middle := d.New(x.Rows, d.k.Left(min(panels, step)*d.k.NR))
	bias, init := startAt(second, 0)
	for p0 := 0; p0 < panels; p0 += step {
		p1 := min(panels, p0+step)
		d.shares(p1-p0, func(from, to int) { d.activatedPanels(middle, p0, p0+from, p0+to, left, w1, first, act) })
		d.shares(panelCount(d.k, w2.N), func(from, to int) {
			d.k.GemmLeftPart(x.Rows, middle.Data, middle.Stride, w2, p0*d.k.NR, min(w2.K, p1*d.k.NR), from, to, y.Data, y.Stride, bias, init)
		})
		init = kernel.Accumulate
	}
	d.Free(middle)
	d.Free(left)
}

// fewRows are so few that to read the weights is all that counts: then one operation reads them from end to end.
const fewRows = 32

// feedForwardPanels is how many panels of the first product a thread makes before the second goes on: of 128 rows, 0.2 MB in bf16.
const feedForwardPanels = 24

// activatedPanels computes panels p0 to p1 of act(left W^T + b) and rounds them into y, whose first column is that of panel start.
func (d *Device) activatedPanels(y *ops.Tensor, start, p0, p1 int, left *ops.Tensor, w *kernel.Panels, p ops.Affine, act ops.Activation) {
	f, _ := d.activation(act)
	own := d.getScratch()
	defer d.putScratch(own)
	ld := stride(activationPanels * d.k.NR)
	z := own.floats(0, y.Rows*ld)
	for q := p0; q < p1; q += activationPanels {
		end := min(p1, q+activationPanels)
		c0, c1 := q*d.k.NR, min(w.N, end*d.k.NR)
		bias, init := startAt(p, c0)
		d.k.GemmLeft(y.Rows, left.Data, left.Stride, d.k.PanelsFrom(w, q), 0, end-q, z, ld, bias, init)
		for r := range y.Rows {
			row := z[r*ld : r*ld+c1-c0]
			if f != nil {
				f(row, row)
			}
			d.k.RoundRow(y.Row(r)[(c0-start*d.k.NR)/2:], row)
		}
	}
}

// shares calls f for a share of n for each thread.
func (d *Device) shares(n int, f func(from, to int)) {
	tasks := min(n, d.pool.threads)
	d.pool.run(tasks, func(t int) { f(n*t/tasks, n*(t+1)/tasks) })
}

// startAt is what the products of a linear map start from, from a column on.
func startAt(p ops.Affine, column int) ([]float32, kernel.Init) {
	if b := biasOf(p, column); b != nil {
		return b, kernel.Bias
	}
	return nil, kernel.Zero
}

// activation gives the kernels of an activation and of its gradient, which takes its input; tanh's takes its output. nil for the identity.
func (d *Device) activation(act ops.Activation) (f func(y, x []float32), grad func(dx, dy, x []float32)) {
	switch act {
	case ops.GeluTanh:
		return d.k.GeluTanh, d.k.GeluTanhGrad
	case ops.GeluErf:
		return d.k.GeluErf, d.k.GeluErfGrad
	case ops.Relu:
		return d.k.Relu, d.k.ReluGrad
	case ops.Tanh:
		return d.k.Tanh, d.k.TanhGrad
	}
	return nil, nil
}

// LinearGrad: dz = dy act'(z); dW += dz^T x, db += column sums of dz, both chains over the rows; dx = dz W, one chain over the
// outputs of all parts.
func (d *Device) LinearGrad(g *ops.Grads, dx *ops.Tensor, accumulate bool, dy, y, x *ops.Tensor, saved *ops.Saved,
	act ops.Activation, parts []ops.Affine) {
	if _, grad := d.activation(act); grad != nil {
		from := saved.Tensor
		if act == ops.Tanh {
			from = y
		}
		d.eachRow(dy.Rows, func(r int) { grad(dy.Row(r), dy.Row(r), from.Row(r)) })
	}
	xp := d.packActivations(x)
	at := 0
	for _, p := range parts {
		d.outerAccumulate(g.Of(p.W), dy.Data[at:], dy.Stride, p.W.Rows(), x.Rows, xp)
		if p.B != nil {
			d.columnSums(g.Of(p.B), dy.Data[at:], dy.Stride, x.Rows)
		}
		at += p.W.Rows()
	}
	d.putPanels(xp)
	if dx == nil {
		return
	}
	init := startOf(accumulate)
	at = 0
	for _, p := range parts {
		d.gemm(x.Rows, dy.Data[at:], dy.Stride, d.weight(p.W, false), dx.Data, dx.Stride, nil, init, nil)
		init = kernel.Accumulate
		at += p.W.Rows()
	}
}

// startOf is what the product for a gradient starts from.
func startOf(accumulate bool) kernel.Init {
	if accumulate {
		return kernel.Accumulate
	}
	return kernel.Zero
}

// rowChunk is how many rows a task of row-wise work takes: some 10 us of work.
const rowChunk = 16

// eachRow calls f for every row.
func (d *Device) eachRow(rows int, f func(r int)) {
	d.pool.run((rows+rowChunk-1)/rowChunk, func(t int) {
		for r := t * rowChunk; r < min(rows, (t+1)*rowChunk); r++ {
			f(r)
		}
	})
}

// colChunk is how many columns a task of column sums takes: with the sums and a row at hand they stay in L1, and neighbouring
// tasks do not write to the same cache line.
const colChunk = 64

// columnSums: sums[n] += column n of a[rows][len(sums)], rows ascending.
func (d *Device) columnSums(sums, a []float32, ld, rows int) {
	d.eachColumns(len(sums), func(c0, c1 int) {
		for r := range rows {
			d.k.AddTo(sums[c0:c1], a[r*ld+c0:r*ld+c1])
		}
	})
}

// eachColumns calls f for chunks of columns.
func (d *Device) eachColumns(cols int, f func(c0, c1 int)) {
	n := (cols + colChunk - 1) / colChunk
	d.pool.run(n, func(t int) { f(t*colChunk, min(cols, (t+1)*colChunk)) })
}

// packActivations packs x[K,N] as the right operand of a product, for the backward pass, in a buffer of the device. putPanels takes it
// back.
func (d *Device) packActivations(x *ops.Tensor) *kernel.Panels {
	t := d.New(1, d.k.PanelsLen(x.Rows, x.Cols))
	p := &kernel.Panels{K: x.Rows, N: x.Cols, Data: t.Data}
	panels := panelCount(d.k, x.Cols)
	d.pool.run(panels, func(i int) { d.k.PackRows(p, x.Data, x.Stride, i, i+1) })
	return p
}

func (d *Device) putPanels(p *kernel.Panels) { d.Free(&ops.Tensor{Data: p.Data}) }

// outerAccumulate: c[m,N] += a[rows,m]^T b[rows,N], one chain over the rows an element. c is contiguous.
func (d *Device) outerAccumulate(c, a []float32, lda, m, rows int, b *kernel.Panels) {
	if rows == 0 {
		return
	}
	turn, n := d.k.Transpose, rows
	if left := d.k.Left(rows); left != 0 {
		turn, n = d.k.RoundColumns, left
	}
	at := d.New(m, n)
	const block = 64 // columns of a in a task: a whole number of cache lines of a and of rows of at
	d.pool.run((m+block-1)/block, func(t int) {
		m0, m1 := t*block, min(m, (t+1)*block)
		turn(at.Data[m0*at.Stride:], at.Stride, a[m0:], lda, rows, m1-m0)
	})
	d.gemmLeft(m, at, b, c, b.N, nil, kernel.Accumulate, nil)
	d.Free(at)
}
