package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"albert/internal/text/pystring"
)

// cleaner is the work of cleaning up one text.
type cleaner struct {
	lower normal // the text with lower-case letters
	part  normal // a part of it, cleaned up
	swap  normal
}

// Clean is ALBERT's clean-up of a text without special tokens: spaces collapsed and trimmed, “ and ” written as two ` or two ' made
// ", compatibility decomposition without combining characters unless accents are kept, lower case. (AlbertTokenizer.preprocess_text
// after the lower-casing of PreTrainedTokenizer.tokenize.)
func (o Options) Clean(s string) string {
	var c cleaner
	o.lowerRunes(s, nil, &c.lower)
	o.clean(&c, 0, len(c.lower.text))
	return string(c.part.text)
}

// lowerRunes makes every character of s lower-case on its own, if o says so, but leaves special tokens as they are. A byte that is no
// UTF-8 becomes U+FFFD.
func (o Options) lowerRunes(s string, specials []special, out *normal) {
	out.text, out.from = out.text[:0], out.from[:0]
	for i := 0; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			if b == '[' || b == '<' {
				if sp := specialAt(s[i:], specials); sp != nil {
					out.copy(sp.text, i)
					i += len(sp.text)
					continue
				}
			}
			if o.Lower && 'A' <= b && b <= 'Z' {
				b += 'a' - 'A'
			}
			out.text = append(out.text, b)
			if out.aligned {
				out.from = append(out.from, i)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out.add("\uFFFD", i)
		case o.Lower:
			out.add(pystring.LowerRune(r), i)
		default:
			out.add(s[i:i+n], i)
		}
		i += n
	}
	if out.aligned {
		out.from = append(out.from, len(s))
	}
}

// clean cleans up c.lower[from:to] into c.part, whose places are those of the text as given.
func (o Options) clean(c *cleaner, from, to int) {
	in, out := &c.lower, &c.part
	out.aligned = in.aligned
	out.text, out.from = out.text[:0], out.from[:0]
	text := in.text[from:to]
	place := func(i int) int {
		if !in.aligned {
			return 0
		}
		return in.from[from+i]
	}
	end := len(text) // of what is not trimmed
	gap := -1        // where the spaces before i began
	inside := false  // something that is no space came before
	capitals := false
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(text[i:])
		}
		if o.RemoveSpace && pystring.IsSpace(r) {
			if gap < 0 {
				gap = i
			}
			i += n
			continue
		}
		if gap >= 0 {
			if inside {
				out.add(" ", place(gap))
			}
			gap = -1
		}
		inside = true
		switch {
		case (r == '`' || r == '\'') && i+1 < len(text) && text[i+1] == text[i]:
			out.add(`"`, place(i))
			n = 2
		case r < utf8.RuneSelf:
			out.text = append(out.text, byte(r))
			if out.aligned {
				out.from = append(out.from, place(i))
			}
		case o.KeepAccents:
			out.addBytes(text[i:i+n], place(i))
		default:
			capitals = out.decompose(text[i:i+n], place(i)) || capitals
		}
		i += n
	}
	if gap >= 0 {
		end = gap
	}
	if out.aligned {
		out.from = append(out.from, place(end))
	}
	if o.Lower && capitals {
		c.swap, c.part = c.part, c.swap
		lowerText(&c.swap, &c.part)
	}
}

// decompose appends the compatibility decomposition of a character without combining characters, and tells whether some of it has a
// lower-case form.
func (out *normal) decompose(char []byte, from int) (capitals bool) {
	d := char
	p := norm.NFKD.Properties(char)
	switch full := p.Decomposition(); {
	case full != nil:
		d = full
	case isHangul(char):
		d = norm.NFKD.Bytes(char)
	}
	for len(d) > 0 {
		r, n := utf8.DecodeRune(d)
		if norm.NFKD.Properties(d).CCC() == 0 {
			out.addBytes(d[:n], from)
			capitals = capitals || unicode.ToLower(r) != r
		}
		d = d[n:]
	}
	return capitals
}

func isHangul(char []byte) bool {
	r, _ := utf8.DecodeRune(char)
	return r >= hangulS && r < hangulS+hangulSs
}

// lowerText is str.lower of a whole text.
func lowerText(in, out *normal) {
	out.text, out.from, out.aligned = out.text[:0], out.from[:0], in.aligned
	for i := 0; i < len(in.text); {
		r, n := utf8.DecodeRune(in.text[i:])
		lower := ""
		if r == 'Σ' {
			lower = string(pystring.LowerSigma(in.text, i))
		} else {
			lower = pystring.LowerRune(r)
		}
		from := 0
		if in.aligned {
			from = in.from[i]
		}
		out.add(lower, from)
		i += n
	}
	if in.aligned {
		out.from = append(out.from, in.from[len(in.text)])
	}
}

// special is a token that is recognised where it is written in a text.
type special struct {
	text    string
	id      int32
	trimmed bool // the spaces before it belong to it
}

// specialAt gives the special token that s begins with.
func specialAt[S string | []byte](s S, specials []special) *special {
	for i := range specials {
		if n := len(specials[i].text); len(s) >= n && string(s[:n]) == specials[i].text {
			return &specials[i]
		}
	}
	return nil
}
