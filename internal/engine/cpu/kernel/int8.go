package kernel

import (
	"math"
	"slices"
	"unsafe"

	"albert/internal/engine/numeric"
)

// The int8 product's rule stands in docs/numerics.md. A left operand's row is quantised to integers from -127 to 127 about a zero point,
// a right operand's column to integers from -127 to 127; sums of their products are exact.

const (
	// Int8Columns is the columns of a panel: two strips of 16.
	Int8Columns = 32
	stripNR     = Int8Columns / 2 // 16 words of four bytes: one AVX-512 register, two AVX2 registers, a row of an AMX tile

	int8Levels = 254      // steps from the least to the greatest value of a row
	int8Max    = 127      // the largest weight
	int8Tiny   = 0x1p-100 // what spans less is all zeros: its scale's inverse would overflow
	int8K      = 64       // K is filled up to a multiple: a tile of AMX has rows of 64 bytes
)

// int8Set is the int8 part of a [Set].
type int8Set struct {
	// flip is what every byte of a left operand is XORed with: 0x80 where the instructions want it without a sign.
	flip byte
	// span gives the least and the greatest of x and 0, NaN aside; check is NaN if a value is not finite, else 0.
	span func(x []float32) (lo, hi, check float32)
	// quantize: dst = saturated(round(x*inv) + zero) ^ flip. dst has room for a multiple of 16.
	quantize func(dst []int8, x []float32, inv float32, zero int32, flip byte)
	// softmax is [Set.Softmax] and quantize in one, whose greatest result it gives; x is overwritten.
	softmax func(dst []int8, x []float32, scale float32, flip byte) float32
	// panel: c[m][32] = a[m][k] b, rows lda and 32 apart, b a panel whose strips are strip bytes long; of the panel's columns the
	// first cols are wanted. k is the length of A's rows before they are filled up, with anything, as B has zeros there. next will be
	// wanted afterwards.
	panel func(m, k int, a []int8, lda int, b []int8, strip, cols int, c []int32, next []int8)
	// dequantize: y[r][j] = FMA((acc[r][j] - zero[r]*sum[j])*rowScale[r], scale[j], bias[j]); rows of acc are 32 apart.
	dequantize func(y []float32, ldy int, acc []int32, rows []Int8Row, sum []int32, scale, bias []float32)
	// peak is [Set.PeakFMA] of the products of int8.
	peak func(n int) int
}

// ForInt8 gives the set whose PeakFMA is that of int8.
func (s *Set) ForInt8() *Set {
	t := *s
	t.PeakFMA = s.int8.peak
	return &t
}

// Int8Row is how a left operand's row was quantised: x is about Scale*(q - Zero). Zero counts what flip adds.
type Int8Row struct {
	Scale float32
	Zero  int32
}

// Int8Panels is a right operand B[K,N] in int8, cut into panels of 32 columns. A panel is two strips of 16; a strip holds K, filled up
// with zeros to a multiple of 64, in groups of four: [K/4][16][4].
type Int8Panels struct {
	K, N  int
	Data  []int8
	Sum   []int32   // of each column, filled up to whole panels
	Scale []float32 // of each column: b is about Scale*q
}

// Int8Stride is the distance of the rows of an int8 operand of k columns: whole tiles, and one more so that rows do not fall into the
// same cache sets.
func Int8Stride(k int) int { return int8Filled(k) + int8K }

func int8Filled(k int) int { return (k + int8K - 1) &^ (int8K - 1) }

// From gives panels p and following.
func (b *Int8Panels) From(p int) *Int8Panels {
	n := p * Int8Columns
	return &Int8Panels{K: b.K, N: b.N - n, Data: b.Data[n*int8Filled(b.K):], Scale: b.Scale[n:], Sum: b.Sum[n:]}
}

// Panels is the number of panels.
func (b *Int8Panels) Panels() int { return (b.N + Int8Columns - 1) / Int8Columns }

// Resize sets the size and makes room; what is there is lost.
func (b *Int8Panels) Resize(k, n int) {
	b.K, b.N = k, n
	p := b.Panels()
	b.Data = grow(b.Data, Int8PanelsLen(k, n))
	b.Sum, b.Scale = grow(b.Sum, p*Int8Columns), grow(b.Scale, p*Int8Columns)
}

