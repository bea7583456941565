package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"albert/internal/engine/numeric"
)

// bf16Values are operands of one kind, an index into kinds.
func bf16Values(rng *rand.Rand, n, kind int) []float32 {
	x := make([]float32, n)
	special := []uint32{0, 1 << 31, 1, 1<<31 | 1, 0x7fffff, 0x807fffff, 0x800000, 0x80800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000,
		0xffc00001, 0x7f800001, 0x3f800000, 0xbf800000, 0x3f7fffff, 0x1f800000, 0x20000000, 0x5f800000, 0x007f8000, 0x3f808000, 0x3f818000}
	for i := range x {
		b := rng.Uint32()
		exponents := func(from, n uint32) uint32 { return b&0x807fffff | (from+rng.Uint32N(n))<<23 }
		switch kind {
		case 0: // ordinary
			b = exponents(120, 8)
		case 1: // products and sums around 2^-126
			b = exponents(60, 8)
		case 2: // all finite patterns, most products overflow or underflow
			if b&0x7f800000 == 0x7f800000 {
				b &= 0xbfffffff
			}
		case 3: // all patterns, NaN and infinities among them
		case 4: // ordinary with a few special ones
			b = exponents(118, 20)
			if rng.IntN(100) == 0 {
				b = special[rng.IntN(len(special))]
			}
		case 5: // subnormal and tiny
			b = exponents(0, 4)
		case 6: // few bits: exact sums, ties
			b = b&0x80000000 | 0x3f800000 | rng.Uint32N(4)<<14
		case 7: // exact cancellation in pairs
			b = exponents(110, 30)
			if i > 1 && i&2 > 0 {
				b = math.Float32bits(-x[i-2])
			}
		case 8: // zeros of both signs
			b &= 0x80000000
		}
		x[i] = math.Float32frombits(b)
	}
	return x
}

const bf16Kinds = 9

// ruleSets are all kernels of a rule but plain Go that this CPU can run, also those that it would not choose.
func ruleSets(t testing.TB, rule Rule) (list []*Set) {
	have := Available()
	for _, s := range others(t) {
		twin := *s
		twin.rules = twinRules(s.NR)
		if s.Name != "amx" && s.Name != "avxvnni" { // whose fused multiply-adds are those of the set before
			list = append(list, twin.ForRule(rule))
			list[len(list)-1].Name += " by FMA"
		}
		for _, f := range instructionRules() {
			if f.rule == rule && s.Name == have[len(have)-1] {
				twin.rules[rule-1] = f
				list = append(list, twin.ForRule(rule))
				list[len(list)-1].Name += " by the instruction"
			}
		}
	}
	if len(list) < 3 {
		t.Logf("%v: this CPU has only %d kernels beside plain Go; not run: what needs AMX or AVX512_BF16", rule, len(list))
	}
	return list
}

// gemmRule is C[m,n] of operands of given kinds, packed from rows or from columns, with a guard beside each row.
func gemmRule(s *Set, c gemmCase, kinds [3]int, seed uint64, init Init, cols bool) []float32 {
	rng := rand.New(rand.NewPCG(seed, 16))
	lda, ldb, ldc := c.k+rng.IntN(20), c.n, c.n+9
	if cols {
		ldb = c.k + 3
	}
	a, w := bf16Values(rng, c.m*lda+1, kinds[0]), bf16Values(rng, max(c.k, c.n)*(ldb+40), kinds[1])
	bias, out := bf16Values(rng, c.n, kinds[2]), bf16Values(rng, c.m*ldc, kinds[2])
	b := Panels{K: c.k, N: c.n, Data: make([]float32, s.PanelsLen(c.k, c.n))}
	for i := range b.Data {
		b.Data[i] = float32(math.NaN()) // must be overwritten
	}
	panels := (c.n + s.NR - 1) / s.NR
	if cols {
		s.PackCols(&b, w, ldb, 0, panels)
	} else {
		s.PackRows(&b, w, ldb, 0, panels)
	}
	s.Gemm(c.m, a, lda, &b, 0, panels/2, out, ldc, bias, init)
	s.Gemm(c.m, a, lda, &b, panels/2, panels, out, ldc, bias, init)
	return out
}

