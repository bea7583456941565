package tokenizer

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// space is the sign for a space in pieces, U+2581.
const space = "\u2581"

// normalizer brings text into a model's normal form.
type normalizer struct {
	charsMap
	user doubleArray // user-defined pieces, which stay as they are

	blank       string // what a space becomes
	dummyPrefix bool
	dummySuffix bool
	collapse    bool                // leading, trailing and repeated spaces are left out
	plain       [utf8.RuneSelf]bool // ASCII, but for the space, that stays as it is if ASCII or nothing follows
	plainSpace  bool                // no rule changes a space if ASCII or nothing follows
	allPlain    bool                // all printable ASCII is plain, but for the space
}

func newNormalizer(spec *Normalizer, user []trieKey, suffix bool) (*normalizer, error) {
	n := &normalizer{blank: " ", dummyPrefix: spec.AddDummyPrefix && !suffix, dummySuffix: spec.AddDummyPrefix && suffix, collapse: spec.RemoveExtraWhitespaces}
	if spec.EscapeWhitespaces {
		n.blank = space
	}
	var err error
	if n.charsMap, err = parseCharsMap(spec.CharsMap); err != nil {
		return nil, err
	}
	if len(user) > 0 {
		if n.user, err = newDoubleArray(user, true); err != nil {
			return nil, err
		}
	}
	for b := range n.plain {
		n.plain[b] = b != ' ' && n.stays(byte(b))
	}
	n.plainSpace = n.stays(' ')
	n.allPlain = !slices.Contains(n.plain['!':'~'+1], false)
	return n, nil
}

// stays tells whether an ASCII character stays as it is: no rule changes it, and no rule or user-defined piece begins with it and another
// ASCII character.
func (n *normalizer) stays(b byte) bool {
	if r, l := n.charsMap.longest(string(rune(b))); l > 0 && r != string(rune(b)) {
		return false
	}
	for _, d := range []doubleArray{n.charsMap.trie, n.user} {
		if len(d) == 0 {
			continue
		}
		at, u, ok := d.step(0, d[0], b)
		if !ok {
			continue
		}
		for c := range byte(utf8.RuneSelf) {
			if _, _, ok := d.step(at, u, c); ok {
				return false
			}
		}
	}
	return true
}

// prefix gives what the first characters of s become, and how many bytes of s that is. A byte that is not UTF-8 becomes U+FFFD.
func (n *normalizer) prefix(s string) (string, int) {
	if len(n.user) > 0 {
		if _, l := n.user.longest(s, maxUserDefined); l > 0 {
			return s[:l], l
		}
	}
	if r, l := n.charsMap.longest(s); l > 0 {
		return r, l
	}
	r, l := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && l == 1 {
		return "\uFFFD", 1
	}
	return s[:l], l
}

// givesUTF8 tells whether the normal form of every text is UTF-8: the texts that replace others are. (User-defined pieces, which may not be, are
// not looked at.)
func (n *normalizer) givesUTF8() bool {
	for _, u := range n.charsMap.trie {
		if u&unitValue != 0 && !utf8.RuneStart(n.charsMap.text[u&^unitValue]) {
			return false
		}
	}
	return utf8.ValidString(n.charsMap.text)
}

// normal is a text in normal form.
type normal struct {
	text []byte
	// from is the offset of each byte in the original text, with one more entry for the end. It is filled if aligned is set.
	from    []int
	aligned bool
}

// add appends a text, all of which stands for what is at the offset from.
func (o *normal) add(s string, from int) {
	o.text = append(o.text, s...)
	if o.aligned {
		for range len(s) {
			o.from = append(o.from, from)
		}
	}
}

func (o *normal) addByte(b byte, from int) {
	o.text = append(o.text, b)
	if o.aligned {
		o.from = append(o.from, from)
	}
}

// place gives the offset in the original text of a byte, 0 if offsets are not kept.
func (o *normal) place(i int) int {
	if !o.aligned {
		return 0
	}
	return o.from[i]
}

