package model

import (
	"slices"

	"albert/internal/engine/ops"
)

const (
	// GroupPieces is how many pieces go through the encoder at once in inference. Of 256 pieces base has 0.8 MB of hidden states: what an operation
	// needs of them stays in a core's L2, and the more pieces, the fewer times the weights come from L3.
	GroupPieces = 256
	// LeastPieces is how many pieces a thread has at least for itself: with fewer, to read all weights takes too long.
	LeastPieces = 64
)

// group is sequences from to to-1 of a batch.
type group struct{ from, to int }

// of gives the group's part of a batch, and its first row.
func (g group) of(b *ops.Batch) (part *ops.Batch, row int) {
	first, end := b.Offsets[g.from], b.Offsets[g.to]
	part = &ops.Batch{IDs: b.IDs[first:end], Types: b.Types[first:end]}
	for s := g.from; s < g.to; s++ {
		part.Examples = append(part.Examples, uint64(b.Example(s)))
	}
	for _, o := range b.Offsets[g.from : g.to+1] {
		part.Offsets = append(part.Offsets, o-first)
	}
	return part, int(first)
}

// rounds is in how many parts rows are cut so that each thread has about GroupPieces of a part.
func rounds(rows, threads int) int {
	step := GroupPieces * threads
	return max(1, (rows+step/2)/step)
}

// split cuts a batch into groups that go through the encoder on a thread each. It gives none where all threads work on the whole batch better:
// there are too few pieces, or a thread would wait for a long sequence.
func split(b *ops.Batch, threads int) []group {
	rows := b.Rows()
	n := rounds(rows, threads) * threads // about as many groups
	if n < 2 || threads > 1 && rows < n*LeastPieces {
		return nil
	}
	var groups []group
	for s := 0; s < b.Len(); {
		g := group{s, s + 1}
		end := (int(b.Offsets[s])*n/rows + 1) * rows / n // of the share in which the sequence begins
		for s = g.to; s < b.Len() && int(b.Offsets[s]+b.Offsets[s+1])/2 < end; s++ {
			g.to++
		}
		groups = append(groups, g)
	}
	if len(groups) < 2 || longest(b, groups, threads)*threads > rows+rows/8 {
		return nil
	}
	return groups
}

// longest is how many pieces the thread has that has most, when each takes the next group as soon as it is free.
func longest(b *ops.Batch, groups []group, threads int) int {
	busy := make([]int, threads)
	for _, g := range groups {
		first := 0
		for t := range busy {
			if busy[t] < busy[first] {
				first = t
			}
		}
		busy[first] += int(b.Offsets[g.to] - b.Offsets[g.from])
	}
	return slices.Max(busy)
}
