package tokenizer

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// RuleNames lists the rules that [NormalizationRule] knows, with SentencePiece's names.
var RuleNames = []string{"nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"}

var rules = map[string]func() ([]byte, error){}

func init() {
	for _, name := range RuleNames {
		rules[name] = sync.OnceValues(func() ([]byte, error) { return buildRule(name) })
	}
}

// NormalizationRule gives the precompiled charsmap of a rule: NFKC, with "nmt" also special spaces and control characters, with "cf"
// also case folding. They are made of Unicode's own tables.
func NormalizationRule(name string) ([]byte, error) {
	f, ok := rules[name]
	if !ok {
		return nil, fmt.Errorf("unknown normalization rule %q (%v)", name, RuleNames)
	}
	return f()
}

func buildRule(name string) ([]byte, error) {
	if name == "identity" {
		return nil, nil
	}
	m := nfkcMap()
	if name == "nmt_nfkc" || name == "nmt_nfkc_cf" {
		nmt(m)
	}
	if name == "nfkc_cf" || name == "nmt_nfkc_cf" {
		fold := cases.Fold()
		for k, v := range m {
			m[k] = fold.String(v)
		}
		for r := rune(1); r <= unicode.MaxRune; r++ {
			if s := string(r); m[s] == "" && valid(r) {
				if f := fold.String(s); f != s {
					if _, gone := m[s]; !gone {
						m[s] = f
					}
				}
			}
		}
	}
	return BuildCharsMap(m)
}

func valid(r rune) bool { return r < 0xd800 || r > 0xdfff }

// nfkcMap maps what is not in NFKC to what is: single characters, and the decompositions that compose to one.
func nfkcMap() map[string]string {
	m := map[string]string{}
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !valid(r) || norm.NFKD.QuickSpanString(string(r)) == len(string(r)) {
			continue
		}
		s := string(r)
		c := norm.NFKC.String(s)
		if c != s {
			m[s] = c
		}
		for _, d := range []string{norm.NFKD.String(s), norm.NFD.String(s)} {
			if d != c {
				m[d] = c
			}
		}
	}
	return m
}

// nmt adds the rules of SentencePiece's default normaliser: control characters go, special spaces become spaces.
func nmt(m map[string]string) {
	for _, r := range []rune{0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7, 0x8, 0xb, 0xe, 0xf, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19,
		0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x7f, 0x8f, 0x9f} {
		m[string(r)] = ""
	}
	for _, r := range []rune{0x9, 0xa, 0xc, 0xd, 0x1680, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd} {
		m[string(r)] = " "
	}
	delete(m, "\uff5e") // the full-width tilde stays
}

// BuildCharsMap compiles replacements: the bytes of a model's precompiled_charsmap.
func BuildCharsMap(m map[string]string) ([]byte, error) {
	keys := slices.Sorted(maps.Keys(m))
	var text []byte
	places := map[string]uint32{}
	values := make([]uint32, len(keys))
	for i, k := range keys {
		if k == "" {
			return nil, fmt.Errorf("a replacement of nothing")
		}
		v := m[k]
		at, ok := places[v]
		if !ok {
			at = uint32(len(text))
			places[v] = at
			text = append(append(text, v...), 0)
		}
		values[i] = at
	}
	units := newDoubleArray(keys, values)
	if len(units) > 1<<21 {
		return nil, fmt.Errorf("a trie of %d units: too large", len(units))
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		out = binary.LittleEndian.AppendUint32(out, u)
	}
	return append(out, text...), nil
}

// newDoubleArray makes the trie of sorted keys in darts-clone's layout: the children of a node lie at base^label, each node with a
// base of its own; a unit has its label in the low byte, bit 8 if a key ends there, and the distance to its base above bit 10.
func newDoubleArray(keys []string, values []uint32) []uint32 {
	units := make([]uint32, 1024)
	used, based := make([]bool, 1024), make([]bool, 1024)
	grow := func(n int) {
		for n >= len(units) {
			units = append(units, make([]uint32, len(units))...)
			used = append(used, make([]bool, len(used))...)
			based = append(based, make([]bool, len(based))...)
		}
	}
	used[0] = true
	free := 1
	type job struct{ at, from, to, depth int }
	stack := []job{{0, 0, len(keys), 0}}
	last := 0
	for len(stack) > 0 {
		j := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		var labels []byte
		var starts []int
		for i := j.from; i < j.to; i++ {
			b := byte(0) // the key's end
			if len(keys[i]) > j.depth {
				b = keys[i][j.depth]
			}
			if len(labels) == 0 || labels[len(labels)-1] != b {
				labels, starts = append(labels, b), append(starts, i)
			}
		}
		starts = append(starts, j.to)
		for used[free] {
			if free++; free == len(used) {
				grow(free)
			}
		}
		base := free ^ int(labels[0])
	search:
		for n := free; ; n++ {
			grow(n | 255)
			base = n ^ int(labels[0])
			if based[base] {
				continue
			}
			for _, b := range labels {
				if used[base^int(b)] {
					continue search
				}
			}
			break
		}
		based[base] = true
		units[j.at] |= uint32(base^j.at) << 10
		for i, b := range labels {
			child := base ^ int(b)
			used[child] = true
			last = max(last, child)
			if b == 0 {
				units[j.at] |= 1 << 8
				units[child] = values[starts[i]] | 1<<31
				continue
			}
			units[child] = uint32(b)
			stack = append(stack, job{child, starts[i], starts[i+1], j.depth + 1})
		}
	}
	return units[:(last|255)+1]
}
