package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"albert/internal/text/pystring"
)

// cleaner holds the buffers for cleaning up one text.
type cleaner struct {
	lower normal // the text with lower-case letters
	part  normal // a part of it, cleaned up
	parts []part // the text cut at added tokens
	swap  normal // room for making a part lower-case
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

// lowerRunes makes each character of s lower-case on its own, if o.Lower is set, but leaves some added tokens as they are. A byte that is no
// UTF-8 becomes U+FFFD.
func (o Options) lowerRunes(s string, added *finder, out *normal) {
	out.text, out.from = out.text[:0], out.from[:0]
	for i := 0; i < len(s); {
		if b := s[i]; !out.aligned && b < utf8.RuneSelf && (added == nil || !added.first[b]) {
			if o.Lower && 'A' <= b && b <= 'Z' {
				b += 'a' - 'A'
			}
			out.text = append(out.text, b)
			i++
			continue
		}
		if kept := added.keptAt(s[i:]); kept != "" {
			out.copy(kept, i)
			i += len(kept)
			continue
		}
		if b := s[i]; b < utf8.RuneSelf {
			if o.Lower && 'A' <= b && b <= 'Z' {
				b += 'a' - 'A'
			}
			out.addByte(b, i)
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
	out.end(len(s))
}

// clean cleans up c.lower.text[from:to] into c.part, whose offsets are those of the original text.
func (o Options) clean(c *cleaner, from, to int) {
	in, out := &c.lower, &c.part
	out.aligned = in.aligned
	out.text, out.from = out.text[:0], out.from[:0]
	text := in.text[from:to]
	offset := func(i int) int { return in.place(from + i) }
	end := len(text)  // where trailing spaces begin
	gap := -1         // where the spaces before i begin; -1: there are none
	inside := false   // something other than a space came before
	capitals := false // a decomposition has capital letters, or a token was left as it was
	for i := 0; i < len(text); {
		r, n := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(text[i:])
		}
		if o.RemoveSpace && (r <= ' ' || r > '~') && pystring.IsSpace(r) {
			if gap < 0 {
				gap = i
			}
			i += n
			continue
		}
		if gap >= 0 {
			if inside {
				out.add(" ", offset(gap))
			}
			gap = -1
		}
		inside = true
		switch {
		case (r == '`' || r == '\'') && i+1 < len(text) && text[i+1] == text[i]:
			out.add(`"`, offset(i))
			n = 2
		case r < utf8.RuneSelf:
			capitals = capitals || 'A' <= r && r <= 'Z'
			out.addByte(byte(r), offset(i))
		case o.KeepAccents:
			capitals = capitals || unicode.ToLower(r) != r
			out.add(string(text[i:i+n]), offset(i))
		default:
			capitals = out.decompose(text[i:i+n], offset(i)) || capitals
		}
		i += n
	}
	if gap >= 0 {
		end = gap
	}
	out.end(offset(end))
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
	case p.Size() == len("가") && !norm.NFKD.IsNormal(char): // Hangul, which is decomposed by arithmetic
		d = norm.NFKD.Bytes(char)
	}
	for len(d) > 0 {
		r, n := utf8.DecodeRune(d)
		if norm.NFKD.Properties(d).CCC() == 0 {
			out.add(string(d[:n]), from)
			capitals = capitals || unicode.ToLower(r) != r
		}
		d = d[n:]
	}
	return capitals
}

// lowerText is Python's str.lower of a whole text.
func lowerText(in, out *normal) {
	out.text, out.from, out.aligned = out.text[:0], out.from[:0], in.aligned
	for i := 0; i < len(in.text); {
		r, n := utf8.DecodeRune(in.text[i:])
		lower := pystring.LowerRune(r)
		if r == 'Σ' {
			lower = string(pystring.LowerSigma(in.text, i))
		}
		out.add(lower, in.place(i))
		i += n
	}
	out.end(in.place(len(in.text)))
}
