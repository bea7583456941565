package tokenizer

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Text is a text cut into pieces, special ones not added.
type Text struct {
	IDs []int32
	// Offsets are the code points [begin, end) of the text as given that each piece stands for, without the space before it. Pieces of
	// one character ("½" is "1⁄2") have its place all; a piece that is a space alone has none: begin is end.
	Offsets [][2]int
}

// Truncation says which of two texts gives way when they are too long together, by transformers' names.
type Truncation string

// Side is the end at which a text that is too long is cut, by transformers' names (truncation_side); "" is the right one.
type Side string

// The sides.
const (
	Right Side = "right"
	Left  Side = "left"
)

// Keep gives which of n pieces are kept, [from, to), where there is room for so many: the first ones or, cut at the left, the last.
func (s Side) Keep(n, room int) (from, to int) {
	room = max(0, min(n, room))
	if s == Left {
		return n - room, n
	}
	return 0, room
}

// CutAt is the tokenizer with another side at which texts are cut; "" leaves it.
func (t *Tokenizer) CutAt(s Side) *Tokenizer {
	o := t.Options
	switch s {
	case "":
		return t
	case Right:
		o.TruncationSide = ""
	default:
		o.TruncationSide = s
	}
	return t.With(o)
}

// With LongestFirst the longer text loses its last piece until there is room, of equal ones the second. With OnlyFirst and OnlySecond
// one text loses its last pieces; one at least must be left to it. Cut at the left, texts lose their first pieces instead ([Side]).
const (
	DoNotTruncate Truncation = "do_not_truncate"
	LongestFirst  Truncation = "longest_first"
	OnlyFirst     Truncation = "only_first"
	OnlySecond    Truncation = "only_second"
)

// Encoding is one text or two as a model takes them: [CLS] A [SEP] or [CLS] A [SEP] B [SEP].
type Encoding struct {
	IDs       []int32
	Types     []int32 // token types: 1 for B and the [SEP] after it, else 0
	A, B      Part    // the texts' pieces; without a second text B is nothing
	Truncated bool    // a text has more pieces, which are in no encoding
}

// Part is a run of a text's pieces in an encoding: pieces From to To of the text begin at At.
type Part struct{ At, From, To int }

// Cut cuts a text into pieces with their places.
func (t *Tokenizer) Cut(text string) Text {
	var x Text
	add := func(id int32, from, to int) {
		x.IDs, x.Offsets = append(x.IDs, id), append(x.Offsets, [2]int{from, to})
	}
	t.parts(text, true, add, func(l *lattice, place func(int) int) { l.places(place, add) })
	inRunes(text, x.Offsets)
	return x
}

// places calls f for the pieces of the path with the bytes that they stand for, without the space before them. place gives where a byte
// of the normal form stood.
func (l *lattice) places(place func(i int) int, f func(id int32, from, to int)) {
	n := len(l.normal.text)
	for _, p := range l.path {
		from := p.from
		if rest := l.normal.text[p.from:p.to]; len(rest) >= len(space) && string(rest[:len(space)]) == space {
			from += len(space)
		}
		last := p.to - 1
		switch {
		case p.to == p.from: // a byte of a character that is more than one
			last = p.from
		case from == p.to: // a space
			f(p.id, place(from), place(from))
			continue
		}
		end := last + 1
		for end < n && place(end) == place(last) {
			end++
		}
		f(p.id, place(from), place(end))
	}
}

// inRunes changes places from bytes to code points. A byte that is no UTF-8 is one.
func inRunes(text string, places [][2]int) {
	at, runes := 0, 0
	count := func(to int) int {
		if to < at {
			at, runes = 0, 0
		}
		runes += utf8.RuneCountInString(text[at:to])
		at = to
		return runes
	}
	for i, p := range places {
		from := count(p[0])
		places[i] = [2]int{from, from + utf8.RuneCountInString(text[p[0]:p[1]])}
	}
}

// Prepare puts the special pieces around one text, or two if b is not nil, which lose pieces by how until the encoding has at most
// most pieces, special ones included; 0 is no limit. It does what the slow tokenizers of transformers do (prepare_for_model), but
// where those report an error and give more than that it fails. A text without a second one gives way with OnlyFirst and
// LongestFirst.
func (t *Tokenizer) Prepare(a Text, b *Text, most int, how Truncation) (Encoding, error) {
	na, nb, err := t.room(a, b, most, how)
	if err != nil {
		return Encoding{}, err
	}
	var pa, pb Part
	pa.From, pa.To = t.TruncationSide.Keep(len(a.IDs), na)
	if b != nil {
		pb.From, pb.To = t.TruncationSide.Keep(len(b.IDs), nb)
	}
	e := t.join(a, b, pa, pb)
	e.Truncated = na < len(a.IDs) || b != nil && nb < len(b.IDs)
	return e, nil
}

