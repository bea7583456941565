package cpu

import (
	"fmt"
	"math"
	"sync"
	"unsafe"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/ops"
)

// Int8 gives the same device, whose products are in int8 by the rule of docs/numerics.md: for inference alone, with weights that
// [Device.Quantize] was given.
func (d *Device) Int8() *Device {
	return &Device{memory: d.memory, k: d.k.ForInt8(), pool: d.pool, int8: true}
}

// maxProduct is how many products of int8 a sum of 32 bits holds whatever they are: 254 * 127 * 2^16 < 2^31.
const maxProduct = 1 << 16

// Quantize gives the weights of products their int8 values, where they have none yet, and takes those in float32 away. A value that is
// not finite, of any parameter, is an error that names it.
func (d *Device) Quantize(all *ops.Params, products []*ops.Param) error {
	for _, p := range all.List {
		if !d.k.Finite(p.Data) {
			return fmt.Errorf("tensor %s has values that are not finite, which int8 cannot hold", p.Name)
		}
	}
	for _, p := range products {
		if n := p.Cols(); n > maxProduct {
			return fmt.Errorf("tensor %s has rows of %d values: in int8 %d at most, as sums are of 32 bits", p.Name, n, maxProduct)
		}
		if p.Int8 == nil {
			p.Int8 = d.quantizeMatrix(p)
		}
		p.Data = nil
	}
	return nil
}

// quantizeMatrix quantises the rows of p, an output's weights each.
func (d *Device) quantizeMatrix(p *ops.Param) *ops.Int8 {
	rows, cols := p.Rows(), p.Cols()
	q := &ops.Int8{Data: make([]int8, rows*cols), Scale: make([]float32, rows)}
	d.pool.run((rows+panelRows-1)/panelRows, func(t int) {
		w := d.getScratch()
		defer d.putScratch(w)
		row := grown(&w.int8.right, kernel.Int8Stride(cols))
		for r := t * panelRows; r < min(rows, (t+1)*panelRows); r++ {
			q.Scale[r], _ = d.k.QuantizeWeight(row, p.Data[r*cols:(r+1)*cols])
			copy(q.Data[r*cols:(r+1)*cols], row)
		}
	})
	return q
}

// panelRows is how many rows of a weight become a panel.
const panelRows = kernel.Int8Columns

// int8Form is a weight packed for products in int8, whose values never change.
type int8Form struct {
	once sync.Once
	kernel.Int8Panels
}

// weightInt8 gives the packed int8 form of p.
func (d *Device) weightInt8(p *ops.Param) *kernel.Int8Panels {
	f := &d.packedOf(p).int8
	f.once.Do(func() {
		f.Data = bytesOf(d.packedFloats(d.packedLen(p)))
		f.Resize(p.Cols(), p.Rows())
		copy(f.Scale, p.Int8.Scale)
		ld := kernel.Int8Stride(f.K)
		d.pool.run(f.Panels(), func(i int) {
			w := d.getScratch()
			defer d.putScratch(w)
			rows := grown(&w.int8.right, panelRows*ld)
			for r := range min(panelRows, f.N-i*panelRows) {
				copy(rows[r*ld:], p.Int8.Data[(i*panelRows+r)*f.K:][:f.K])
			}
			d.k.PackInt8(&f.Int8Panels, i, rows, ld)
		})
	})
	return &f.Int8Panels
}

// int8Scratch is memory that one task has for itself.
type int8Scratch struct {
	left, right []int8
	rows        []kernel.Int8Row
	sums        []int32
	packed      [2]kernel.Int8Panels
}

// grown makes room for n values, not set.
func grown[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n+n/4)
	}
	return (*s)[:n]
}

// bytesOf sees the memory of values as bytes.
func bytesOf(x []float32) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// int8Rows is a left operand.
type int8Rows struct {
	data []int8
	ld   int
	rows []kernel.Int8Row
	from *ops.Tensor // the memory
}

