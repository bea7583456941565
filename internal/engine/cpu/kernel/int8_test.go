package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// int8Values are activations or weights with what trips quantisation: rows of zeros, of one sign, of huge and of subnormal values.
func int8Values(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	scale := []float64{1, 1e30, 1e-30, 1e-41, 0, 2e38}[rng.IntN(6)]
	shift := []float64{0, 0, 1, -1}[rng.IntN(4)]
	for i := range x {
		x[i] = float32((rng.Float64() - 0.5 + shift) * scale)
		if rng.IntN(9) == 0 {
			x[i] = float32(math.Copysign(0, -1))
		}
	}
	return x
}

// TestInt8Rows: every set quantises rows to the same integers and scales, and packs weights to the same panels and column sums.
func TestInt8Rows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	for n := range 150 {
		for range 8 {
			x := int8Values(rng, n)
			if n > 0 && rng.IntN(4) == 0 {
				x[rng.IntN(n)] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 3e38}[rng.IntN(4)]
			}
			want, weight := make([]int8, Int8Stride(n)), make([]int8, Int8Stride(n))
			row := generic.QuantizeRow(want, x)
			scale, ok := generic.QuantizeWeight(weight, x)
			for _, s := range others(t) {
				got := make([]int8, Int8Stride(n))
				r := s.QuantizeRow(got, x)
				for i := range got {
					got[i] ^= int8(s.int8.flip)
				}
				r.Zero -= int32(s.int8.flip)
				if !slices.Equal(got[:n], want[:n]) || r.Zero != row.Zero || !sameFloat(r.Scale, row.Scale) {
					t.Fatalf("%s: %v becomes %v %v, generic %v %v", s.Name, x, r, got[:n], row, want[:n])
				}
				sc, fine := s.QuantizeWeight(got, x)
				if !slices.Equal(got[:n], weight[:n]) || !sameFloat(sc, scale) || fine != ok {
					t.Fatalf("%s: the weights %v become %v %v, generic %v %v", s.Name, x, sc, got[:n], scale, weight[:n])
				}
			}
		}
	}
}

// TestSoftmaxInt8: every set gives what plain Go's softmax and quantisation give, one after the other.
func TestSoftmaxInt8(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 8))
	for n := 1; n < 600; n++ {
		x := int8Values(rng, n)
		if rng.IntN(4) == 0 {
			x[rng.IntN(n)] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), -3e38}[rng.IntN(4)]
		}
		scale := rng.Float32() + 0.01
		p, want := slices.Clone(x), make([]int8, Int8Stride(n))
		generic.Softmax(p, scale)
		row := generic.QuantizeRow(want, p)
		for _, s := range sets {
			got := make([]int8, Int8Stride(n))
			r := s.SoftmaxInt8(got, slices.Clone(x), scale)
			for i := range got {
				got[i] ^= int8(s.int8.flip)
			}
			r.Zero -= int32(s.int8.flip)
			broken := row.Scale != row.Scale // then products are NaN, whatever the integers are
			if !sameFloat(r.Scale, row.Scale) || !broken && (!slices.Equal(got[:n], want[:n]) || r.Zero != row.Zero) {
				t.Fatalf("%s: %v becomes %v %v, apart %v %v", s.Name, x, r, got[:n], row, want[:n])
			}
		}
	}
}

// TestInt8QuantizeRow: the zero point stands for 0 exactly, the ends of a row for the ends of the range, and a value is at most half a
// step off (a whole one where the last step was cut).
func TestInt8QuantizeRow(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 8))
	for range 2000 {
		x := int8Values(rng, 1+rng.IntN(40))
		q := make([]int8, Int8Stride(len(x)))
		row := generic.QuantizeRow(q, x)
		if row.Zero < -127 || row.Zero > 127 {
			t.Fatalf("zero point %d of %v", row.Zero, x)
		}
		for i, v := range x {
			if q[i] == -128 {
				t.Fatalf("-128 for %v of %v", v, x)
			}
			if back := float64(row.Scale) * float64(int32(q[i])-row.Zero); row.Scale > 0 && math.Abs(back-float64(v)) > 1.01*float64(row.Scale) {
				t.Fatalf("%v becomes %v, step %v", v, back, row.Scale)
			}
		}
	}
}

