package numeric

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The exact value of x*y+z, rounded once.
func exactFMA(x, y, z float32) float32 {
	f := func(v float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(v)) }
	s := new(big.Float).SetPrec(2000).Mul(f(x), f(y))
	s.Add(s, f(z))
	r, _ := s.Float32()
	return r
}

func TestFMA(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	random := func(spread int) float32 {
		return math.Float32frombits(rng.Uint32()&0x807fffff | uint32(127-spread/2+rng.IntN(spread))<<23)
	}
	for i := range 400_000 {
		spread := []int{2, 30, 60, 250}[i%4]
		x, y, z := random(spread), random(spread), random(spread)
		switch i % 5 {
		case 0: // close to cancellation
			z = -float32(x * y)
		case 1: // few bits: ties
			x = math.Float32frombits(math.Float32bits(x) &^ 0xfff)
			y = math.Float32frombits(math.Float32bits(y) &^ 0xff)
		case 2: // subnormal results
			x, y, z = x*0x1p-70, y*0x1p-65, z*0x1p-130
		}
		got, want := FMA(x, y, z), exactFMA(x, y, z)
		if got != want {
			t.Fatalf("FMA(%b, %b, %b) = %b, want %b", x, y, z, got, want)
		}
	}
	inf := float32(math.Inf(1))
	if FMA(inf, 1, 1) != inf || FMA(1, 1, -inf) != -inf {
		t.Error("infinities")
	}
	if v := FMA(inf, 0, 1); v == v {
		t.Error("inf * 0 is not NaN")
	}
}

// Known answers of the Random123 distribution.
func TestPhilox(t *testing.T) {
	all := uint32(math.MaxUint32)
	for _, c := range []struct {
		key  [2]uint32
		ctr  [4]uint32
		want [4]uint32
	}{
		{[2]uint32{}, [4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[2]uint32{all, all}, [4]uint32{all, all, all, all}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := Philox(c.key, c.ctr); got != c.want {
			t.Errorf("%08x, want %08x", got, c.want)
		}
	}
}

func TestStream(t *testing.T) {
	a, b := NewStream(5, PurposeMask, 1, 2, 3), NewStream(5, PurposeMask, 1, 2, 3)
	other := NewStream(5, PurposeMask, 1, 2, 4)
	same := 0
	for range 1000 {
		x := a.Uint32()
		if x != b.Uint32() {
			t.Fatal("equal arguments, different numbers")
		}
		if x == other.Uint32() {
			same++
		}
	}
	if same > 2 {
		t.Errorf("%d equal words in different streams", same)
	}
	var count [7]int
	mean, square := 0.0, 0.0
	const n = 70_000
	for range n {
		count[a.Intn(7)]++
		z := a.Normal()
		mean += z / n
		square += z * z / n
	}
	for i, c := range count {
		if c < n/7-500 || c > n/7+500 {
			t.Errorf("Intn gave %d %d times", i, c)
		}
	}
	if math.Abs(mean) > 0.02 || math.Abs(square-1) > 0.03 {
		t.Errorf("Normal: mean %.3f, variance %.3f", mean, square)
	}
}

func TestPermuteIsBijection(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 10, 64, 1000, 4097} {
		for round := range uint32(3) {
			seen := make([]bool, n)
			fixed := 0
			for i := range n {
				j := Permute(9, PurposeShuffle, round, n, i)
				if seen[j] {
					t.Fatalf("n %d: %d twice", n, j)
				}
				seen[j] = true
				if i == j {
					fixed++
				}
			}
			if n >= 64 && fixed > 12 {
				t.Errorf("n %d: %d fixed points", n, fixed)
			}
		}
	}
}

func TestSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{0, 1, 15, 16, 17, 4095, 4096, 4097, 20_001} {
		x := make([]float32, n)
		squares := 0.0
		for i := range x {
			x[i] = float32(rng.NormFloat64())
			squares += float64(x[i]) * float64(x[i])
		}
		if math.Abs(SumSquares(x)-squares) > 1e-5*(1+squares) {
			t.Errorf("%d values: %v, want %v", n, SumSquares(x), squares)
		}
	}
}