// TestGemmRules holds every kernel of bf16 to the bits of plain Go: random shapes, strides, tails of k, starts and all kinds of values.
func TestGemmRules(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 16))
	cases := []gemmCase{{128, 768, 64}, {45, 3072, 32}, {33, 513, 70}, {17, 64, 1}, {1, 1, 1}, {2, 0, 5}, {64, 1100, 33}, {5, 64, 128}, {140, 31, 40}, {129, 33, 17}}
	for m := 1; m <= 66; m++ {
		cases = append(cases, gemmCase{m, 1 + rng.IntN(130), 1 + rng.IntN(100)})
	}
	for _, rule := range []Rule{Tile, Dot} {
		sets := ruleSets(t, rule)
		plain := generic.ForRule(rule)
		for i, c := range cases {
			rounds := 1
			if c.k < 131 {
				rounds = 2
			}
			for range rounds {
				kind := rng.IntN(bf16Kinds)
				kinds := [3]int{kind, kind, rng.IntN(bf16Kinds)}
				if rng.IntN(3) == 0 {
					kinds[1] = rng.IntN(bf16Kinds)
				}
				init, seed, cols := Init(rng.IntN(3)), uint64(i), rng.IntN(2) == 0
				want := gemmRule(plain, c, kinds, seed, init, cols)
				for _, s := range sets {
					for j, v := range gemmRule(s, c, kinds, seed, init, cols) {
						if !sameFloat(v, want[j]) {
							t.Fatalf("%v, %s: %v kinds %v init %d cols %v: [%d,%d] is %x, plain Go %x", rule, s.Name, c, kinds, init, cols, j/(c.n+9), j%(c.n+9),
								math.Float32bits(v), math.Float32bits(want[j]))
						}
					}
				}
			}
		}
	}
}

// TestGemmRulesDefinition holds plain Go to the rules as docs/numerics.md has them, written out with exact arithmetic for one output.
func TestGemmRulesDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 16))
	for range 300 {
		k := 1 + rng.IntN(70)
		kind := []int{0, 1, 4, 6}[rng.IntN(4)]
		a, w, start := bf16Values(rng, k, kind), bf16Values(rng, k, kind), bf16Values(rng, 1, kind)
		x, y := make([]float32, (k+31)/32*32), make([]float32, (k+31)/32*32)
		for i := range a {
			x[i], y[i] = numeric.BF16(a[i]), numeric.BF16(w[i])
		}
		want := map[Rule]float32{}
		c := start[0]
		for at := 0; at < len(x); at += 32 {
			even, odd := float32(0), float32(0)
			for i := at; i < at+32; i += 2 {
				even, odd = numeric.FMAFlush(x[i], y[i], even), numeric.FMAFlush(x[i+1], y[i+1], odd)
			}
			c = numeric.AddFlush(c, numeric.AddFlush(even, odd))
		}
		want[Tile] = c
		c = start[0]
		for i := 0; i < (k+1)/2*2; i += 2 {
			c = numeric.FMAFlush(x[i], y[i], numeric.FMAFlush(x[i+1], y[i+1], numeric.Flush(c)))
		}
		want[Dot] = c
		for rule, v := range want {
			s := generic.ForRule(rule)
			b := Panels{K: k, N: 1, Data: make([]float32, s.PanelsLen(k, 1))}
			s.PackCols(&b, w, k, 0, 1)
			out := []float32{start[0]}
			s.Gemm(1, a, k, &b, 0, 1, out, 1, nil, Accumulate)
			if !sameFloat(out[0], v) {
				t.Fatalf("%v, k %d: %v, want %v", rule, k, out[0], v)
			}
		}
	}
}