// gemmInt8 is C[m,n] of random operands by a set, with a guard on both sides of each row.
func gemmInt8(s *Set, m, k, n int, seed uint64, withBias bool) []float32 {
	rng := rand.New(rand.NewPCG(seed, 9))
	ld := Int8Stride(k)
	a, rows := make([]int8, m*ld), make([]Int8Row, m)
	for r := range m {
		rows[r] = s.QuantizeRow(a[r*ld:(r+1)*ld], int8Values(rng, k))
		for i := k; i < ld; i++ {
			a[r*ld+i] = int8(rng.IntN(256)) // what lies beyond must not matter
		}
	}
	w := make([]int8, n*ld)
	var b Int8Panels
	b.Resize(k, n)
	for j := range n {
		b.Scale[j], _ = s.QuantizeWeight(w[j*ld:(j+1)*ld], int8Values(rng, k))
	}
	for p := range b.Panels() {
		s.PackInt8(&b, p, w[p*Int8Columns*ld:], ld)
	}
	var bias []float32
	if withBias {
		bias = randomValues(rng, n, 1, true)
	}
	c := make([]float32, m*(n+9))
	for i := range c {
		c[i] = guard
	}
	p := b.Panels() / 2
	acc := make([]int32, Int8Scratch(m))
	s.GemmInt8(a, ld, rows, &b, 0, p, c, n+9, bias, acc)
	s.GemmInt8(a, ld, rows, &b, p, b.Panels(), c, n+9, bias, acc)
	return c
}

// TestGemmInt8 holds every set's int8 products, column sums included, to the bits of the plain Go ones: random shapes, tails, rows of
// zeros and of huge values. What lies beside the columns is left alone.
func TestGemmInt8(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 8))
	cases := []gemmCase{{128, 768, 64}, {45, 3072, 32}, {33, 513, 70}, {17, 64, 1}, {1, 1, 1}, {2, 0, 5}, {64, 1100, 33}, {5, 64, 128}, {128, 128, 128}}
	for m := 1; m <= 66; m++ {
		cases = append(cases, gemmCase{m, 1 + rng.IntN(200), 1 + rng.IntN(100)})
	}
	for i, c := range cases {
		want := gemmInt8(generic, c.m, c.k, c.n, uint64(i), i%2 == 0)
		for r := range c.m {
			for _, v := range want[r*(c.n+9)+c.n : (r+1)*(c.n+9)] {
				if v != guard {
					t.Fatalf("%v: wrote beside C", c)
				}
			}
		}
		for _, s := range others(t) {
			for j, v := range gemmInt8(s, c.m, c.k, c.n, uint64(i), i%2 == 0) {
				if !sameFloat(v, want[j]) {
					t.Fatalf("%s: %v: [%d] is %v, generic %v", s.Name, c, j, v, want[j])
				}
			}
		}
	}
}

// TestGemmInt8Exact: the sums are those of whole numbers, also where every product is the largest.
func TestGemmInt8Exact(t *testing.T) {
	const m, k, n = 3, 3072, 32
	for _, s := range sets {
		ld := Int8Stride(k)
		a, w, x := make([]int8, m*ld), make([]int8, n*ld), make([]float32, k)
		var b Int8Panels
		b.Resize(k, n)
		for i := range x {
			x[i] = 254
		}
		rows := make([]Int8Row, m)
		for r := range m {
			rows[r] = s.QuantizeRow(a[r*ld:], x)
		}
		for i := range x {
			x[i] = -127
		}
		for j := range n {
			b.Scale[j], _ = s.QuantizeWeight(w[j*ld:], x)
		}
		s.PackInt8(&b, 0, w, ld)
		c := make([]float32, m*n)
		s.GemmInt8(a, ld, rows, &b, 0, 1, c, n, nil, make([]int32, Int8Scratch(m)))
		for i, v := range c {
			if v != -254*127*k {
				t.Fatalf("%s: [%d] is %v, want %v", s.Name, i, v, -254*127*k)
			}
		}
	}
}
