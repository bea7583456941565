package safetensors

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Every number of a narrow type stays what it is; every other value becomes one of its two neighbours, the nearer one, of two the even one.
func TestNarrowIsToTheNearest(t *testing.T) {
	back := map[DType]func(uint16) float32{"F16": half, "BF16": func(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }}
	narrow := func(to DType, values ...float32) ([]float32, bool) {
		t.Helper()
		n, rounded, err := Float32Tensor("x", []int{len(values)}, values).Narrow(to)
		if err != nil {
			t.Fatal(err)
		}
		out, err := n.Float32()
		if err != nil || n.DType != to || len(n.Data) != 2*len(values) {
			t.Fatal(err, n.DType)
		}
		return out, rounded
	}
	r := rand.New(rand.NewPCG(1, 2))
	for to, of := range back {
		for b := range 0x8000 { // all that are not negative
			v, next := of(uint16(b)), of(uint16(b+1))
			if v != v || math.IsInf(float64(v), 0) {
				if n, _ := narrow(to, v); v != v && n[0] == n[0] || v == v && n[0] != v {
					t.Fatalf("%s: %v becomes %v", to, v, n[0])
				}
				continue
			}
			if n, rounded := narrow(to, v, -v); n[0] != v || n[1] != -v || rounded || math.Signbit(float64(n[0])) {
				t.Fatalf("%s: %v becomes %v", to, v, n)
			}
			if math.IsInf(float64(next), 0) {
				continue
			}
			middle := float32((float64(v) + float64(next)) / 2) // exact in float32
			even := v
			if b&1 == 1 {
				even = next
			}
			below, above := math.Nextafter32(middle, v), math.Nextafter32(middle, next)
			between := v + float32(r.Float64())*(next-v)
			nearer := v
			if between > middle || between == middle && b&1 == 1 {
				nearer = next
			}
			n, rounded := narrow(to, middle, below, above, between)
			if n[0] != even || n[1] != v || n[2] != next || n[3] != nearer || !rounded {
				t.Fatalf("%s: between %v and %v: %v becomes %v", to, v, next, []float32{middle, below, above, between}, n)
			}
		}
	}
}

func TestNarrowRefusesWhatItCannotHold(t *testing.T) {
	for _, c := range []struct {
		v    float32
		to   DType
		want string
	}{{65520, "F16", "tensor x: the value 65520 is beyond the range of F16"}, {-1e30, "F16", "beyond"}, {math.MaxFloat32, "BF16", "beyond"}, {1, "I8", "want F32, F16 or BF16"}} {
		if _, _, err := Float32Tensor("x", []int{1}, []float32{c.v}).Narrow(c.to); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v to %s: %v", c.v, c.to, err)
		}
	}
}
