package tokenizer

import (
	"slices"
	"strconv"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"albert/internal/text/pystring"
)

func TestCharactersAreThoseOfPython(t *testing.T) {
	type python struct {
		Unicode   string     `json:"unicode"`
		Known     [][2]rune  `json:"known"`
		Space     [][2]rune  `json:"space"`
		Digit     [][2]rune  `json:"digit"`
		Combining [][2]rune  `json:"combining"`
		Lower     [][2]any   `json:"lower"`
		Sigma     [][]string `json:"sigma"`
	}
	r := rows[python](t, "python.jsonl")
	in := func(ranges [][2]rune, r rune) bool {
		_, ok := slices.BinarySearchFunc(ranges, r, func(a [2]rune, r rune) int {
			switch {
			case a[1] < r:
				return -1
			case a[0] > r:
				return 1
			}
			return 0
		})
		return ok
	}
	lower := map[rune]string{}
	for _, l := range r[1].Lower {
		cp, err := strconv.ParseInt(l[0].(string), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		s := ""
		for _, c := range l[1].([]any) {
			v, err := strconv.ParseInt(c.(string), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			s += string(rune(v))
		}
		lower[rune(cp)] = s
	}
	for c := rune(0); c <= utf8.MaxRune; c++ {
		if !in(r[0].Known, c) || !utf8.ValidRune(c) {
			continue
		}
		if got, want := pystring.IsSpace(c), in(r[0].Space, c); got != want {
			t.Errorf("%U: space %v, want %v", c, got, want)
		}
		if got, want := pystring.IsDigit(c), in(r[0].Digit, c); got != want {
			t.Errorf("%U: digit %v, want %v", c, got, want)
		}
		if got, want := norm.NFKD.PropertiesString(string(c)).CCC() != 0, in(r[0].Combining, c); got != want {
			t.Errorf("%U: combining %v, want %v", c, got, want)
		}
		want, changes := lower[c]
		if !changes {
			want = string(c)
		}
		if got := pystring.LowerRune(c); got != want {
			t.Errorf("%U: lower case %q, want %q", c, got, want)
		}
	}
	for _, s := range r[2].Sigma {
		var in, out normal
		in.text = []byte(s[0])
		lowerText(&in, &out)
		if string(out.text) != s[1] {
			t.Errorf("%q (%+q): lower case %q, want %q", s[0], s[0], out.text, s[1])
		}
	}
}
