package task

import (
	"slices"
	"testing"

	"albert/tokenizer"
)

// Windows leave no piece out, are no longer than allowed, and overlap by half.
func TestLongTextsLoseNothing(t *testing.T) {
	tok := &tokenizer.Tokenizer{CLS: 2, SEP: 3}
	pieces := func(from, n int) []int32 {
		list := []int32{}
		for i := range n {
			list = append(list, int32(from+i))
		}
		return list
	}
	for _, c := range []struct{ a, b, most, windows int }{{0, -1, 8, 1}, {6, -1, 8, 1}, {7, -1, 8, 2}, {30, -1, 8, 9}, {3, 2, 8, 1}, {30, 2, 12, 9},
		{2, 30, 12, 9}, {30, 20, 12, 14}, {4, 0, 4, 4}, {9, -1, 3, 9}} {
		a, b := pieces(100, c.a), pieces(1000, max(0, c.b))
		if c.b < 0 {
			b = nil
		}
		list, err := LayoutLong(tok, a, b, c.most)
		if err != nil || len(list) != c.windows {
			t.Errorf("%+v: %d windows, %v", c, len(list), err)
		}
		seen := map[int32]bool{}
		for _, in := range list {
			if len(in.IDs) > c.most || in.IDs[0] != 2 || in.IDs[len(in.IDs)-1] != 3 || len(in.Types) != len(in.IDs) {
				t.Errorf("%+v: %v", c, in)
			}
			for i, id := range in.IDs {
				seen[id] = true
				if id >= 1000 && in.Types[i] != 1 || id >= 100 && id < 1000 && in.Types[i] != 0 {
					t.Errorf("%+v: type %d of piece %d", c, in.Types[i], id)
				}
			}
		}
		longer := a
		if c.b > c.a {
			longer = b
		}
		for _, id := range longer {
			if !seen[id] {
				t.Errorf("%+v: piece %d is in no window", c, id)
			}
		}
	}
	if list, err := LayoutLong(tok, pieces(0, 30), pieces(0, 20), 12); err != nil || !list[0].Truncated {
		t.Error("a cut second text is not said to be")
	}
	if list, err := LayoutLong(tok, pieces(0, 30), nil, 12); err != nil || slices.ContainsFunc(list, func(in tokenizer.Encoding) bool { return in.Truncated }) {
		t.Error("windows over the whole text are said to be cut")
	}
}

func TestContinuations(t *testing.T) {
	for _, c := range []struct {
		question string
		want     []string
	}{{"Why?", []string{"Why? a", "Why? b"}}, {"It _ and _ .", []string{"It a and a .", "It b and b ."}}, {"It \uff3f.", []string{"It a.", "It b."}},
		{"", []string{"a", "b"}}} {
		if got := Continuations(c.question, []string{"a", "b"}); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.question, got, c.want)
		}
	}
}
