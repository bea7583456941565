package tokenizer

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

type prepareRow struct {
	Request struct {
		A       string     `json:"a"`
		B       *string    `json:"b"`
		Most    int        `json:"max"`
		How     Truncation `json:"how"`
		Overlap *int       `json:"overlap"`
	} `json:"request"`
	Want []struct {
		IDs     []int32  `json:"ids"`
		Types   []int32  `json:"types"`
		Offsets [][2]int `json:"offsets"`
	} `json:"want"`
}

func TestPairsAreThoseOfTransformers(t *testing.T) {
	tok := newGolden(t, "albert", DefaultOptions)
	windows, failed := 0, 0
	for _, row := range rows[prepareRow](t, "prepare.jsonl") {
		q := row.Request
		a := tok.Cut(q.A)
		var b *Text
		if q.B != nil {
			second := tok.Cut(*q.B)
			b = &second
		}
		var got []Encoding
		var err error
		if q.Overlap != nil {
			got, err = tok.Windows(a, b, q.Most, *q.Overlap, q.How)
			windows += len(got)
		} else {
			got = make([]Encoding, 1)
			got[0], err = tok.Prepare(a, b, q.Most, q.How)
		}
		if len(row.Want) == 0 {
			failed++
			if err == nil {
				t.Errorf("%+v: transformers reports an error, here is none", q)
			}
			continue
		}
		if err != nil || len(got) != len(row.Want) {
			t.Errorf("%+v: %d encodings, want %d: %v", q, len(got), len(row.Want), err)
			continue
		}
		for i, want := range row.Want {
			e := got[i]
			if !slices.Equal(e.IDs, want.IDs) || !slices.Equal(e.Types, want.Types) {
				t.Errorf("%+v:\n%v %v, want\n%v %v", q, e.IDs, e.Types, want.IDs, want.Types)
				continue
			}
			// The fast tokenizer, whose places these are, counts the space before [MASK] to it, gives a space alone the place of what
			// comes next, and of two signs that make a double quote the last.
			for j, p := range want.Offsets {
				if s := tok.Piece(e.IDs[j]); s != space && s != "[MASK]" && s != `"` && offset(e, a, b, j) != p {
					t.Errorf("%+v: %s stands at %v, want %v", q, s, offset(e, a, b, j), p)
				}
			}
			for _, p := range []struct {
				of   Part
				text Text
			}{{e.A, a}, {e.B, deref(b)}} {
				n := p.of.To - p.of.From
				if !slices.Equal(e.IDs[p.of.At:p.of.At+n], p.text.IDs[p.of.From:p.of.To]) {
					t.Errorf("%+v: %+v is not where the text's pieces are", q, p.of)
				}
			}
		}
	}
	if windows < 40 || failed < 10 {
		t.Errorf("%d windows, %d failures: the golden file has too few", windows, failed)
	}
}

// offset is where piece i of an encoding stands in its own text; 0, 0 for a special piece.
func offset(e Encoding, a Text, b *Text, i int) [2]int {
	for _, p := range []struct {
		of   Part
		text Text
	}{{e.A, a}, {e.B, deref(b)}} {
		if at := i - p.of.At + p.of.From; i >= p.of.At && at < p.of.To {
			return p.text.Offsets[at]
		}
	}
	return [2]int{}
}

func deref(x *Text) Text {
	if x == nil {
		return Text{}
	}
	return *x
}

func TestTruncationRefusesWhatItCannotDo(t *testing.T) {
	tok := newGolden(t, "albert", DefaultOptions)
	a, b := tok.Cut("the river and the bridge"), tok.Cut("a window")
	for _, c := range []struct {
		b       *Text
		most    int
		overlap int
		how     Truncation
		want    string
	}{
		{nil, 8, -1, "longest", `truncation "longest"`},
		{&b, 2, -1, LongestFirst, "the special ones alone are 3"},
		{nil, 2, -1, LongestFirst, "the first text has only"},
		{nil, 4, -1, OnlySecond, "there is one text"},
		{&b, 5, -1, OnlySecond, "the second text has only"},
		{&b, 4, -1, OnlyFirst, "the first text has only"},
		{&b, 8, 0, LongestFirst, "want only_first or only_second"},
		{nil, 5, 3, OnlyFirst, "cannot overlap by 3"},
	} {
		var err error
		if c.overlap >= 0 {
			_, err = tok.Windows(a, c.b, c.most, c.overlap, c.how)
		} else {
			_, err = tok.Prepare(a, c.b, c.most, c.how)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := newGolden(t, "identity", DefaultOptions).Prepare(Text{}, nil, 0, LongestFirst); err == nil {
		t.Error("a tokenizer without [CLS] makes pairs")
	}
}

func TestWindowsCoverTheText(t *testing.T) {
	tok := newGolden(t, "albert", DefaultOptions)
	question, context := tok.Cut("which river?"), tok.Cut(strings.Repeat("the river and the mountain. ", 20))
	step := 7
	most := 30
	room := most - len(question.IDs) - 3
	windows, err := tok.Windows(question, &context, most, room-step, OnlySecond)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range windows {
		if w.B.From != i*step || w.A.To != len(question.IDs) || len(w.IDs) > most {
			t.Errorf("window %d: %+v", i, w)
		}
		if last := i == len(windows)-1; (w.B.To == len(context.IDs)) != last || !last && len(w.IDs) != most {
			t.Errorf("window %d of %d: %+v", i, len(windows), w.B)
		}
	}
}

func TestPlacesSurviveTheCleanup(t *testing.T) {
	tok := newGolden(t, "albert", DefaultOptions)
	text := "  Ünder\u0301  ``the''\tRIVER ½, (ﬁnal) [MASK] İ \u3000end"
	runes := []rune(text)
	x := tok.Cut(text)
	var got []string
	for i, id := range x.IDs {
		if p := x.Offsets[i]; tok.Piece(id) != space {
			got = append(got, string(runes[p[0]:p[1]]))
		}
	}
	all := strings.Join(got, "|")
	for _, want := range []string{"``|t|h|e|''|", "|[MASK]|", "½|", "(|ﬁ"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	if !strings.HasPrefix(all, "Ü") && !strings.HasPrefix(all, "Ünder\u0301") {
		t.Error(all)
	}
	for _, row := range rows[goldenText](t, "hf-default.jsonl") {
		checkPlaces(t, tok, row.Text)
	}
	for _, name := range []string{"bytes", "suffix", "fold", "custom"} {
		tok := newGolden(t, name, Options{Cleanup: CleanupNone})
		for _, row := range rows[goldenText](t, "hf-default.jsonl") {
			checkPlaces(t, tok, row.Text)
		}
	}
	window := tok.Cut("a window")
	if e, err := tok.Prepare(tok.Cut("the river"), &window, 0, LongestFirst); err != nil ||
		!reflect.DeepEqual(e.Types, append(make([]int32, e.B.At), slices.Repeat([]int32{1}, len(e.IDs)-e.B.At)...)) {
		t.Error(e, err)
	}
}
