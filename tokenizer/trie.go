package tokenizer

import (
	"cmp"
	"slices"
)

// trie finds ids by text, byte for byte: a double array. State s goes by byte b to state base[s]+b if check says that it came from
// there.
type trie struct {
	cells []trieCell
}

type trieCell struct {
	base, check, id int32
}

// newTrie makes the trie of texts, which differ, with their ids.
func newTrie(texts []string, ids []int32) trie {
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(texts[a], texts[b]) })
	t := trie{cells: make([]trieCell, 512)}
	for i := range t.cells {
		t.cells[i] = trieCell{check: -1, id: -1}
	}
	t.cells[0].check = -2
	type job struct {
		state    int32
		from, to int // in order
		depth    int
	}
	free := int32(1) // no free cell is below
	stack := []job{{0, 0, len(order), 0}}
	for len(stack) > 0 {
		j := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for j.from < j.to && len(texts[order[j.from]]) == j.depth {
			t.cells[j.state].id = ids[order[j.from]]
			j.from++
		}
		if j.from == j.to {
			continue
		}
		var labels []byte
		var starts []int
		for i := j.from; i < j.to; i++ {
			b := texts[order[i]][j.depth]
			if len(labels) == 0 || labels[len(labels)-1] != b {
				labels, starts = append(labels, b), append(starts, i)
			}
		}
		for t.at(free).check != -1 {
			free++
		}
		base := max(1, free-int32(labels[0]))
	search:
		for ; ; base++ {
			for _, b := range labels {
				if t.at(base+int32(b)).check != -1 {
					continue search
				}
			}
			break
		}
		t.cells[j.state].base = base
		starts = append(starts, j.to)
		for i, b := range labels {
			t.cells[base+int32(b)].check = j.state
			stack = append(stack, job{base + int32(b), starts[i], starts[i+1], j.depth + 1})
		}
	}
	return t
}

// at gives a cell, making room for it.
func (t *trie) at(i int32) *trieCell {
	for int(i) >= len(t.cells) {
		n := len(t.cells)
		t.cells = append(t.cells, make([]trieCell, n)...)
		for k := n; k < len(t.cells); k++ {
			t.cells[k] = trieCell{check: -1, id: -1}
		}
	}
	return &t.cells[i]
}

// next is the state after a byte, -1 if there is none.
func (t *trie) next(state int32, b byte) int32 {
	n := t.cells[state].base + int32(b)
	if int(n) >= len(t.cells) || t.cells[n].check != state || t.cells[state].base == 0 {
		return -1
	}
	return n
}

// id is the id of the text that leads to a state, -1 if none ends there.
func (t *trie) id(state int32) int32 { return t.cells[state].id }