// end notes where the original text of what was added ends.
func (o *normal) end(at int) {
	if o.aligned {
		o.from = append(o.from, at)
	}
}

// copy appends text that is the same in the original, where it begins at from.
func (o *normal) copy(s string, from int) {
	o.text = append(o.text, s...)
	if o.aligned {
		for i := range len(s) {
			o.from = append(o.from, from+i)
		}
	}
}

// normalize replaces out by the normal form of s.
func (n *normalizer) normalize(s string, out *normal) {
	out.text, out.from = out.text[:0], out.from[:0]
	at := 0
	if n.collapse {
		for at < len(s) {
			r, l := n.prefix(s[at:])
			if r != " " {
				break
			}
			at += l
		}
	}
	if at == len(s) {
		out.end(at)
		return
	}
	if n.dummyPrefix {
		out.add(n.blank, at)
	}
	afterSpace := n.collapse // spaces are left out
	for at < len(s) {
		if at, afterSpace = n.plainText(s, at, afterSpace, out); at == len(s) {
			break
		}
		r, l := n.prefix(s[at:])
		if afterSpace {
			r = strings.TrimLeft(r, " ")
		}
		if r != "" {
			afterSpace = n.collapse && r[len(r)-1] == ' '
			out.add(strings.ReplaceAll(r, " ", n.blank), at)
		}
		at += l
	}
	if n.collapse {
		for bytes.HasSuffix(out.text, []byte(n.blank)) {
			end := len(out.text) - len(n.blank)
			out.text = out.text[:end]
			if out.aligned {
				at = out.from[end]
				out.from = out.from[:end]
			}
		}
	}
	if n.dummySuffix {
		out.add(n.blank, at)
	}
	out.end(at)
}

// printable gives how many of eight bytes, from the lowest, are printable ASCII, the space left out.
func printable(eight uint64) int {
	const ones = 0x0101010101010101
	// Adding 0x80-'!' sets the highest bit of what is at least '!', adding 1 that of 0x7F. A byte that is not ASCII spoils those above it alone.
	return bits.TrailingZeros64((eight|^(eight+ones*(0x80-'!'))|(eight+ones))&(ones<<7)) / 8
}

// plainText appends what plain ASCII and spaces from s[at] on become, and gives where they end; it may stop before their end. The last
// character before one that is not ASCII is left out, for a rule may join them.
func (n *normalizer) plainText(s string, at int, afterSpace bool, out *normal) (int, bool) {
	const most = 1 << 12 // bytes of s, so that the buffer for them is not large
	end := min(len(s), at+most)
	k, blank := len(out.text), n.blank
	text := slices.Grow(out.text, max(1, len(blank))*(end-at)+8)
	text = text[:cap(text)]
	for ; at < end && s[at] < utf8.RuneSelf; at++ {
		if n.allPlain && at+8 <= len(s) {
			eight := uint64(s[at]) | uint64(s[at+1])<<8 | uint64(s[at+2])<<16 | uint64(s[at+3])<<24 |
				uint64(s[at+4])<<32 | uint64(s[at+5])<<40 | uint64(s[at+6])<<48 | uint64(s[at+7])<<56
			size := printable(eight)
			if at+size < len(s) && s[at+size] >= utf8.RuneSelf {
				size--
			}
			if size > 0 {
				binary.LittleEndian.PutUint64(text[k:], eight)
				if out.aligned {
					for i := range size {
						out.from = append(out.from, at+i)
					}
				}
				k, at, afterSpace = k+size, at+size-1, false
				continue
			}
		}
		b := s[at]
		if at+1 < len(s) && s[at+1] >= utf8.RuneSelf {
			break
		}
		size := 1
		if n.plain[b] {
			text[k] = b
			afterSpace = false
		} else if b != ' ' || !n.plainSpace {
			break
		} else if afterSpace {
			continue
		} else {
			size = copy(text[k:], blank)
			afterSpace = n.collapse
		}
		k += size
		if out.aligned {
			for range size {
				out.from = append(out.from, at)
			}
		}
	}
	out.text = text[:k]
	return at, afterSpace
}
