package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"albert/internal/engine/ops"
)

// TestWholeOperations: FeedForward and SelfAttention give the bits of the operations that they are made of, in every precision, with widths that
// fill panels and that do not, few rows and many, on one thread and more.
func TestWholeOperations(t *testing.T) {
	for _, c := range []struct{ hidden, heads, inner int }{{128, 4, 1600}, {96, 3, 810}, {64, 4, 100}, {256, 4, 1024}} {
		rng := rand.New(rand.NewPCG(3, uint64(c.hidden)))
		var all []*ops.Param
		affine := func(out, in int) ops.Affine {
			a := ops.Affine{W: ops.NewParam(fmt.Sprint(len(all)), out, in), B: ops.NewParam(fmt.Sprint(len(all), "b"), out)}
			for _, p := range []*ops.Param{a.W, a.B} {
				for i := range p.Data {
					p.Data[i] = float32(rng.NormFloat64()) / 8
				}
			}
			all = append(all, a.W, a.B)
			return a
		}
		q, k, v := affine(c.hidden, c.hidden), affine(c.hidden, c.hidden), affine(c.hidden, c.hidden)
		first, second := affine(c.inner, c.hidden), affine(c.hidden, c.inner)
		second.B = nil
		all = all[:len(all)-1]
		kept := ops.NewParams(all)
		for _, precision := range []Precision{FP32, BF16Tile, BF16Dot, Int8} {
			if precision == Int8 {
				var products []*ops.Param
				for _, a := range []ops.Affine{q, k, v, first, second} {
					products = append(products, a.W)
				}
				if err := newDevice(t, 1).Quantize(kept, products); err != nil {
					t.Fatal(err)
				}
			}
			for _, threads := range []int{1, 2, 3, 4} {
				dev := newDevice(t, threads)
				d, err := dev.Int8(), error(nil)
				if precision != Int8 {
					d, err = dev.In(precision)
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, lengths := range [][]int32{{0, 5}, {0, 7, 40, 40, 133}, {0, 600}} {
					b := &ops.Batch{Offsets: lengths}
					rows := int(lengths[len(lengths)-1])
					x := d.New(rows, c.hidden)
					for r := range rows {
						for j := range x.Row(r) {
							x.Row(r)[j] = float32(rng.NormFloat64())
						}
					}
					equal := func(name string, got, want *ops.Tensor) {
						for r := range rows {
							if !slices.Equal(got.Row(r), want.Row(r)) {
								t.Fatalf("%v, %s, %d threads, %d rows: %s has other bits in row %d", c, precision, threads, rows, name, r)
							}
						}
					}
					y, f, want := d.New(rows, c.hidden), d.New(rows, c.inner), d.New(rows, c.hidden)
					d.FeedForward(y, x, ops.GeluTanh, first, second)
					d.Linear(f, nil, x, ops.GeluTanh, []ops.Affine{first})
					d.Linear(want, nil, f, ops.Identity, []ops.Affine{second})
					equal("FeedForward", y, want)
					qkv := d.New(rows, 3*c.hidden)
					d.SelfAttention(y, x, b, c.heads, q, k, v)
					d.Linear(qkv, nil, x, ops.Identity, []ops.Affine{q, k, v})
					d.Attention(want, nil, qkv, b, c.heads, ops.Dropout{})
					equal("SelfAttention", y, want)
					for _, z := range []*ops.Tensor{x, y, f, want, qkv} {
						d.Free(z)
					}
				}
			}
		}
	}
}
