package tokenizer

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
)

// doubleArray is a trie over bytes in the layout of the darts-clone library, in which SentencePiece models keep their charsmap. A
// unit is a state and the byte that led to it. The state after byte b lies at index base^b, where base is the unit's own index xor
// its offset; it exists if the unit there has b for its label. Several units may share one base, so that equal endings are stored once.
//
//	bits 0-7  the label
//	bit  8    a key ends here: its value is in the unit at base^0
//	bit  9    the offset counts in steps of 256
//	bits 10-  the offset
//	bit  31   a value (bits 0-30), not a state; no label equals it
//
// Keys have no byte 0. The array's length is a multiple of 256, so that base^b is always inside.
type doubleArray []uint32

const (
	unitValue  = 1 << 31
	unitHasKey = 1 << 8
	unitLabel  = unitValue | 0xff
)

// unitOffset is how far the base is from the unit, by xor.
func unitOffset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }

// step goes from the unit u, which is d[at], by byte b to the next. ok is false if there is no such state.
func (d doubleArray) step(at, u uint32, b byte) (uint32, uint32, bool) {
	at ^= unitOffset(u) ^ uint32(b)
	u = d[at]
	return at, u, u&unitLabel == uint32(b)
}

// value gives the value of the key that ends at the unit u, which is d[at].
func (d doubleArray) value(at, u uint32) (uint32, bool) {
	if u&unitHasKey == 0 {
		return 0, false
	}
	return d[at^unitOffset(u)] &^ unitValue, true
}

// longest finds the longest key that s begins with, looking at the first most of them only, shortest first, as the C++ library does.
func (d doubleArray) longest(s string, most int) (value uint32, length int) {
	if len(d) == 0 {
		return 0, 0
	}
	at, u, ok := uint32(0), d[0], true
	for i := range len(s) {
		if at, u, ok = d.step(at, u, s[i]); !ok {
			break
		}
		if v, end := d.value(at, u); end {
			value, length = v, i+1
			if most--; most == 0 {
				break
			}
		}
	}
	return value, length
}

// check gives an error if a walk could leave the array or a value is not below limit.
func (d doubleArray) check(limit int) error {
	if len(d) == 0 || len(d)%256 != 0 {
		return errors.New("its length is no multiple of 256")
	}
	if u := d[0]; u&unitLabel != 0 || u&unitHasKey != 0 || unitOffset(u) == 0 {
		return errors.New("broken root")
	}
	for i, u := range d {
		if u&unitValue != 0 {
			if int(u&^unitValue) >= limit {
				return errors.New("a value out of range")
			}
			continue
		}
		base := uint32(i) ^ unitOffset(u)
		if base|0xff >= uint32(len(d)) {
			return errors.New("a state out of range")
		}
		if u&unitHasKey != 0 && d[base]&unitValue == 0 {
			return errors.New("a key without value")
		}
	}
	return nil
}

// trieKey is a key of a trie and its value, which is below 2^31.
type trieKey struct {
	text  string
	value uint32
	first uint64 // its first 8 bytes, for a quick order
}

func newTrieKey(text string, value uint32) trieKey {
	var b [8]byte
	copy(b[:], text)
	return trieKey{text, value, binary.BigEndian.Uint64(b[:])}
}

// sortKeys sorts keys by their bytes, equal ones by their values. A stable sort would take ten times as long.
func sortKeys(keys []trieKey) {
	slices.SortFunc(keys, func(a, b trieKey) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		return cmp.Or(strings.Compare(a.text, b.text), cmp.Compare(a.value, b.value))
	})
}

// newDoubleArray makes the trie of keys, which it sorts; none has a byte 0, and of equal ones the lowest value holds. Equal endings are looked for if share is set:
// where no two keys have the same value there are none.
func newDoubleArray(keys []trieKey, share bool) (doubleArray, error) {
	sortKeys(keys)
	keys = slices.CompactFunc(keys, func(a, b trieKey) bool { return a.text == b.text })
	b := trieBuilder{keys: keys, branches: make([]branch, 0, 3*len(keys)), edges: make([]edge, 0, 4*len(keys))}
	if share {
		b.known = make(map[uint64]int32, 2*len(keys))
	}
	root := b.branch(0, len(keys), 0)
	p := placer{b: &b, bases: make([]uint32, len(b.branches))}
	p.reserve(len(b.edges))
	if err := p.placeAll(root); err != nil {
		return nil, err
	}
	return p.units, nil
}

// trieBuilder makes the branches of a trie, equal ones once.
type trieBuilder struct {
	keys []trieKey // sorted

	branches []branch
	edges    []edge           // of all branches
	open     []edge           // of the branches under way
	known    map[uint64]int32 // branches by a hash of their edges; nil: equal ones are not looked for
}

// branch is what can follow a prefix: edges[from:to], in ascending order of their labels.
type branch struct{ from, to int32 }

// edge leads by a byte to a branch. Label 0 says that a key ends, and to is its value.
type edge struct {
	label byte
	to    uint32
}

