package tokenizer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Cut at the left, texts lose their first pieces: as many as at the right (transformers 4.57.6, AlbertTokenizer with truncation_side="left").
func TestTextsAreCutAtTheSideThatIsAsked(t *testing.T) {
	tok := newGolden(t, "albert", DefaultOptions)
	a, b := Text{IDs: []int32{10, 11, 12, 13, 14}}, Text{IDs: []int32{20, 21, 22}}
	c, s := tok.CLS, tok.SEP
	for _, x := range []struct {
		b    *Text
		most int
		how  Truncation
		want []int32
		part Part // of the first text
	}{
		{nil, 5, LongestFirst, []int32{c, 12, 13, 14, s}, Part{1, 2, 5}},
		{&b, 8, LongestFirst, []int32{c, 12, 13, 14, s, 21, 22, s}, Part{1, 2, 5}},
		{&b, 9, OnlyFirst, []int32{c, 12, 13, 14, s, 20, 21, 22, s}, Part{1, 2, 5}},
		{&b, 9, OnlySecond, []int32{c, 10, 11, 12, 13, 14, s, 22, s}, Part{1, 0, 5}},
		{&b, 20, LongestFirst, []int32{c, 10, 11, 12, 13, 14, s, 20, 21, 22, s}, Part{1, 0, 5}},
	} {
		e, err := tok.CutAt(Left).Prepare(a, x.b, x.most, x.how)
		if err != nil || !slices.Equal(e.IDs, x.want) || e.A != x.part || e.Truncated != (x.most < 20) || len(e.Types) != len(e.IDs) {
			t.Errorf("%d, %s: %v, %+v, %v; want %v", x.most, x.how, e.IDs, e, err, x.want)
		}
	}
	if e, _ := tok.CutAt(Left).CutAt(Right).Prepare(a, nil, 5, LongestFirst); !slices.Equal(e.IDs, []int32{c, 10, 11, 12, s}) {
		t.Errorf("at the right: %v", e.IDs)
	}
}

// tokenizer_config.json says where texts are cut, and says so again when it is written.
func TestTruncationSideOfADirectory(t *testing.T) {
	data, err := os.ReadFile("testdata/albert.model")
	if err != nil {
		t.Fatal(err)
	}
	dir := func(config string) string {
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(filepath.Join(dir, ModelFile), data, 0o600), os.WriteFile(filepath.Join(dir, ConfigFile), []byte(config), 0o600)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct {
		config string
		want   Side
	}{{`{}`, ""}, {`{"truncation_side": "left"}`, Left}, {`{"truncation_side": "right"}`, ""}} {
		tok, err := Open(dir(c.config))
		if err != nil || tok.TruncationSide != c.want || tok.IsDefault() != (c.want == "") {
			t.Fatalf("%s: %q, %v", c.config, tok.TruncationSide, err)
		}
		again := t.TempDir()
		if err := tok.WriteDir(again); err != nil {
			t.Fatal(err)
		}
		if tok, err = Open(again); err != nil || tok.TruncationSide != c.want {
			t.Errorf("%s written: %v", c.config, err)
		}
		if err := os.Remove(filepath.Join(again, ModelFile)); err != nil {
			t.Fatal(err)
		}
		if tok, err = Open(again); err != nil || tok.TruncationSide != c.want { // tokenizer.json
			t.Errorf("%s in a directory with tokenizer.json: %v", c.config, err)
		}
	}
	if _, err := Open(dir(`{"truncation_side": "top"}`)); err == nil || !strings.Contains(err.Error(), `truncation_side "top": want left or right`) {
		t.Error(err)
	}
}
