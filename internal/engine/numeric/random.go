package numeric

import (
	"math"
	"math/bits"
)

// Purpose keeps the random numbers of different uses apart.
type Purpose uint32

// The purposes. Their numbers are part of every run's bits.
const (
	PurposeInit Purpose = iota + 1
	PurposeDropout
	PurposeCut
	PurposeShuffle
	PurposeMask
	PurposeEval
	PurposeSample
	PurposeReservoir
)

// Philox is Philox4x32-10 (Salmon and others, SC 2011): four random words for every key and counter.
func Philox(key [2]uint32, ctr [4]uint32) [4]uint32 {
	for range 10 {
		h0, l0 := bits.Mul32(0xD2511F53, ctr[0])
		h1, l1 := bits.Mul32(0xCD9E8D57, ctr[2])
		ctr = [4]uint32{h1 ^ ctr[1] ^ key[0], l1, h0 ^ ctr[3] ^ key[1], l0}
		key[0] += 0x9E3779B9
		key[1] += 0xBB67AE85
	}
	return ctr
}

// Stream is a sequence of random numbers that depends on its arguments alone.
type Stream struct {
	key  [2]uint32
	ctr  [4]uint32
	buf  [4]uint32
	left int
}

// NewStream starts the stream of a seed, a purpose and a place of three numbers. A stream has 2^34 words.
func NewStream(seed uint64, p Purpose, a, b, c uint32) *Stream {
	w := Philox([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{0, 0, 0, uint32(p)})
	return &Stream{key: [2]uint32{w[0], w[1]}, ctr: [4]uint32{0, a, b, c}}
}

// Uint32 is a uniform word.
func (s *Stream) Uint32() uint32 {
	if s.left == 0 {
		s.buf = Philox(s.key, s.ctr)
		s.ctr[0]++
		s.left = 4
	}
	s.left--
	return s.buf[3-s.left]
}

// Uint64 is a uniform double word.
func (s *Stream) Uint64() uint64 {
	high := uint64(s.Uint32())
	return high<<32 | uint64(s.Uint32())
}

// Intn is uniform in [0, n), n > 0, without bias (Lemire's method).
func (s *Stream) Intn(n int) int {
	if n <= 0 {
		panic("numeric: Intn of no numbers")
	}
	u := uint64(n)
	high, low := bits.Mul64(s.Uint64(), u)
	if low < u {
		for reject := -u % u; low < reject; {
			high, low = bits.Mul64(s.Uint64(), u)
		}
	}
	return int(high)
}

// Float64 is uniform in [0, 1), a multiple of 2^-53.
func (s *Stream) Float64() float64 { return float64(s.Uint64()>>11) * 0x1p-53 }

// Normal is normally distributed, mean 0, deviation 1 (Marsaglia's polar method).
func (s *Stream) Normal() float64 {
	for {
		x, y := 2*s.Float64()-1, 2*s.Float64()-1
		r := float64(x*x) + float64(y*y)
		if r > 0 && r < 1 {
			return x * math.Sqrt(float64(-2*Log64(r))/r)
		}
	}
}

// Shuffle permutes n things (Fisher and Yates).
func (s *Stream) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, s.Intn(i+1))
	}
}

// Permute maps i to another number of [0, n), a bijection that depends on seed, purpose and round: a Feistel network of four rounds
// over the next even power of two, walked until it lands in range.
func Permute(seed uint64, p Purpose, round uint32, n, i uint64) uint64 {
	if i >= n {
		panic("numeric: Permute out of range")
	}
	half := max(1, (bits.Len64(n-1)+1)/2)
	mask := uint64(1)<<half - 1
	w := Philox([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{1, round, 0, uint32(p)})
	key := [2]uint32{w[0], w[1]}
	for {
		left, right := i>>half, i&mask
		for r := range uint32(4) {
			f := Philox(key, [4]uint32{uint32(right), uint32(right >> 32), r, 0})
			left, right = right, left^(uint64(f[0])|uint64(f[1])<<32)&mask
		}
		if i = left<<half | right; i < n {
			return i
		}
	}
}