// quantizeRows quantises the rows of x; spans are theirs in each chunk of the columns, where they are known.
func (d *Device) quantizeRows(x *ops.Tensor, spans [][]kernel.Span) int8Rows {
	ld := kernel.Int8Stride(x.Cols)
	t := d.New(1, x.Rows*(ld/4+2))
	a := int8Rows{ld: ld, from: t}
	a.data = bytesOf(t.Data[:x.Rows*ld/4])
	a.rows = unsafe.Slice((*kernel.Int8Row)(unsafe.Pointer(&t.Data[x.Rows*ld/4])), x.Rows)
	d.eachRow(x.Rows, func(r int) {
		var span kernel.Span
		if spans == nil {
			span = d.k.Span(x.Row(r))
		}
		for _, chunk := range spans {
			span = span.Join(chunk[r])
		}
		a.rows[r] = d.k.QuantizeSpan(a.data[r*ld:(r+1)*ld], x.Row(r), span)
	})
	return a
}

const (
	// int8RowBlock is how many rows of a left operand meet a panel: 256 of 3,072 bytes are 0.8 MB, which stay in a core's L2 while the
	// panels pass by once.
	int8RowBlock = 256
	// attentionRows is how many rows of q meet the keys at once: their sums and probabilities stay in L1 up to some 300 keys.
	attentionRows = 32
	// activationPanels is how many panels of 32 columns are computed before the activation: 256 rows of 8 panels are 0.3 MB.
	activationPanels = 8
)

// linearInt8: y = act(x W^T + b), the rows of x quantised once for all parts.
func (d *Device) linearInt8(y, x *ops.Tensor, act ops.Activation, parts []ops.Affine) {
	if x.Rows == 0 {
		return
	}
	a := d.quantizeRows(x, nil)
	d.productInt8(y, a, act, parts, nil)
	d.Free(a.from)
}

// feedForwardInt8 is [Device.FeedForward]. It finds the spans of the first product's rows while they are in L2.
func (d *Device) feedForwardInt8(y, x *ops.Tensor, act ops.Activation, first, second ops.Affine) {
	if x.Rows == 0 {
		return
	}
	a := d.quantizeRows(x, nil)
	f := d.New(x.Rows, first.W.Rows())
	spans := make([][]kernel.Span, d.splitInt8(x.Rows, d.weightInt8(first.W).Panels()).chunks)
	for i := range spans {
		spans[i] = make([]kernel.Span, x.Rows)
	}
	d.productInt8(f, a, act, []ops.Affine{first}, spans)
	d.Free(a.from)
	a = d.quantizeRows(f, spans)
	d.Free(f)
	d.productInt8(y, a, ops.Identity, []ops.Affine{second}, nil)
	d.Free(a.from)
}

// splitInt8 cuts products of so many columns into tasks. Few rows: each thread has a share of the panels.
func (d *Device) splitInt8(rows, panels int) split {
	s := split{rows: rows, panels: panels, rowBlocks: (rows + int8RowBlock - 1) / int8RowBlock, chunks: 1}
	if s.rowBlocks < 2*d.pool.threads {
		s.chunks = min(panels, d.pool.threads)
	}
	return s
}

// productInt8: y = act(a W^T + b). spans, if not nil, is joined with those of y's rows in each chunk of panels.
func (d *Device) productInt8(y *ops.Tensor, a int8Rows, act ops.Activation, parts []ops.Affine, spans [][]kernel.Span) {
	panels := 0
	for _, p := range parts {
		panels += d.weightInt8(p.W).Panels()
	}
	s := d.splitInt8(len(a.rows), panels)
	d.pool.run(s.tasks(), func(t int) {
		r0, r1, p0, p1 := s.task(t)
		var own []kernel.Span
		if spans != nil {
			own = spans[t%s.chunks][r0:r1]
		}
		w := d.getScratch()
		defer d.putScratch(w)
		at := 0
		for _, p := range parts {
			n := d.weightInt8(p.W).Panels()
			if q0, q1 := max(0, p0), min(n, p1); q0 < q1 {
				d.gemmInt8(w, a.data[r0*a.ld:], a.ld, a.rows[r0:r1], d.weightInt8(p.W), biasOf(p, 0), q0, q1, y.Data[r0*y.Stride+at:], y.Stride, act, own)
			}
			p0, p1, at = p0-n, p1-n, at+p.W.Rows()
		}
	})
}

