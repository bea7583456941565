package spmtrain

// trieNode is a node of a trie: the letter that leads to it, the piece that ends there (-1: none) and the index of its first child. Its
// children are sorted by letter and end at the first child of the next node.
type trieNode struct{ letter, id, child int32 }

// trie finds pieces by their letters.
type trie struct {
	nodes []trieNode // level by level from the root on, and one more at the end
	root  []int32    // the root's children by letter; 0: none
}

// newTrie makes the trie of pieces that are sorted by their letters.
func newTrie(letters []int32, list []piece, alphabet int) *trie {
	type span struct{ from, to int32 } // of list
	t := &trie{nodes: []trieNode{{-1, -1, 0}}, root: make([]int32, alphabet)}
	level := []span{{0, int32(len(list))}}
	for depth, node := int32(0), 0; len(level) > 0; depth++ {
		var below []span
		for _, s := range level {
			t.nodes[node].child = int32(len(t.nodes))
			if s.from < s.to && list[s.from].n == depth {
				t.nodes[node].id = s.from
				s.from++
			}
			for s.from < s.to {
				c := letters[list[s.from].at+depth]
				to := s.from + 1
				for to < s.to && letters[list[to].at+depth] == c {
					to++
				}
				if depth == 0 {
					t.root[c] = int32(len(t.nodes))
				}
				t.nodes = append(t.nodes, trieNode{c, -1, 0})
				below = append(below, span{s.from, to})
				s.from = to
			}
			node++
		}
		level = below
	}
	t.nodes = append(t.nodes, trieNode{child: int32(len(t.nodes))})
	return t
}

// next gives the node that a letter leads to, 0 if there is none.
func (t *trie) next(at, letter int32) int32 {
	lo, hi := t.nodes[at].child, t.nodes[at+1].child
	for hi-lo > 8 {
		mid := int32(uint32(lo+hi) / 2)
		if t.nodes[mid].letter <= letter {
			lo = mid
		} else {
			hi = mid
		}
	}
	for ; lo < hi; lo++ {
		if c := t.nodes[lo].letter; c >= letter {
			if c == letter {
				return lo
			}
			break
		}
	}
	return 0
}
