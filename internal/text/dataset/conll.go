package dataset

import (
	"fmt"
	"strconv"
	"strings"
)

// conll reads columns: a word a line with its tags, blank lines between sentences, -DOCSTART- lines between documents. The word is the
// first column and the tag the last, or those that are chosen by number, from 1. Columns are parted by tabs where a line has one, else by
// spaces.
func (r *reader) conll(in *input) error {
	l := linesOf(in)
	number := func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if s == "" {
			return 0, nil
		}
		if err != nil || n < 1 {
			return 0, fmt.Errorf("%s: columns of CoNLL are chosen by number, from 1, not %q", in.name, s)
		}
		return n, nil
	}
	wordColumn, err := number(r.o.TextColumn)
	if err != nil {
		return err
	}
	tagColumn, err := number(r.o.LabelColumn)
	if err != nil {
		return err
	}
	e := unlabelled(in.name, 0)
	columns, size := 0, 0
	flush := func() error {
		if len(e.Words) == 0 {
			return nil
		}
		err := r.add(e)
		e, size = unlabelled(in.name, 0), 0
		return err
	}
	for {
		line, err := l.next()
		if err != nil {
			if err := unlessEOF(err); err != nil {
				return err
			}
			return flush()
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "-DOCSTART-") {
			if err := flush(); err != nil {
				return err
			}
			continue
		}
		fail := func(format string, args ...any) error {
			return fmt.Errorf("%s: %s", place(in.name, l.Number), fmt.Sprintf(format, args...))
		}
		var f []string
		if strings.Contains(line, "\t") {
			f = strings.Split(line, "\t")
		} else {
			f = strings.FieldsFunc(line, func(c rune) bool { return c == ' ' })
		}
		if columns == 0 {
			columns = len(f)
			if wordColumn == 0 {
				wordColumn = 1
			}
			if tagColumn == 0 && columns > 1 {
				tagColumn = columns
			}
			switch {
			case tagColumn == 0 && r.set.Split != Test:
				return fail("one column, %q; a word and its tag are wanted", short(line))
			case max(wordColumn, tagColumn) > columns:
				return fail("no column %d; there are %d", max(wordColumn, tagColumn), columns)
			}
		}
		if len(f) != columns {
			return fail("%d columns, where there were %d before", len(f), columns)
		}
		if len(e.Words) == 0 {
			e.Line = l.Number
		}
		word := f[wordColumn-1]
		e.Words = append(e.Words, word)
		if size += len(word); size > maxField {
			return fail("a sentence of more than %d MB, from line %d on: blank lines end sentences", maxField>>20, e.Line)
		}
		if tagColumn == 0 {
			continue
		}
		tag := strings.TrimSpace(f[tagColumn-1])
		i, err := r.labels.id(tag)
		if err != nil {
			return fail("word %q: %v", short(word), err)
		}
		e.Labels = append(e.Labels, i)
	}
}