// biasOf gives the bias of a linear map from a column on, nil where there is none.
func biasOf(p ops.Affine, column int) []float32 {
	if p.B == nil {
		return nil
	}
	return p.B.Data[column:]
}

// gemmInt8 computes panels q0 to q1 of act(a b + bias), the activation while its inputs are in L2, and joins the spans of its rows with those that
// are there, if any.
func (d *Device) gemmInt8(w *scratch, a []int8, lda int, rows []kernel.Int8Row, b *kernel.Int8Panels, bias []float32, q0, q1 int, y []float32, ld int,
	act ops.Activation, spans []kernel.Span) {
	f, _ := d.activation(act)
	sums := grown(&w.int8.sums, kernel.Int8Scratch(len(rows)))
	for q := q0; q < q1; q += activationPanels {
		end := min(q1, q+activationPanels)
		d.k.GemmInt8(a, lda, rows, b, q, end, y, ld, bias, sums)
		if f == nil && spans == nil {
			continue
		}
		c0, c1 := q*panelRows, min(b.N, end*panelRows)
		for r := range rows {
			part := y[r*ld+c0 : r*ld+c1]
			if f != nil {
				f(part, part)
			}
			if spans != nil {
				spans[r] = spans[r].Join(d.k.Span(part))
			}
		}
	}
}

// attentionInt8: ctx = softmax(q k^T / sqrt(d)) v, per sequence and head. The rows of q and of the probabilities are left operands; a
// row of k, a column of v over the sequence are columns of right ones.
func (d *Device) attentionInt8(ctx, qkv *ops.Tensor, b *ops.Batch, heads int) {
	width := ctx.Cols / heads
	scale := 1 / float32(math.Sqrt(float64(width)))
	ld := qkv.Stride
	d.pool.run(b.Len()*heads, func(t int) {
		s, head := t/heads, t%heads
		n, start := int(b.Offsets[s+1]-b.Offsets[s]), int(b.Offsets[s])
		q := qkv.Data[start*ld+head*width:]
		k, v := q[ctx.Cols:], q[2*ctx.Cols:]
		w := d.getScratch()
		defer d.putScratch(w)
		turned := w.floats(1, width*stride(n))
		d.k.Transpose(turned, stride(n), v, ld, n, width)
		keys := d.rightInt8(w, 0, k, ld, width, n)
		values := d.rightInt8(w, 1, turned, stride(n), n, width)
		lp, ldq := stride(n), kernel.Int8Stride(max(n, width))
		out := ctx.Data[start*ctx.Stride+head*width:]
		for r0 := 0; r0 < n; r0 += attentionRows {
			m := min(attentionRows, n-r0)
			p := w.floats(0, m*lp)
			left, rows, sums := grown(&w.int8.left, m*ldq), grown(&w.int8.rows, m), grown(&w.int8.sums, kernel.Int8Scratch(m))
			for r := range m {
				rows[r] = d.k.QuantizeRow(left[r*ldq:(r+1)*ldq], q[(r0+r)*ld:][:width])
			}
			d.k.GemmInt8(left, ldq, rows, keys, 0, keys.Panels(), p, lp, nil, sums)
			for r := range m {
				rows[r] = d.k.SoftmaxInt8(left[r*ldq:(r+1)*ldq], p[r*lp:r*lp+n], scale)
			}
			d.k.GemmInt8(left, ldq, rows, values, 0, values.Panels(), out[r0*ctx.Stride:], ctx.Stride, nil, sums)
		}
	})
}

// rightInt8 packs the transpose of src[N][K] as right operand i.
func (d *Device) rightInt8(w *scratch, i int, src []float32, ld, K, N int) *kernel.Int8Panels {
	b := &w.int8.packed[i]
	b.Resize(K, N)
	lq := kernel.Int8Stride(K)
	rows := grown(&w.int8.right, panelRows*lq)
	for p := range b.Panels() {
		for r := range min(panelRows, N-p*panelRows) {
			j := p*panelRows + r
			var ok bool
			if b.Scale[j], ok = d.k.QuantizeWeight(rows[r*lq:(r+1)*lq], src[j*ld:j*ld+K]); !ok {
				b.Scale[j] = float32(math.NaN())
			}
		}
		d.k.PackInt8(b, p, rows, lq)
	}
	return b
}