// branch makes the branch of keys[from:to], which have depth bytes in common, and gives its number.
func (b *trieBuilder) branch(from, to, depth int) int32 {
	first := len(b.open)
	if from < to && len(b.keys[from].text) == depth {
		b.open = append(b.open, edge{0, b.keys[from].value})
		from++
	}
	for from < to {
		label, end := b.keys[from].text[depth], from+1
		for end < to && b.keys[end].text[depth] == label {
			end++
		}
		child := b.branch(from, end, depth+1)
		b.open = append(b.open, edge{label, uint32(child)})
		from = end
	}
	edges := b.open[first:]
	id := int32(len(b.branches))
	if b.known != nil {
		hash := uint64(14695981039346656037) // FNV-1a, by words
		for _, e := range edges {
			hash = (hash ^ uint64(e.label)) * 1099511628211
			hash = (hash ^ uint64(e.to)) * 1099511628211
		}
		if same, ok := b.known[hash]; ok && slices.Equal(b.edgesOf(same), edges) {
			id = same
		} else {
			b.known[hash] = id
		}
	}
	if id == int32(len(b.branches)) {
		b.branches = append(b.branches, branch{int32(len(b.edges)), int32(len(b.edges) + len(edges))})
		b.edges = append(b.edges, edges...)
	}
	b.open = b.open[:first]
	return id
}

func (b *trieBuilder) edgesOf(id int32) []edge { return b.edges[b.branches[id].from:b.branches[id].to] }

// placer lays branches into an array.
type placer struct {
	b     *trieBuilder
	units doubleArray
	bases []uint32 // by branch; 0: not placed
	taken []bool   // by index: it is the base of a branch

	// A linked list, in ascending order, of the free indices in the blocks that are searched. Index i has the number i+1; next and prev hold
	// numbers. Number 0 is the list's head: next[0] is the first, prev[0] the last.
	next, prev []uint32
	used       []bool
}

// searched is how many blocks of 256 units, from the end, are searched for room: enough to fill the array, few enough to be quick.
const searched = 16

// reserve makes room for a trie of so many edges.
func (p *placer) reserve(edges int) {
	n := (edges+edges/16)/256*256 + 512
	p.units, p.used, p.taken = make(doubleArray, 0, n), make([]bool, 0, n), make([]bool, 0, n)
	p.next, p.prev = make([]uint32, 0, n+1), make([]uint32, 0, n+1)
}

func (p *placer) grow() {
	n := uint32(len(p.units))
	if n == 0 {
		p.next, p.prev = append(p.next, 0), append(p.prev, 0)
	}
	for i := n; i < n+256; i++ {
		p.units, p.used, p.taken = append(p.units, unitValue), append(p.used, false), append(p.taken, false)
		last := p.prev[0]
		p.next, p.prev = append(p.next, 0), append(p.prev, last)
		p.next[last], p.prev[0] = i+1, i+1
	}
	if len(p.units) > 256*searched {
		for p.next[0] != 0 && p.next[0] <= uint32(len(p.units)-256*searched) {
			p.unlink(p.next[0] - 1)
		}
	}
}

func (p *placer) unlink(index uint32) {
	i := index + 1
	if p.next[p.prev[i]] == i {
		p.next[p.prev[i]], p.prev[p.next[i]] = p.next[i], p.prev[i]
	}
}

func (p *placer) use(index, unit uint32) {
	p.units[index], p.used[index] = unit, true
	p.unlink(index)
}

// find gives a base for a branch with these edges.
func (p *placer) find(edges []edge) uint32 {
search:
	for i := p.next[0]; i != 0; i = p.next[i] {
		base := (i - 1) ^ uint32(edges[0].label)
		if base == 0 || p.taken[base] {
			continue
		}
		for _, e := range edges[1:] {
			if p.used[base^uint32(e.label)] {
				continue search
			}
		}
		return base
	}
	p.grow()
	return uint32(len(p.units)-256) ^ uint32(edges[0].label)
}

// encodeOffset gives the bits of an offset; ok is false if it has no room.
func encodeOffset(offset uint32) (bits uint32, ok bool) {
	switch {
	case offset < 1<<21:
		return offset << 10, true
	case offset < 1<<29 && offset&0xff == 0:
		return offset>>8<<10 | 1<<9, true
	}
	return 0, false
}

// placeAll lays the branch of the root and all below it into the array, in the order of their labels.
func (p *placer) placeAll(root int32) error {
	p.grow()
	p.use(0, 0)
	type job struct {
		branch int32
		at     uint32 // the unit that leads to it
	}
	jobs := []job{{root, 0}}
	for len(jobs) > 0 {
		j := jobs[len(jobs)-1]
		jobs = jobs[:len(jobs)-1]
		edges := p.b.edgesOf(j.branch)
		if len(edges) == 0 { // no keys at all
			p.units[0] = 1 << 10
			return nil
		}
		base := p.bases[j.branch]
		bits, ok := encodeOffset(base ^ j.at)
		fresh := base == 0 || !ok
		if fresh {
			base = p.find(edges)
			if bits, ok = encodeOffset(base ^ j.at); !ok {
				// Too far away. A new block has room for a base that differs from the unit's place in the upper bits only.
				p.grow()
				base = uint32(len(p.units)-256) | j.at&0xff
				if bits, ok = encodeOffset(base ^ j.at); !ok {
					return errors.New("too many keys for a double array")
				}
			}
			p.bases[j.branch], p.taken[base] = base, true
		}
		if edges[0].label == 0 {
			bits |= unitHasKey
		}
		p.units[j.at] |= bits
		if !fresh {
			continue
		}
		for _, e := range edges {
			if e.label == 0 {
				p.use(base, unitValue|e.to)
			} else {
				p.use(base^uint32(e.label), uint32(e.label))
			}
		}
		for i := len(edges) - 1; i >= 0; i-- {
			if edges[i].label != 0 {
				jobs = append(jobs, job{int32(edges[i].to), base ^ uint32(edges[i].label)})
			}
		}
	}
	return nil
}
