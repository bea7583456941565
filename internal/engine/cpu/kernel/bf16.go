package kernel

import (
	"sync"

	"albert/internal/engine/numeric"
)

// Rule is how matrix products are computed; docs/numerics.md has those of bf16.
type Rule int

// FP32 is one chain of fused multiply-adds of float32. Tile is what AMX's TDPBF16PS computes of values rounded to bf16, Dot what AVX512_BF16's
// VDPBF16PS does.
const (
	FP32 Rule = iota
	Tile
	Dot
	Rules // how many there are
)

func (r Rule) String() string { return [...]string{"fp32", "tile", "dot"}[r] }

const (
	// tileBlock is how many of k a product by the rule Tile takes at a time. K is filled up to a multiple with zeros.
	tileBlock = 32
	// bf16Rows is how many rows of a left operand are rounded at a time: with a panel at hand they stay in L2.
	bf16Rows = 128
	// pairColumns is the columns of a panel of pairs: two strips of 16, as in int8.
	pairColumns = 2 * stripNR
)

// bf16Set is the bf16 part of a [Set] by one rule. Operands are kept in one of two forms:
//   - pairs: two neighbouring values of k in a word, the even one in its lower half, for instructions that take them so. A panel is two strips of
//     16 columns, each [K/2][16] words.
//   - else each value as float32, for fused multiply-adds; for Dot the two of each pair have changed places, as the odd one comes first.
type bf16Set struct {
	rule        Rule
	pairs       bool
	instruction bool // this CPU is fast at the rule
	// round rounds values into a form: dst has room for a whole number of groups of 16 values, and beyond len(x) gets zeros.
	round func(dst, x []float32)
	// packPairs packs pairs of rows of 32 columns, ld apart, into a panel whose strips are strip words apart.
	packPairs func(dst []float32, strip int, src []float32, ld, pairs int)
	// peak is [Set.PeakFMA] of the instruction; nil: that of fused multiply-adds.
	peak func(n int) int
	// product: c[m][NR] = from[m][NR] + a[m][k] b, rows lda, ldfrom and ldc apart; k is filled up. The next product's b is next. It is nil where
	// [Set.tile] is used.
	product func(m, k int, a []float32, lda int, b []float32, strip int, from []float32, ldfrom int, c []float32, ldc int, next []float32, scratch *bf16Scratch)
}

// bf16Scratch is memory that a product has for itself.
type bf16Scratch struct{ left, edge, even, bias []float32 }

// bf16Memory is what products have used. It is kept through garbage collections, which would leave holes in the heap of a training run.
var bf16Memory scratchList

type scratchList struct {
	mu   sync.Mutex
	free []*bf16Scratch
}

func (l *scratchList) get() *bf16Scratch {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		return new(bf16Scratch)
	}
	w := l.free[n-1]
	l.free = l.free[:n-1]
	return w
}

func (l *scratchList) put(w *bf16Scratch) {
	l.mu.Lock()
	l.free = append(l.free, w)
	l.mu.Unlock()
}

// ForRule gives the set whose products, [Set.Gemm] and what it packs, go by a rule, whatever the rule of s is.
func (s *Set) ForRule(r Rule) *Set {
	if s.fp32 != nil {
		s = s.fp32
	}
	if r == FP32 {
		return s
	}
	t := *s
	t.fp32 = s
	t.bf16 = &s.rules[r-1]
	if t.bf16.pairs {
		t.NR = pairColumns
	}
	if t.bf16.peak != nil {
		t.PeakFMA = t.bf16.peak
	}
	return &t
}

// Rule is that of the set's products.
func (s *Set) Rule() Rule {
	if s.bf16 == nil {
		return FP32
	}
	return s.bf16.rule
}

// BestRule is the rule of bf16 that the set is fast at: Dot where it has that instruction alone.
func (s *Set) BestRule() Rule {
	if s.rules[Dot-1].instruction && !s.rules[Tile-1].instruction {
		return Dot
	}
	return Tile
}

// filled is K filled up.
func (f *bf16Set) filled(k int) int {
	block := 2
	if f.rule == Tile {
		block = tileBlock
	}
	return (k + block - 1) / block * block
}

// words is the length of so many values.
func (f *bf16Set) words(k int) int {
	if f.pairs {
		return k / 2
	}
	return k
}