// Int8PanelsLen is the length of Data for B[k,n].
func Int8PanelsLen(k, n int) int {
	return (n + Int8Columns - 1) / Int8Columns * Int8Columns * int8Filled(k)
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n+n/4)[:n]
	}
	return s[:n]
}

// Span is the least and the greatest of some values and 0, NaN aside. Check is NaN if a value is not finite, else 0.
type Span struct{ Lo, Hi, Check float32 }

// Span finds that of x.
func (s *Set) Span(x []float32) (y Span) {
	y.Lo, y.Hi, y.Check = s.int8.span(x)
	return y
}

// Join is the span of all values of both.
func (x Span) Join(y Span) Span { return Span{min(x.Lo, y.Lo), max(x.Hi, y.Hi), x.Check + y.Check} }

// QuantizeRow quantises a row of a left operand into dst, which has room for a multiple of 16. A row that is not finite, or whose span
// is not, gives an infinite or NaN scale and so NaN, as a sum of its products would.
func (s *Set) QuantizeRow(dst []int8, x []float32) Int8Row { return s.QuantizeSpan(dst, x, s.Span(x)) }

// QuantizeSpan is QuantizeRow of a row whose span is known.
func (s *Set) QuantizeSpan(dst []int8, x []float32, of Span) Int8Row {
	lo, hi, check := of.Lo, of.Hi, of.Check
	span := hi - lo
	row := Int8Row{Scale: span / int8Levels, Zero: int32(s.int8.flip)}
	inv, zero := float32(0), int32(0)
	switch {
	case check != check || span > math.MaxFloat32:
		row.Scale = float32(math.NaN())
	case span < int8Tiny:
		row.Scale = 0
	default:
		inv = int8Levels / span
		zero = -int8Max - int32(math.RoundToEven(float64(lo*inv)))
		row.Zero += zero
	}
	s.int8.quantize(dst, x, inv, zero, s.int8.flip)
	return row
}

// SoftmaxInt8 is [Set.QuantizeRow] of [Set.Softmax]'s result. x is overwritten.
func (s *Set) SoftmaxInt8(dst []int8, x []float32, scale float32) Int8Row {
	most := s.int8.softmax(dst, x, scale, s.int8.flip)
	return Int8Row{Scale: most / int8Levels, Zero: int32(s.int8.flip) - int8Max}
}

// QuantizeWeight quantises a row of a matrix that will be a right operand's column: symmetrically, x being about scale*q. dst has room
// for a multiple of 16. It is false if a value is not finite.
func (s *Set) QuantizeWeight(dst []int8, x []float32) (scale float32, ok bool) {
	lo, hi, check := s.int8.span(x)
	most := max(hi, -lo)
	inv := float32(0)
	if most >= int8Tiny {
		scale, inv = most/int8Max, int8Max/most
	}
	s.int8.quantize(dst, x, inv, 0, 0)
	return scale, check == check
}

// PackInt8 packs panel p of B from its transpose, src[up to 32][K], rows ld bytes apart, and finds the sums of its columns. What src has
// beyond K, up to the next multiple of 64, is overwritten with zeros; ld is at least that and a multiple of four. Scales are the caller's.
func (s *Set) PackInt8(b *Int8Panels, p int, src []int8, ld int) {
	filled, n := int8Filled(b.K), p*Int8Columns
	panel, sums := b.Data[n*filled:(n+Int8Columns)*filled], b.Sum[n:n+Int8Columns]
	cols := min(Int8Columns, b.N-n)
	if cols < Int8Columns {
		clear(panel)
	}
	clear(sums)
	if b.K == 0 {
		return
	}
	for c := range cols {
		clear(src[c*ld+b.K : c*ld+filled])
	}
	for c := 0; c < cols; c += stripNR {
		s.Transpose(words(panel[c*filled:]), stripNR, words(src[c*ld:]), ld/4, min(stripNR, cols-c), filled/4)
	}
	ones := ones[:] // the sums are a product with a row of ones
	if filled > len(ones) {
		ones = slices.Repeat(ones[:1], filled)
	}
	s.int8.panel(1, b.K, ones, filled, panel, stripNR*filled, Int8Columns, sums, nil)
}

// ones is as long as most rows.
var ones = func() (x [4096]int8) {
	for i := range x {
		x[i] = 1
	}
	return x
}()

