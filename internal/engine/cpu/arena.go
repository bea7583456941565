package cpu

import (
	"slices"

	"albert/internal/engine/ops"
)

// arena is one piece of memory that tensors are cut from, each at the lowest place where it fits. What was never needed is never touched, so
// that the system need not find memory for it.
type arena struct {
	data []float32
	cuts []cut // those in use, by place
}

type cut struct {
	from, to int
	t        *ops.Tensor
}

// Reserve has tensors cut from one piece of so many values, while there is room in it: where batches of all sizes come, buffers that are kept for
// reuse would be of all sizes too, and to make new ones leaves garbage. It is called before the first operation.
func (d *Device) Reserve(values int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arena = arena{data: make([]float32, values)}
}

// take cuts a tensor of n values, nil where there is no room.
func (a *arena) take(n int) *ops.Tensor {
	n = lineUp(n)
	from, i := 0, 0
	for i < len(a.cuts) && a.cuts[i].from-from < n {
		from = a.cuts[i].to
		i++
	}
	if i == len(a.cuts) && len(a.data)-from < n {
		return nil
	}
	t := &ops.Tensor{Data: a.data[from : from+n : from+n]}
	a.cuts = slices.Insert(a.cuts, i, cut{from, from + n, t})
	return t
}

// free takes a tensor back; false if it is none of the arena's.
func (a *arena) free(t *ops.Tensor) bool {
	i := slices.IndexFunc(a.cuts, func(c cut) bool { return c.t == t })
	if i >= 0 {
		a.cuts = slices.Delete(a.cuts, i, i+1)
	}
	return i >= 0
}
