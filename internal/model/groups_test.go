package model

import (
	"slices"
	"testing"

	"albert/internal/engine/ops"
)

func TestSplit(t *testing.T) {
	same := func(n, length int) []int { return slices.Repeat([]int{length}, n) }
	for _, c := range []struct {
		name    string
		lengths []int
		threads int
		want    []int // pieces of each group; nil: all together
	}{
		{"one thread", same(8, 128), 1, same(4, 256)},
		{"short ones share a group", same(10, 25), 2, same(2, 125)},
		{"as many groups as threads", same(6, 50), 2, same(2, 150)},
		{"enough on one thread", same(12, 32), 1, same(2, 192)},
		{"few pieces on one thread", same(4, 32), 1, nil},
		{"few pieces on two", same(4, 30), 2, nil},
		{"few pieces for eight threads", same(8, 60), 8, nil},
		{"no pieces", []int{0, 0}, 1, nil},
		{"one sequence", []int{512}, 1, nil},
		{"one long sequence", []int{512, 20, 20}, 2, nil},
		{"one thread does not wait", []int{512, 20, 20}, 1, []int{512, 40}},
		{"a third of the work would wait", same(3, 128), 2, nil},
	} {
		b := &ops.Batch{Offsets: []int32{0}}
		for _, n := range c.lengths {
			b.IDs = append(b.IDs, make([]int32, n)...)
			b.Offsets = append(b.Offsets, int32(len(b.IDs)))
		}
		b.Types = b.IDs
		groups := split(b, c.threads)
		var got []int
		next := 0
		for _, g := range groups {
			part, row := g.of(b)
			if g.from != next || row != int(b.Offsets[next]) || part.Rows() != int(part.Offsets[part.Len()]) {
				t.Errorf("%s: %v does not go on where the group before ended, or has other pieces than sequences", c.name, g)
			}
			got, next = append(got, part.Rows()), g.to
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: groups of %v pieces, want %v", c.name, got, c.want)
		}
		if got != nil && next != b.Len() {
			t.Errorf("%s: the groups end at sequence %d of %d", c.name, next, b.Len())
		}
	}
}