// roundRow rounds a row into a form, filled up. dst has room for a whole number of groups of 32 values.
func (f *bf16Set) roundRow(dst, x []float32) {
	if len(x) == 0 {
		return
	}
	f.round(dst, x)
	if whole, filled := f.words((len(x)+15)&^15), f.words(f.filled(len(x))); whole < filled {
		clear(dst[whole:filled])
	}
}

// rowLen is the length of a rounded row of k values, with room for what is written beyond.
func (f *bf16Set) rowLen(k int) int { return f.words((k+31)&^31) + 16 }

// packRowsBF16 is [Set.PackRows].
func (s *Set) packRowsBF16(b *Panels, src []float32, ld, p0, p1 int) {
	f := s.bf16
	w := bf16Memory.get()
	defer bf16Memory.put(w)
	memory := grown(&w.edge, 2*pairColumns)
	row, flat := memory[:s.NR], memory[pairColumns:]
	filled := f.filled(b.K)
	for p := p0; p < p1; p++ {
		n := p * s.NR
		cols := min(s.NR, b.N-n)
		if f.pairs {
			f.packPairsOf(b.Data[n*filled/2:(n+s.NR)*filled/2], b.K, filled, src[n:], ld, cols)
			continue
		}
		panel := b.Data[n*filled : (n+s.NR)*filled]
		for k := range filled {
			from := k
			if f.rule == Dot {
				from ^= 1 // the other one of the pair
			}
			dst := panel[k*s.NR : (k+1)*s.NR]
			if from >= b.K {
				clear(dst)
				continue
			}
			copy(row, src[from*ld+n:from*ld+n+cols])
			f.round(flat, row)
			if f.rule == Dot {
				swapPairs(flat[:s.NR])
			}
			copy(dst, flat[:cols])
			clear(dst[cols:])
		}
	}
}

func swapPairs(x []float32) {
	for i := 0; i < len(x); i += 2 {
		x[i], x[i+1] = x[i+1], x[i]
	}
}

// packPairsOf packs a panel of pairs from rows: what ends in the midst of a pair or of the panel through a copy.
func (f *bf16Set) packPairsOf(panel []float32, k, filled int, src []float32, ld, cols int) {
	strip, whole := filled/2*stripNR, k/2
	if cols < pairColumns {
		whole = 0
	} else if whole > 0 {
		f.packPairs(panel, strip, src, ld, whole)
	}
	var rows [2 * pairColumns]float32
	for i := whole; i < filled/2; i++ {
		clear(rows[:])
		for r := range min(2, max(0, k-2*i)) {
			copy(rows[r*pairColumns:], src[(2*i+r)*ld:][:cols])
		}
		f.packPairs(panel[i*stripNR:], strip, rows[:], pairColumns, 1)
	}
}

// packColsBF16 is [Set.PackCols].
func (s *Set) packColsBF16(b *Panels, src []float32, ld, p0, p1 int) {
	f := s.bf16
	w := bf16Memory.get()
	defer bf16Memory.put(w)
	lr, words := f.rowLen(b.K), f.words(f.filled(b.K))
	rows := grown(&w.left, s.NR*lr)
	for p := p0; p < p1; p++ {
		n := p * s.NR
		panel := b.Data[n*words : (n+s.NR)*words]
		cols := min(s.NR, b.N-n)
		if cols < s.NR {
			clear(panel)
		}
		for r := range cols {
			f.roundRow(rows[r*lr:(r+1)*lr], src[(n+r)*ld:(n+r)*ld+b.K])
		}
		width := s.NR
		if f.pairs {
			width = stripNR
		}
		for c := 0; c < cols; c += width {
			s.Transpose(panel[c*words:], width, rows[c*lr:], lr, min(width, cols-c), words)
		}
	}
}

func grown(s *[]float32, n int) []float32 {
	*s = grow(*s, n)
	return *s
}

// Instruction tells whether products are made by an instruction for bf16: so fast that all else counts.
func (s *Set) Instruction() bool { return s.bf16 != nil && s.bf16.pairs }

// Left is the length of a left operand's row of k values in the form that [Set.GemmLeft] takes; 0 where there is none, and [Set.Gemm] takes the row
// itself: without an instruction to round some rows for each call costs little beside the products, and to keep all takes memory.
func (s *Set) Left(k int) int {
	if !s.Instruction() {
		return 0
	}
	return s.bf16.rowLen(k)
}

// RoundRow puts a row of a left operand into the form that [Set.GemmLeft] takes. dst is [Set.Left] long.
func (s *Set) RoundRow(dst, x []float32) { s.bf16.roundRow(dst, x) }

