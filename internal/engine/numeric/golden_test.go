package numeric

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"testing"
)

// TestBits holds the bits of every function to those recorded on amd64: a compiler that fuses x*y + z (GOAMD64=v3, arm64), or a change
// that nobody meant, shows here. Whoever means it raises Version.
func TestBits(t *testing.T) {
	const want = "84c289b4b9e36d7e13088b422dcb965ad2c4ead063211fe29c399787e664b528"
	h := sha256.New()
	add := func(v float64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
		h.Write(b[:])
	}
	s := NewStream(1, PurposeSample, 2, 3, 4)
	x32 := make([]float32, 10_000)
	for i := range x32 {
		z := s.Normal()
		add(z)
		x32[i] = float32(z)
	}
	for i, x := range x32 {
		y := float64(x)
		add(float64(FMA(x, x32[(i+1)%len(x32)], x32[(i+2)%len(x32)])))
		for _, f := range []func(float32) float32{Exp, Tanh, Erf} {
			add(float64(f(3 * x)))
		}
		add(float64(float32(Log64(float64(x * x)))))
		add(Exp64(float64(5*y) + 0x1p-30))
		p := float64(y*y) + 0x1p-30
		add(Log64(p))
		add(Pow64(p, y))
		add(s.Float64())
		add(float64(s.Intn(i + 1)))
		add(float64(Permute(7, PurposeShuffle, 1, uint64(len(x32)), uint64(i))))
	}
	total := 0.0
	for block := range slices.Chunk(x32, Block) {
		total += float64(LaneSum(block))
	}
	add(total)
	add(SumSquares(x32))
	add(float64(LaneSum(x32)))
	add(float64(LaneMax(x32)))
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("%s, recorded %s", got, want)
	}
}
