package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// charsMap is a model's compiled replacements: a trie of texts whose values are offsets into text, where the replacement stands, ended
// by a zero byte.
type charsMap struct {
	trie doubleArray
	text string
}

// maxRules and maxUserDefined bound how many of the rules and user-defined pieces that a text begins with are looked at, shortest first: the
// limits of the C++ library, which change what a model with more of them does.
const (
	maxRules       = 32
	maxUserDefined = 64
)

// parseCharsMap reads a precompiled charsmap: the length of the trie in bytes, the trie, the texts. An empty one has no rules.
func parseCharsMap(b []byte) (charsMap, error) {
	if len(b) == 0 {
		return charsMap{}, nil
	}
	if len(b) <= 4 {
		return charsMap{}, errors.New("the charsmap is cut short")
	}
	n := binary.LittleEndian.Uint32(b)
	if n < 1024 || n%1024 != 0 || uint64(n) >= uint64(len(b)-4) {
		return charsMap{}, fmt.Errorf("a trie of %d bytes in a charsmap of %d", n, len(b))
	}
	c := charsMap{trie: make(doubleArray, n/4), text: string(b[4+n:])}
	_, _ = binary.Decode(b[4:], binary.LittleEndian, []uint32(c.trie)) // there are as many
	if c.text[len(c.text)-1] != 0 {
		return charsMap{}, errors.New("the charsmap's last text has no end")
	}
	if err := c.trie.check(len(c.text)); err != nil {
		return charsMap{}, fmt.Errorf("the charsmap's trie: %w", err)
	}
	return c, nil
}

// longest finds the longest rule that s begins with: the replacement, and how many bytes of s it replaces; 0 if there is no rule.
func (c *charsMap) longest(s string) (replacement string, n int) {
	at, n := c.trie.longest(s, maxRules)
	if n == 0 {
		return "", 0
	}
	replacement = c.text[at:]
	return replacement[:strings.IndexByte(replacement, 0)], n
}

// BuildCharsMap compiles replacements of texts by texts into the bytes of [Normalizer].CharsMap. It is a pure function of m. A text
// must not be empty, have a zero byte, or begin with 31 or more of the others. Without rules the result is empty.
func BuildCharsMap(m map[string]string) ([]byte, error) {
	if len(m) == 0 {
		return nil, nil
	}
	keys := slices.Sorted(maps.Keys(m))
	if keys[0] == "" {
		return nil, errors.New("a charsmap replaces no empty text")
	}
	var prefixes []string // the keys that this key begins with, and itself
	offsets := map[string]uint32{}
	for _, k := range keys {
		for len(prefixes) > 0 && !strings.HasPrefix(k, prefixes[len(prefixes)-1]) {
			prefixes = prefixes[:len(prefixes)-1]
		}
		if prefixes = append(prefixes, k); len(prefixes) >= maxRules {
			return nil, fmt.Errorf("charsmap: %q begins with %d other texts that are replaced", k, len(prefixes)-1)
		}
		v := m[k]
		if strings.IndexByte(k, 0) >= 0 || strings.IndexByte(v, 0) >= 0 {
			return nil, fmt.Errorf("charsmap: a zero byte in %q or in %q, which replaces it", k, v)
		}
		offsets[v] = 0
	}
	var text []byte
	for _, v := range slices.Sorted(maps.Keys(offsets)) {
		offsets[v] = uint32(len(text))
		text = append(append(text, v...), 0)
	}
	trieKeys := make([]trieKey, 0, len(m))
	for k, v := range m {
		trieKeys = append(trieKeys, newTrieKey(k, offsets[v]))
	}
	trie, err := newDoubleArray(trieKeys, true)
	if err != nil {
		return nil, fmt.Errorf("charsmap: %w", err)
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(4*len(trie)))
	out, err = binary.Append(out, binary.LittleEndian, []uint32(trie))
	return append(out, text...), err
}