// RoundColumns is RoundRow of the columns of src[rows][cols]: rows of dst, ldd apart.
func (s *Set) RoundColumns(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	f := s.bf16
	w := bf16Memory.get()
	defer bf16Memory.put(w)
	filled := f.filled(rows)
	panel := grown(&w.edge, pairColumns*filled/2)
	for c := 0; c < cols; c += pairColumns {
		n := min(pairColumns, cols-c)
		f.packPairsOf(panel, rows, filled, src[c:], lds, n)
		for h := 0; h < n; h += stripNR {
			s.Transpose(dst[(c+h)*ldd:], ldd, panel[h*filled/2:], stripNR, filled/2, min(stripNR, n-h))
		}
	}
}

// GemmLeft is [Set.Gemm] of rows that were rounded by [Set.RoundRow].
func (s *Set) GemmLeft(m int, a []float32, lda int, b *Panels, p0, p1 int, c []float32, ldc int, bias []float32, init Init) {
	switch {
	case m == 0 || p0 >= p1:
	case b.K == 0:
		s.gemmEmpty(m, b, p0, p1, c, ldc, bias, init)
	default:
		s.GemmLeftPart(m, a, lda, b, 0, b.K, p0, p1, c, ldc, bias, init)
	}
}

// PanelsFrom gives panels p and following of b.
func (s *Set) PanelsFrom(b *Panels, p int) *Panels {
	words := b.K
	if f := s.bf16; f != nil {
		words = f.words(f.filled(b.K))
	}
	return &Panels{K: b.K, N: b.N - p*s.NR, Data: b.Data[p*s.NR*words:]}
}

// gemmBF16 is [Set.Gemm].
func (s *Set) gemmBF16(m int, a []float32, lda int, b *Panels, p0, p1 int, c []float32, ldc int, bias []float32, init Init) {
	f, w := s.bf16, bf16Memory.get()
	defer bf16Memory.put(w)
	round := &rounding{f, w, b.K}
	for r0 := 0; r0 < m; r0 += bf16Rows {
		rows, a, c := min(bf16Rows, m-r0), a[r0*lda:], c[r0*ldc:]
		if f.product == nil {
			s.gemm(rows, a, lda, &Panels{K: f.filled(b.K), N: b.N, Data: b.Data}, p0, p1, c, ldc, bias, init, flush, nil, round)
			continue
		}
		left, ld := round.block(rows, a, lda, 0, b.K)
		s.GemmLeft(rows, left, ld, b, p0, p1, c, ldc, bias, init)
	}
}

// rounding is what it takes to round rows of a left operand with k columns.
type rounding struct {
	*bf16Set
	w *bf16Scratch
	k int
}

// block rounds columns k0 to k1 of m rows, lda apart, filled up. It gives them with their distance; they are good until its next call.
func (r *rounding) block(m int, a []float32, lda, k0, k1 int) ([]float32, int) {
	k1 = min(k1, r.k)
	ld := r.rowLen(k1 - k0)
	left := grown(&r.w.left, m*ld)
	for i := range m {
		r.roundRow(left[i*ld:(i+1)*ld], a[i*lda+k0:i*lda+k1])
	}
	return left, ld
}

// kBlock is how much of k one pass of so many rows over a panel takes: of float32 as much as in fp32.
func (f *bf16Set) kBlock(rows int) int {
	switch {
	case f.pairs && f.rule == Tile:
		return amxBytes(rows) / 2
	case f.pairs:
		return 256
	}
	return kcBlock
}

// amxBytes is how many bytes of k a pass takes: with 768 a panel's block is 24 KB, which stay in L1 with the sums while the rows pass by. Few rows
// are faster with less.
func amxBytes(rows int) int {
	if rows > 32 {
		return 768
	}
	return 512
}

var zeroRow [pairColumns]float32

// GemmLeftPart is [Set.GemmLeft] of rows k0 to k1 of B alone, which a has as its columns, where [Set.Instruction] holds: parts of B added one after
// the other give the bits of the whole. k0 is a multiple of 32, and k1 as well unless it is K. All of a panel's k is added before the next one, so that
// C stays in L1.
func (s *Set) GemmLeftPart(m int, a []float32, lda int, b *Panels, k0, k1, p0, p1 int, c []float32, ldc int, bias []float32, init Init) {
	w := bf16Memory.get()
	defer bf16Memory.put(w)
	f, depth := s.bf16, s.bf16.kBlock(m)
	k1 = f.filled(k1)
	blocks, panels := (k1-k0+depth-1)/depth, p1-p0
	at := func(i int) (k, p int) {
		i = min(i, blocks*panels-1)
		if f.pairs {
			return k0 + i%blocks*depth, p0 + i/blocks
		}
		return k0 + i/panels*depth, p0 + i%panels
	}
	for i := range blocks * panels {
		k, p := at(i)
		nextK, next := at(i + 1)
		s.gemmBlock(m, a[f.words(k-k0):], lda, b, k, min(k1, k+depth), p, k == k0, min(k1, k+depth) == k1, c, ldc, bias, init, s.panelAt(b, nextK, next), w)
	}
}

