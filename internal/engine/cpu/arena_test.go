package cpu

import (
	"math/rand/v2"
	"sync"
	"testing"

	"albert/internal/engine/ops"
)

// TestReserve: tensors of one reserved piece never share memory, whatever is made and freed at once; when all are free, one takes the whole
// piece; what does not fit gets memory of its own.
func TestReserve(t *testing.T) {
	d := newDevice(t, 1)
	const values = 1<<16 + 16 // an odd number of cache lines, as every row has
	d.Reserve(values)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(g)))
			var mine []*ops.Tensor
			var marks []float32
			for i := range 2_000 {
				if len(mine) > 0 && rng.IntN(2) == 0 {
					k := rng.IntN(len(mine))
					for r := range mine[k].Rows {
						for _, v := range mine[k].Row(r) {
							if v != marks[k] {
								t.Errorf("a value of another tensor: %v, not %v", v, marks[k])
								return
							}
						}
					}
					d.Free(mine[k])
					mine[k], marks[k] = mine[len(mine)-1], marks[len(mine)-1]
					mine, marks = mine[:len(mine)-1], marks[:len(mine)-1]
					continue
				}
				x := d.New(1+rng.IntN(40), 1+rng.IntN(40))
				mark := float32(g*10_000 + i)
				for r := range x.Rows {
					for c := range x.Row(r) {
						x.Row(r)[c] = mark
					}
				}
				mine, marks = append(mine, x), append(marks, mark)
			}
			for _, x := range mine {
				d.Free(x)
			}
		})
	}
	all.Wait()
	if n := len(d.arena.cuts); n != 0 {
		t.Fatalf("%d tensors are in use after all were freed", n)
	}
	whole := d.New(1, values)
	if &whole.Data[0] != &d.arena.data[0] || len(whole.Data) != values {
		t.Errorf("a tensor of all %d values was cut elsewhere, with %d", values, len(whole.Data))
	}
	other := d.New(1, 16)
	if other.Data[0] = 1; whole.Data[0] == 1 {
		t.Error("a tensor that does not fit shares memory")
	}
	d.Free(whole)
	d.Free(other)
}