// words sees bytes as words of four, which a transposition moves without looking at them.
func words(x []int8) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(&x[0])), len(x)/4)
}

// Int8Scratch is the length of acc that [Set.GemmInt8] needs for m rows.
func Int8Scratch(m int) int { return m * Int8Columns }

// GemmInt8 computes columns p0*32 to min(N, p1*32) of C[m,N] = A[m,K] B + bias; bias nil is 0. Nothing outside these columns is written.
func (s *Set) GemmInt8(a []int8, lda int, rows []Int8Row, b *Int8Panels, p0, p1 int, c []float32, ldc int, bias []float32, acc []int32) {
	m, filled := len(rows), int8Filled(b.K)
	if m == 0 {
		return
	}
	for p := p0; p < p1; p++ {
		n := p * Int8Columns
		cols := min(Int8Columns, b.N-n)
		if b.K == 0 {
			clear(acc[:m*Int8Columns])
		} else {
			_ = a[(m-1)*lda+filled-1]
			next := b.Data[n*filled:]
			if p+1 < b.Panels() {
				next = b.Data[(n+Int8Columns)*filled:]
			}
			s.int8.panel(m, b.K, a, lda, b.Data[n*filled:(n+Int8Columns)*filled], stripNR*filled, cols, acc, next)
		}
		var part []float32
		if bias != nil {
			part = bias[n : n+cols]
		}
		s.int8.dequantize(c[n:], ldc, acc, rows, b.Sum[n:n+cols], b.Scale[n:n+cols], part)
	}
}

// genericInt8 is the int8 part in plain Go.
var genericInt8 = int8Set{span: genericSpan, quantize: genericQuantize, softmax: genericSoftmaxInt8, panel: genericPanel,
	dequantize: genericDequantize, peak: genericPeakInt8}

func genericPeakInt8(n int) int {
	var acc [8]int32
	for i := range n {
		for j := range acc {
			acc[j] += int32(int8(i)) * int32(int8(j))
		}
	}
	sink = float32(acc[0] + acc[7])
	return n * 2 * len(acc)
}

func genericSpan(x []float32) (lo, hi, check float32) {
	for _, v := range x {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
		check += float32(v * 0)
	}
	return lo, hi, check
}

func genericQuantize(dst []int8, x []float32, inv float32, zero int32, flip byte) {
	for i, v := range x {
		dst[i] = int8(max(-128, min(127, roundInt32(v*inv)+zero))) ^ int8(flip)
	}
}

func genericSoftmaxInt8(dst []int8, x []float32, scale float32, flip byte) float32 {
	genericSoftmax(x, scale)
	_, most, check := genericSpan(x)
	most += check
	genericQuantize(dst, x, int8Levels/most, -int8Max, flip)
	return most
}

// roundInt32 rounds to the nearest, half to even, as the instruction does: what is no int32 gives the lowest.
func roundInt32(v float32) int32 {
	r := math.RoundToEven(float64(v))
	if r >= -1<<31 && r < 1<<31 {
		return int32(r)
	}
	return math.MinInt32
}

func genericPanel(m, k int, a []int8, lda int, b []int8, strip, cols int, c []int32, _ []int8) {
	for r := range m {
		for from := 0; from < cols; from += stripNR {
			var sum [stripNR]int32
			w := b[from/stripNR*strip:]
			for i := 0; i < k; i += 4 {
				x, y := a[r*lda+i:r*lda+i+4], w[i*stripNR:(i+4)*stripNR]
				x0, x1, x2, x3 := int32(x[0]), int32(x[1]), int32(x[2]), int32(x[3])
				for j := range sum {
					sum[j] += x0*int32(y[4*j]) + x1*int32(y[4*j+1]) + x2*int32(y[4*j+2]) + x3*int32(y[4*j+3])
				}
			}
			copy(c[r*Int8Columns+from:], sum[:])
		}
	}
}

func genericDequantize(y []float32, ldy int, acc []int32, rows []Int8Row, sum []int32, scale, bias []float32) {
	for r, q := range rows {
		for j, s := range scale {
			v := float32(float32(acc[r*Int8Columns+j]-q.Zero*sum[j]) * q.Scale)
			b := float32(0)
			if bias != nil {
				b = bias[j]
			}
			y[r*ldy+j] = numeric.FMA(v, s, b)
		}
	}
}