// panelAt gives what panel p has from row k0 on.
func (s *Set) panelAt(b *Panels, k0, p int) []float32 {
	f, width := s.bf16, s.NR
	if f.pairs {
		width = stripNR
	}
	words := f.words(f.filled(b.K))
	return b.Data[p*s.NR*words+f.words(k0)*width : (p+1)*s.NR*words]
}

// gemmBlock adds rows k0 to k1 of B to the columns of a panel; first and last tell of the block along k. What is less than a panel wide goes
// through memory that is.
func (s *Set) gemmBlock(m int, a []float32, lda int, b *Panels, k0, k1, p int, first, last bool, c []float32, ldc int, bias []float32, init Init,
	next []float32, w *bf16Scratch) {
	f, nr, n := s.bf16, s.NR, p*s.NR
	cols := min(nr, b.N-n)
	to, ldto := c[n:], ldc
	if cols < nr {
		to, ldto = grown(&w.edge, m*nr), nr
	}
	from, ldfrom := to, ldto
	switch {
	case !first:
	case init == Zero:
		from, ldfrom = zeroRow[:], 0
	case init == Bias && cols == nr:
		from, ldfrom = bias[n:n+nr], 0
	case init == Bias:
		from, ldfrom = append(grown(&w.bias, nr)[:0], bias[n:n+cols]...)[:nr], 0
	case cols < nr:
		for r := range m {
			copy(to[r*nr:(r+1)*nr], c[r*ldc+n:r*ldc+n+cols])
		}
	}
	f.product(m, k1-k0, a, lda, s.panelAt(b, k0, p), f.words(f.filled(b.K))*stripNR, from, ldfrom, to, ldto, next, w)
	if cols < nr && last {
		for r := range m {
			copy(c[r*ldc+n:r*ldc+n+cols], to[r*nr:])
		}
	}
}

// genericRules are the two rules in plain Go.
var genericRules = [2]bf16Set{
	{rule: Tile, round: genericRound, product: genericTileRule},
	{rule: Dot, round: func(dst, x []float32) { genericRound(dst, x); swapPairs(dst[:(len(x)+15)&^15]) }},
}

func genericRound(dst, x []float32) {
	for i, v := range x {
		dst[i] = numeric.BF16(v)
	}
	clear(dst[len(x) : (len(x)+15)&^15])
}

// genericChainFlush is a row's chains, where subnormal numbers are zeros; those of a and b are already.
func genericChainFlush(acc *[16]float32, a, b []float32) {
	for j := range acc {
		acc[j] = numeric.Flush(acc[j])
	}
	for k, x := range a {
		for j, w := range b[k*16 : k*16+16] {
			acc[j] = numeric.FMAFlush(x, w, acc[j])
		}
	}
}

// genericTileRule: for each 32 of k a chain over the even ones and one over the odd ones, from +0; then C + (even + odd).
func genericTileRule(m, k int, a []float32, lda int, b []float32, _ int, from []float32, ldfrom int, c []float32, ldc int, _ []float32, _ *bf16Scratch) {
	const nr = 16
	for r := range m {
		var sum [nr]float32
		copy(sum[:], from[r*ldfrom:])
		for k0 := 0; k0 < k; k0 += tileBlock {
			var even, odd [nr]float32
			for i := k0; i < k0+tileBlock; i += 2 {
				x, y := a[r*lda+i], a[r*lda+i+1]
				for j := range nr {
					even[j] = numeric.FMAFlush(x, b[i*nr+j], even[j])
					odd[j] = numeric.FMAFlush(y, b[(i+1)*nr+j], odd[j])
				}
			}
			for j := range nr {
				sum[j] = numeric.AddFlush(sum[j], numeric.AddFlush(even[j], odd[j]))
			}
		}
		copy(c[r*ldc:r*ldc+nr], sum[:])
	}
}
