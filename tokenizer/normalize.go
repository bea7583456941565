package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// space is how a space stands in pieces.
const space = "\u2581"

// charsMap is a compiled map of texts to replacements: a double-array trie in the layout of the darts-clone library, whose values
// are places in text, where the replacement ends with a zero byte.
type charsMap struct {
	units []uint32
	text  []byte
}

// splitCharsMap cuts a precompiled map: the length of the trie, the trie, the texts.
func splitCharsMap(b []byte) (units, text []byte, err error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	if len(b) < 4 {
		return nil, nil, errors.New("normalizer: the charsmap is cut short")
	}
	n := binary.LittleEndian.Uint32(b)
	if n%4 != 0 || uint64(n) > uint64(len(b)-4) || n < 1024 {
		return nil, nil, fmt.Errorf("normalizer: a trie of %d bytes in a charsmap of %d", n, len(b))
	}
	text = b[4+n:]
	if len(text) > 0 && text[len(text)-1] != 0 {
		return nil, nil, errors.New("normalizer: the charsmap's last text has no end")
	}
	return b[4 : 4+n], text, nil
}

func newCharsMap(b []byte) *charsMap {
	u, text, _ := splitCharsMap(b) // checked when the model was read
	c := &charsMap{units: make([]uint32, len(u)/4), text: text}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(u[4*i:])
	}
	return c
}

func unitOffset(u uint32) uint32 { return u >> 10 << (u & (1 << 9) >> 6) }

// longest finds the longest prefix of s that has a replacement; n is 0 if none has.
func (c *charsMap) longest(s string) (replacement []byte, n int) {
	if len(c.units) == 0 {
		return nil, 0
	}
	at := unitOffset(c.units[0])
	value := uint32(0)
	for i := range len(s) {
		at ^= uint32(s[i])
		if int(at) >= len(c.units) {
			break
		}
		u := c.units[at]
		if u&(1<<31|0xff) != uint32(s[i]) {
			break
		}
		at ^= unitOffset(u)
		if u>>8&1 == 1 && int(at) < len(c.units) {
			n, value = i+1, c.units[at]&(1<<31-1)
		}
	}
	if n == 0 || int(value) >= len(c.text) {
		return nil, 0
	}
	end := int(value)
	for c.text[end] != 0 {
		end++
	}
	return c.text[value:end], n
}

// normalized is a text in normal form and where each of its bytes, and its end, stood in the text as given.
type normalized struct {
	text []byte
	from []int32
}

func (n *normalized) add(s string, from int) {
	n.text = append(n.text, s...)
	for range len(s) {
		n.from = append(n.from, int32(from))
	}
}

// prefix gives what the first characters of s become, and how many bytes they are.
func (e *Encoder) prefix(s string) (string, int) {
	if n := e.userDefined(s); n > 0 {
		return s[:n], n
	}
	if r, n := e.charsMap.longest(s); n > 0 {
		return string(r), n
	}
	if s[0] < utf8.RuneSelf {
		return s[:1], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return "\uFFFD", 1
	}
	return s[:n], n
}

// normalize brings text into the model's normal form.
func (e *Encoder) normalize(s string, out *normalized) {
	spec := &e.model.Normalizer
	out.text, out.from = out.text[:0], out.from[:0]
	at := 0
	if spec.RemoveExtraWhitespaces {
		for at < len(s) {
			r, n := e.prefix(s[at:])
			if r != " " {
				break
			}
			at += n
		}
	}
	if at == len(s) {
		out.from = append(out.from, int32(at))
		return
	}
	blank := " "
	if spec.EscapeWhitespaces {
		blank = space
	}
	if spec.AddDummyPrefix {
		out.add(blank, at)
	}
	afterSpace := spec.RemoveExtraWhitespaces
	for at < len(s) {
		r, n := e.prefix(s[at:])
		if afterSpace {
			r = strings.TrimLeft(r, " ")
		}
		if r != "" {
			afterSpace = r[len(r)-1] == ' '
			for {
				i := strings.IndexByte(r, ' ')
				if i < 0 {
					break
				}
				out.add(r[:i], at)
				out.add(blank, at)
				r = r[i+1:]
			}
			out.add(r, at)
		}
		at += n
		if !spec.RemoveExtraWhitespaces {
			afterSpace = false
		}
	}
	if spec.RemoveExtraWhitespaces {
		for strings.HasSuffix(string(out.text), blank) {
			n := len(out.text) - len(blank)
			at = int(out.from[n])
			out.text, out.from = out.text[:n], out.from[:n]
		}
	}
	out.from = append(out.from, int32(at))
}

// Normalized is a text in the model's normal form.
func (e *Encoder) Normalized(s string) string {
	var n normalized
	e.normalize(s, &n)
	return string(n.text)
}