// Windows is Prepare, but no piece is lost: the text that gives way, which OnlyFirst or OnlySecond names (LongestFirst, too, if there is
// one text), goes on in a further encoding, whose part of it begins with the last overlap pieces of the one before. As in SQuAD the
// last window ends with the text. (return_overflowing_tokens with stride = overlap; SQuAD's doc_stride is the step, the window's room
// for the text less overlap.)
func (t *Tokenizer) Windows(a Text, b *Text, most, overlap int, how Truncation) ([]Encoding, error) {
	if how == LongestFirst && b != nil {
		return nil, errors.New("windows of two texts: want only_first or only_second, not longest_first")
	}
	na, nb, err := t.room(a, b, most, how)
	if err != nil {
		return nil, err
	}
	pa, pb := Part{To: na}, Part{To: nb}
	part, n := &pa, len(a.IDs)
	if how == OnlySecond && b != nil {
		part, n = &pb, len(b.IDs)
	}
	room := part.To
	if room < n && (overlap < 0 || overlap >= room) {
		return nil, fmt.Errorf("windows of %d pieces cannot overlap by %d", room, overlap)
	}
	out := []Encoding{t.join(a, b, pa, pb)}
	for part.To < n {
		part.From += room - overlap
		part.To = min(part.From+room, n)
		out = append(out, t.join(a, b, pa, pb))
	}
	return out, nil
}

// room gives how many pieces of each text are kept.
func (t *Tokenizer) room(a Text, b *Text, most int, how Truncation) (na, nb int, err error) {
	if t.CLS < 0 || t.SEP < 0 {
		return 0, 0, errors.New("the tokenizer has no pieces [CLS] and [SEP]")
	}
	na, specials := len(a.IDs), 2
	if b != nil {
		nb, specials = len(b.IDs), 3
	}
	switch how {
	case LongestFirst, OnlyFirst, OnlySecond, DoNotTruncate:
	default:
		return 0, 0, fmt.Errorf("truncation %q: want %s, %s, %s or %s", how, LongestFirst, OnlyFirst, OnlySecond, DoNotTruncate)
	}
	over := na + nb + specials - most
	if most <= 0 || over <= 0 || how == DoNotTruncate {
		return na, nb, nil
	}
	if specials > most {
		return 0, 0, fmt.Errorf("at most %d pieces: the special ones alone are %d", most, specials)
	}
	short := func(which string, n int) error {
		return fmt.Errorf("%d pieces are too many, the %s text has only %d (%s, at most %d in all)", over, which, n, how, most)
	}
	switch {
	case how == OnlySecond && b == nil:
		return 0, 0, errors.New("only_second: there is one text")
	case how == OnlySecond:
		if nb <= over {
			return 0, 0, short("second", nb)
		}
		return na, nb - over, nil
	case how == OnlyFirst || b == nil:
		if na <= over {
			return 0, 0, short("first", na)
		}
		return na - over, nb, nil
	}
	na, nb = Shares(na, nb, most-specials)
	return na, nb, nil
}

// Shares is how many pieces are kept of two texts of a and b pieces where there is room for fewer: the longer one gives, the second of
// two that are equal, which comes to one piece after the other.
func Shares(a, b, room int) (int, int) {
	over := a + b - room
	if over <= 0 {
		return a, b
	}
	if a > b {
		d := min(over, a-b)
		a, over = a-d, over-d
	} else {
		d := min(over, b-a)
		b, over = b-d, over-d
	}
	return a - over/2, b - (over - over/2)
}

func (t *Tokenizer) join(a Text, b *Text, pa, pb Part) Encoding {
	n := pa.To - pa.From + 2
	if b != nil {
		n += pb.To - pb.From + 1
	}
	e := Encoding{IDs: make([]int32, 0, n), Types: make([]int32, n), A: pa, B: pb}
	add := func(x Text, p *Part) {
		p.At = len(e.IDs)
		e.IDs = append(append(e.IDs, x.IDs[p.From:p.To]...), t.SEP)
	}
	e.IDs = append(e.IDs, t.CLS)
	add(a, &e.A)
	if b == nil {
		return e
	}
	add(*b, &e.B)
	for i := e.B.At; i < n; i++ {
		e.Types[i] = 1
	}
	return e
}
