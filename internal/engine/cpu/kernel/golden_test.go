package kernel

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math"
	"math/rand/v2"
	"testing"
)

// The bits of the generic set, recorded on amd64: they show a compiler that fuses x*y + z (GOAMD64=v3, arm64) or a change of bits that
// nobody meant. Whoever means it raises numeric.Version.
const (
	goldenRows = "9935432cceeeb2bee58088f81bbdf5de7396bf197f7b6d7988ebb606681e445f"
	goldenGemm = "3f333fc9c094fe95fb0090bbf6543943ac09db8851924b237f4824bd5b15259e"
)

// addBits adds values to a hash, all NaN alike.
func addBits(h hash.Hash, x []float32) {
	var b [4]byte
	for _, v := range x {
		bits := math.Float32bits(v)
		if v != v {
			bits = 0x7fc00000
		}
		binary.LittleEndian.PutUint32(b[:], bits)
		h.Write(b[:])
	}
}

func TestGenericBits(t *testing.T) {
	h := sha256.New()
	// Many rows: a rounding more or less in a row's sum is lost in its result nine times in ten.
	for seed := range uint64(60) {
		for _, n := range []int{1, 16, 25, 100, 333} {
			_, out := rowFunctions(generic, n, seed, seed%4 == 3, guarded)
			for _, x := range out {
				addBits(h, x)
			}
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != goldenRows {
		t.Errorf("row functions: %s, recorded %s", got, goldenRows)
	}
	h.Reset()
	rng := rand.New(rand.NewPCG(8, 8))
	const m, k, n = 19, 70, 45
	for _, init := range []Init{Zero, Bias, Accumulate} {
		a, w, bias, c := randomValues(rng, m*k, 1, false), randomValues(rng, k*n, 1, false), randomValues(rng, n, 1, false), randomValues(rng, m*n, 1, false)
		p := &Panels{K: k, N: n, Data: make([]float32, generic.PanelsLen(k, n))}
		generic.PackRows(p, w, n, 0, 3)
		generic.Gemm(m, a, k, p, 0, 3, c, n, bias, init)
		addBits(h, c)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != goldenGemm {
		t.Errorf("products: %s, recorded %s", got, goldenGemm)
	}
}
