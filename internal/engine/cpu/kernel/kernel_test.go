package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"albert/internal/engine/numeric"
)

// others are the sets that this CPU has beside the generic one; a set that it lacks is skipped by name.
func others(t testing.TB) []*Set {
	for _, n := range names {
		if _, err := Select(n); err != nil {
			t.Logf("not run: %v", err)
		}
	}
	return sets[1:]
}

// special values that formulas trip over.
var special = []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1e-40, -1e-42, 3e38, -3e38, 87.2, -87.3, -87.31, 88.7, 88.73, 0.625, -0.6249999,
	float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}

// randomValues are uniform in +-2 scale, the same on every architecture (NormFloat64 is not); one in eight is special, if asked for.
func randomValues(rng *rand.Rand, n int, scale float64, specials bool) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32((rng.Float64() - 0.5) * (4 * scale))
		if specials && rng.IntN(8) == 0 {
			x[i] = special[rng.IntN(len(special))]
		}
	}
	return x
}

func sameFloat(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

const guard = 1.5e-7

// guarded gives a copy of x with guard values on both sides.
func guarded(x []float32) (view, all []float32) {
	all = make([]float32, len(x)+64)
	for i := range all {
		all[i] = guard
	}
	view = all[32 : 32+len(x)]
	copy(view, x)
	return view, all
}

// rowFunctions calls every row function on copies of random inputs, laid out by place, and gives all that it wrote or returned, by
// name.
func rowFunctions(s *Set, n int, seed uint64, specials bool, place func(x []float32) (view, all []float32)) (names []string, out [][]float32) {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	a, b, c, d, e := randomValues(rng, n, 2, specials), randomValues(rng, n, 2, specials), randomValues(rng, n, 1, specials), randomValues(rng, n, 1, false), randomValues(rng, n, 1, false)
	for i := range e {
		e[i] = float32(math.Abs(float64(e[i])))
	}
	key, ctr := [2]uint32{rng.Uint32(), rng.Uint32()}, [3]uint32{rng.Uint32(), 7, 9}
	run := func(name string, inputs [][]float32, f func(x [][]float32) []float32) {
		var views, alls [][]float32
		for _, in := range inputs {
			v, all := place(in)
			views, alls = append(views, v), append(alls, all)
		}
		names = append(names, name)
		out = append(out, f(views))
		for i, all := range alls {
			names = append(names, fmt.Sprintf("%s, slice %d with its surroundings", name, i))
			out = append(out, all)
		}
	}
	run("Add", [][]float32{c, a, b}, func(x [][]float32) []float32 { s.Add(x[0], x[1], x[2]); return nil })
	run("AddTo", [][]float32{a, b}, func(x [][]float32) []float32 { s.AddTo(x[0], x[1]); return nil })
	run("Scale", [][]float32{a, b}, func(x [][]float32) []float32 { s.Scale(x[0], x[1], 0.3); return nil })
	run("Axpy", [][]float32{a, b}, func(x [][]float32) []float32 { s.Axpy(x[0], x[1], 0.3); return nil })
	run("Softmax", [][]float32{a}, func(x [][]float32) []float32 { s.Softmax(x[0], 0.125); return nil })
	run("SoftmaxGrad", [][]float32{a, e}, func(x [][]float32) []float32 { s.SoftmaxGrad(x[0], x[1], 0.125); return nil })
	run("GeluTanh", [][]float32{a, b}, func(x [][]float32) []float32 { s.GeluTanh(x[0], x[1]); return nil })
	run("GeluErf", [][]float32{a, b}, func(x [][]float32) []float32 { s.GeluErf(x[0], x[1]); return nil })
	run("Relu", [][]float32{a, b}, func(x [][]float32) []float32 { s.Relu(x[0], x[1]); return nil })
	run("Tanh", [][]float32{a, b}, func(x [][]float32) []float32 { s.Tanh(x[0], x[1]); return nil })
	run("GeluTanhGrad", [][]float32{c, a, b}, func(x [][]float32) []float32 { s.GeluTanhGrad(x[0], x[1], x[2]); return nil })
	run("GeluErfGrad", [][]float32{c, a, b}, func(x [][]float32) []float32 { s.GeluErfGrad(x[0], x[1], x[2]); return nil })
	run("ReluGrad in place", [][]float32{a, b}, func(x [][]float32) []float32 { s.ReluGrad(x[0], x[0], x[1]); return nil })
	run("TanhGrad", [][]float32{c, a, b}, func(x [][]float32) []float32 { s.TanhGrad(x[0], x[1], x[2]); return nil })
	run("Dropout", [][]float32{a, b}, func(x [][]float32) []float32 { s.Dropout(x[0], x[1], 1<<30, 1.25, key, ctr); return nil })
	run("DropoutAdd", [][]float32{c, a, b}, func(x [][]float32) []float32 {
		s.DropoutAdd(x[0], x[1], x[2], 3<<30, 4, key, ctr)
		return nil
	})
	run("Adam", [][]float32{d, c, e, a, b}, func(x [][]float32) []float32 {
		s.Adam(x[0], x[1], x[2], x[3], x[4], 0.7, 0.9, 0.999, 1e-6, 0.01)
		return nil
	})
	run("SumSquares", [][]float32{a}, func(x [][]float32) []float32 { return []float32{float32(s.SumSquares(x[0]))} })
	run("Dot", [][]float32{a, b}, func(x [][]float32) []float32 { return []float32{s.Dot(x[0], x[1])} })
	run("Max", [][]float32{a}, func(x [][]float32) []float32 { return []float32{s.Max(x[0])} })
	run("Finite", [][]float32{a}, func(x [][]float32) []float32 {
		if s.Finite(x[0]) {
			return []float32{1}
		}
		return []float32{0}
	})
	if n == 0 {
		return names, out
	}
	run("LayerNorm", [][]float32{c, a, d, b}, func(x [][]float32) []float32 {
		m, r := s.LayerNorm(x[0], x[1], x[2], x[3], 1e-12)
		return []float32{m, r}
	})
	run("LayerNormGrad in place", [][]float32{a, b, d}, func(x [][]float32) []float32 {
		s.LayerNormGrad(x[0], x[0], x[1], x[2], 0.1, 1.3)
		return nil
	})
	run("LayerNormGradParams", [][]float32{a, b, c, d}, func(x [][]float32) []float32 {
		s.LayerNormGradParams(x[0], x[1], x[2], x[3], 0.1, 1.3)
		return nil
	})
	target := n / 2
	run("CrossEntropy", [][]float32{a}, func(x [][]float32) []float32 {
		l, i := s.CrossEntropy(x[0], target, 0.01)
		return []float32{l, float32(i)}
	})
	run("LogSumExp", [][]float32{a}, func(x [][]float32) []float32 {
		l, i := s.LogSumExp(x[0], target)
		return []float32{l, float32(i)}
	})
	return names, out
}

// TestSameBits holds the row functions of all sets to the generic one's bits, and to leaving alone what lies beside their slices.
func TestSameBits(t *testing.T) {
	lengths := []int{511, 768, 1000, 4095, 4096, 4097, 9001}
	for n := range 131 {
		lengths = append(lengths, n)
	}
	for _, s := range others(t) {
		for _, n := range lengths {
			for _, specials := range []bool{false, true} {
				names, want := rowFunctions(generic, n, 1, specials, guarded)
				_, got := rowFunctions(s, n, 1, specials, guarded)
				for f := range want {
					for i := range want[f] {
						if !sameFloat(got[f][i], want[f][i]) {
							t.Fatalf("%s, %s, %d values (specials %v): [%d] is %v (%08x), generic %v (%08x)", s.Name, names[f], n, specials, i,
								got[f][i], math.Float32bits(got[f][i]), want[f][i], math.Float32bits(want[f][i]))
						}
					}
				}
			}
		}
	}
}

// TestGuards: no function writes beside its slices.
func TestGuards(t *testing.T) {
	for _, s := range sets {
		for _, n := range []int{0, 1, 15, 16, 17, 63, 64, 65, 100} {
			names, out := rowFunctions(s, n, 2, false, guarded)
			for f, all := range out {
				if len(all) != n+64 {
					continue
				}
				for i := range 32 {
					if all[i] != guard || all[len(all)-1-i] != guard {
						t.Fatalf("%s, %s, %d values: wrote beside the slice", s.Name, names[f], n)
					}
				}
			}
		}
	}
}

type gemmCase struct{ m, k, n int }

// TestGemm holds every set's products to a chain of FMAs written out, in all forms of packing and start, and the guards around C.
func TestGemm(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var cases []gemmCase
	for m := 1; m <= 30; m++ {
		cases = append(cases, gemmCase{m, 1 + rng.IntN(20), 1 + rng.IntN(70)})
	}
	cases = append(cases, gemmCase{3, 0, 5}, gemmCase{2, 0, 64}, gemmCase{5, 769, 33}, gemmCase{17, 1600, 40}, gemmCase{128, 64, 96}, gemmCase{61, 70, 2})
	for _, c := range cases {
		lda, ldc := c.k+3, c.n+5
		a, b := randomValues(rng, c.m*lda, 1, false), randomValues(rng, c.k*c.n, 1, false)
		bias, start := randomValues(rng, c.n, 1, false), randomValues(rng, c.m*ldc, 1, false)
		bt := make([]float32, len(b))
		genericTranspose(bt, c.k, b, c.n, c.k, c.n)
		for _, init := range []Init{Zero, Bias, Accumulate} {
			want := append([]float32(nil), start...)
			for i := range c.m {
				for j := range c.n {
					v := float32(0)
					switch init {
					case Bias:
						v = bias[j]
					case Accumulate:
						v = start[i*ldc+j]
					}
					for k := range c.k {
						v = numeric.FMA(a[i*lda+k], b[k*c.n+j], v)
					}
					want[i*ldc+j] = v
				}
			}
			for _, s := range sets {
				for _, cols := range []bool{false, true} {
					p := &Panels{K: c.k, N: c.n, Data: make([]float32, s.PanelsLen(c.k, c.n))}
					panels := (c.n + s.NR - 1) / s.NR
					if cols {
						s.PackCols(p, bt, c.k, 0, panels)
					} else {
						s.PackRows(p, b, c.n, 0, panels)
					}
					got := append([]float32(nil), start...)
					half := panels / 2
					s.Gemm(c.m, a, lda, p, 0, half, got, ldc, bias, init)
					s.Gemm(c.m, a, lda, p, half, panels, got, ldc, bias, init)
					for i := range got {
						if !sameFloat(got[i], want[i]) {
							t.Fatalf("%s %v init %d columns %v: element %d,%d is %v, want %v", s.Name, c, init, cols, i/ldc, i%ldc, got[i], want[i])
						}
					}
				}
			}
		}
	}
}

func TestTranspose(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, c := range [][2]int{{1, 1}, {8, 8}, {16, 24}, {7, 9}, {33, 17}, {9, 64}, {3, 40}, {40, 3}} {
		rows, cols := c[0], c[1]
		src := randomValues(rng, rows*(cols+2), 1, false)
		for _, s := range sets {
			dst, all := guarded(make([]float32, cols*(rows+3)))
			s.Transpose(dst, rows+3, src, cols+2, rows, cols)
			for r := range rows {
				for j := range cols {
					if dst[j*(rows+3)+r] != src[r*(cols+2)+j] {
						t.Fatalf("%s %dx%d: [%d,%d]", s.Name, rows, cols, r, j)
					}
				}
			}
			for j := range cols {
				for r := rows; r < rows+3; r++ {
					if dst[j*(rows+3)+r] != 0 {
						t.Fatalf("%s %dx%d: wrote beyond row %d", s.Name, rows, cols, j)
					}
				}
			}
			if all[31] != guard || all[len(all)-32] != guard {
				t.Fatalf("%s %dx%d: wrote outside", s.Name, rows, cols)
			}
		}
	}
}

// TestNoAllocation: what runs for every row and tile leaves no garbage.
func TestNoAllocation(t *testing.T) {
	for _, s := range sets {
		x, y, key, ctr := make([]float32, 300), make([]float32, 300), [2]uint32{1, 2}, [3]uint32{3, 4, 5}
		p := &Panels{K: 10, N: 30, Data: make([]float32, s.PanelsLen(10, 30))}
		if n := testing.AllocsPerRun(10, func() {
			s.Dropout(y, x, 1<<30, 2, key, ctr)
			s.Softmax(y, 1)
			s.LayerNorm(y, x, x, x, 1)
			s.CrossEntropy(y, 1, 1)
			s.Gemm(10, x, 10, p, 0, (30+s.NR-1)/s.NR, y, 30, nil, Zero)
		}); n > 0 {
			t.Errorf("%s: %v allocations", s.Name, n)
		}
	}
}

func TestSelect(t *testing.T) {
	if _, err := Select("sse9"); err == nil || err.Error() != `unknown instruction set "sse9" (generic, avx2, avxvnni, avx512, amx)` {
		t.Error(err)
	}
	if s, err := Select("generic"); err != nil || s != generic {
		t.Error("generic is always there")
	}
}