// TestFP32AfterFlush: a product by a rule leaves the processor as it was: subnormal numbers are numbers again.
func TestFP32AfterFlush(t *testing.T) {
	tiny := math.Float32frombits(3)
	for _, rule := range []Rule{Tile, Dot} {
		for _, s := range ruleSets(t, rule) {
			gemmRule(s, gemmCase{40, 70, 50}, [3]int{}, 1, Zero, false)
			out := []float32{0}
			s.Add(out, []float32{tiny}, []float32{tiny})
			if out[0] != 2*tiny || tiny+out[0] != 3*tiny {
				t.Errorf("%v, %s: %v + %v is %v afterwards", rule, s.Name, tiny, tiny, out[0])
			}
		}
	}
}

// TestBF16Rounds: to nearest even, subnormal numbers to zero of their sign, what is too large to infinity, in every set.
func TestBF16Rounds(t *testing.T) {
	for _, c := range []struct{ x, want uint32 }{{0x3f800000, 0x3f800000}, {0x3f808000, 0x3f800000}, {0x3f818000, 0x3f820000}, {0x3f808001, 0x3f810000},
		{0x7f7fffff, 0x7f800000}, {0xff7f8000, 0xff800000}, {0x7f7f7fff, 0x7f7f0000}, {0x007fffff, 0}, {0x80000001, 0x80000000}, {0x00800000, 0x00800000},
		{0x7f800000, 0x7f800000}, {0xff800000, 0xff800000}} {
		if got := math.Float32bits(numeric.BF16(math.Float32frombits(c.x))); got != c.want {
			t.Errorf("%x becomes %x, want %x", c.x, got, c.want)
		}
	}
	if v := numeric.BF16(math.Float32frombits(0x7fffffff)); v == v {
		t.Errorf("NaN becomes %v", v)
	}
}

// BenchmarkRules: products by each rule on one thread, the rows rounded each time.
func BenchmarkRules(b *testing.B) {
	for _, rule := range []Rule{FP32, Tile, Dot} {
		list := []*Set{sets[len(sets)-1]}
		if rule != FP32 {
			list = ruleSets(b, rule)
		}
		for _, s := range list {
			for _, n := range []int{256, 3072} { // weights that stay in L2, and some that do not
				b.Run(fmt.Sprintf("%v/%s/128x768x%d", rule, s.Name, n), func(b *testing.B) {
					const m, k = 128, 768
					rng := rand.New(rand.NewPCG(1, 1))
					p := Panels{K: k, N: n, Data: make([]float32, s.PanelsLen(k, n))}
					s.PackCols(&p, randomValues(rng, k*n, 1, true), k, 0, n/s.NR)
					a, c := randomValues(rng, m*(k+16), 1, true), make([]float32, m*(n+16))
					againstPeak(b, s, 2*float64(m*k*n), func() { s.Gemm(m, a, k+16, &p, 0, n/s.NR, c, n+16, nil, Zero) })
				})
			}
		}
	}
}

// TestRoundColumns: where there is an instruction, the columns of a matrix are rounded as they are when they are rows.
func TestRoundColumns(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 16))
	for _, rule := range []Rule{Tile, Dot} {
		for _, s := range ruleSets(t, rule) {
			if !s.Instruction() {
				continue
			}
			for range 60 {
				rows, cols := 1+rng.IntN(80), 1+rng.IntN(80)
				lds, n := cols+rng.IntN(5), s.Left(rows)
				ldd := n + 8
				x, got := bf16Values(rng, rows*lds, rng.IntN(bf16Kinds)), make([]float32, cols*ldd)
				s.RoundColumns(got, ldd, x, lds, rows, cols)
				for c := range cols {
					column, want := make([]float32, rows), make([]float32, n)
					for r := range rows {
						column[r] = x[r*lds+c]
					}
					s.RoundRow(want, column)
					for i, v := range want[:s.bf16.words(s.bf16.filled(rows))] {
						if !sameFloat(got[c*ldd+i], v) && math.Float32bits(got[c*ldd+i]) != math.Float32bits(v) {
							t.Fatalf("%v, %s: %d x %d, column %d: word %d is %x, want %x", rule, s.Name, rows, cols, c, i, math.Float32bits(got[c*ldd+i]), math.Float32bits(v))
						}
					}
				}
			}
		}
	}
}
