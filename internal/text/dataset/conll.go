package dataset

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// conll reads columns: a word a line with its tags, blank lines between sentences, -DOCSTART- lines between documents. The word is the
// first column and the tag the last, of CoNLL-U FORM and UPOS, or those that are chosen by number, from 1. Columns are parted by tabs where
// a line has one, else by spaces. Lines before a sentence's first word that begin with # are comments, unless they can be rows.
func (r *reader) conll(in *input) error {
	c := &conll{reader: r, in: in, lines: linesOf(in)}
	if err := c.read(); err != nil {
		return err
	}
	return c.finish()
}

// conll is the state of reading a file of columns.
type conll struct {
	*reader
	in    *input
	lines *lines

	columns   int      // of a row; 0: none was read
	word, tag int      // the columns that are read, from 1; tag 0: there is none
	names     []string // of CoNLL-U's columns; nil: this is another form

	sentences []sentence
	now       sentence // the one that is being read
	size      int      // of it, in bytes
	skipped   int      // rows of CoNLL-U that are no words
}

// sentence is a sentence with the lines before it that begin with #: whether they are comments can depend on tags in later lines.
type sentence struct {
	Example
	held  []columns
	noTag bool // a word has no tag
}

// columns is a line's fields.
type columns struct {
	line   int
	text   string
	fields []string
}

func (c *columns) fail(name, format string, args ...any) error {
	return fmt.Errorf("%s: %s", place(name, c.line), fmt.Sprintf(format, args...))
}

// universal are the columns of CoNLL-U; a comment "# global.columns = ..." of CoNLL-U Plus names others.
var universal = strings.Fields("ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC")

// wordID is the ID of a row of CoNLL-U: of a word, of a range of words (3-4) or of an empty node (8.1).
var wordID = regexp.MustCompile(`^[0-9]+([-.][0-9]+)?$`)

func (c *conll) read() error {
	c.now.Example = unlabelled(c.in.name, 0)
	for {
		line, err := c.lines.next()
		if err == io.EOF {
			c.flush()
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "-DOCSTART-") {
			c.flush()
			continue
		}
		l := columns{line: c.lines.Number, text: line}
		if strings.Contains(line, "\t") {
			l.fields = strings.Split(line, "\t")
		} else {
			l.fields = strings.FieldsFunc(line, func(r rune) bool { return r == ' ' })
		}
		if len(c.now.Words) == 0 && strings.HasPrefix(line, "#") {
			if _, names, _ := strings.Cut(line, "global.columns ="); c.columns == 0 && strings.TrimSpace(names) != "" {
				c.names = strings.Fields(names)
			}
			c.now.held = append(c.now.held, l)
			c.size += len(line)
		} else if err := c.row(&c.now, &l); err != nil {
			return err
		}
		if c.size > maxField {
			return l.fail(c.in.name, "a sentence of more than %d MB, from line %d on: blank lines end sentences", maxField>>20, c.now.Line)
		}
	}
}

func (c *conll) flush() {
	if len(c.now.Words)+len(c.now.held) > 0 {
		c.sentences = append(c.sentences, c.now)
	}
	c.now, c.size = sentence{Example: unlabelled(c.in.name, 0)}, 0
}

// begin learns from the first row which columns there are.
func (c *conll) begin(l *columns) error {
	c.columns = len(l.fields)
	isUniversal := strings.HasPrefix(c.in.kind, ".conllu") || strings.Contains(l.text, "\t") && c.columns == len(universal)
	if c.names == nil && isUniversal && wordID.MatchString(l.fields[0]) {
		c.names = universal
	}
	if c.names != nil && len(c.names) != c.columns {
		return l.fail(c.in.name, "%d columns, where there should be %d: %s", c.columns, len(c.names), list(c.names))
	}
	var err error
	if c.word, err = c.column(c.o.TextColumn, "FORM", 1); err != nil {
		return err
	}
	last := c.columns
	if last == 1 {
		last = 0
	}
	if c.tag, err = c.column(c.o.LabelColumn, "UPOS", last); err != nil {
		return err
	}
	switch {
	case c.tag == 0 && c.set.Split != Test:
		return l.fail(c.in.name, "one column, %q; a word and its tag are wanted", short(l.text))
	case max(c.word, c.tag) > c.columns:
		return l.fail(c.in.name, "no column %d; there are %d", max(c.word, c.tag), c.columns)
	}
	return nil
}

// column gives the column that is chosen, by number or by CoNLL-U's name, else the one with this name there, else the usual one.
func (c *conll) column(chosen, name string, usual int) (int, error) {
	if n, err := strconv.Atoi(chosen); err == nil && n > 0 {
		return n, nil
	}
	if chosen != "" {
		name = chosen
	}
	switch i := slices.IndexFunc(c.names, func(n string) bool { return strings.EqualFold(n, name) }); {
	case i >= 0:
		return i + 1, nil
	case chosen == "":
		return usual, nil
	case c.names != nil:
		return 0, fmt.Errorf("%s: no column %q; there are %s", c.in.name, chosen, list(c.names))
	}
	return 0, fmt.Errorf("%s: columns of CoNLL are chosen by number, from 1, not %q", c.in.name, chosen)
}

// row adds a row's word to a sentence.
func (c *conll) row(s *sentence, l *columns) error {
	if c.columns == 0 {
		if err := c.begin(l); err != nil {
			return err
		}
	}
	if len(l.fields) != c.columns {
		return l.fail(c.in.name, "%d columns, where there were %d before", len(l.fields), c.columns)
	}
	if i := slices.Index(c.names, "ID"); i >= 0 {
		if id := l.fields[i]; wordID.MatchString(id) && strings.ContainsAny(id, "-.") {
			c.skipped++
			return nil
		}
	}
	if len(s.Words) == 0 {
		s.Line = l.line
	}
	word := l.fields[c.word-1]
	s.Words = append(s.Words, word)
	c.size += len(word)
	if c.tag == 0 {
		return nil
	}
	tag := strings.TrimSpace(l.fields[c.tag-1])
	if c.names != nil && c.names[c.tag-1] == "UPOS" && tag == "_" {
		if s.noTag = true; c.set.Split != Test {
			return l.fail(c.in.name, "word %q: no UPOS (\"_\"): --label-column chooses another column", short(word))
		}
		return nil
	}
	i, err := c.labels.id(tag)
	if err != nil {
		return l.fail(c.in.name, "word %q: %v", short(word), err)
	}
	s.Labels = append(s.Labels, i)
	return nil
}

// canBeRow tells whether a line that begins with # has a row's columns, and a tag among them. known: as far as tags are known, it has.
func (c *conll) canBeRow(l *columns) (can, known bool) {
	if c.names != nil || len(l.fields) != c.columns {
		return false, false
	}
	if c.tag == 0 {
		return true, true
	}
	tag := strings.TrimSpace(l.fields[c.tag-1])
	_, known = c.labels.index[tag]
	return true, known || tag == "O" || len(tag) > 2 && tag[1] == '-' && strings.ContainsRune("BIESLU", rune(tag[0]))
}

// finish adds the sentences, now that all tags are known.
func (c *conll) finish() error {
	comments, first := 0, 0
	for i := range c.sentences {
		s := &c.sentences[i]
		var head sentence
		for k := range s.held {
			l := &s.held[k]
			if c.columns == 0 && c.names == nil { // no line of the file begins otherwise
				if err := c.begin(l); err != nil {
					return err
				}
			}
			can, known := c.canBeRow(l)
			if can && !known {
				if comments++; comments == 1 {
					first = l.line
				}
			}
			if known {
				if err := c.row(&head, l); err != nil {
					return err
				}
			}
		}
		if len(head.Words) > 0 {
			s.Line, s.Words, s.Labels = head.Line, append(head.Words, s.Words...), append(head.Labels, s.Labels...)
		}
		if len(s.Words) == 0 {
			continue
		}
		if s.noTag {
			s.Labels = nil
		}
		if err := c.add(s.Example); err != nil {
			return err
		}
	}
	note := func(format string, args ...any) {
		c.set.Notes = append(c.set.Notes, c.in.name+": "+fmt.Sprintf(format, args...))
	}
	if comments > 0 {
		note("%d lines that begin with # are taken for comments, since they end in no tag of the other lines (the first is line %d)", comments, first)
	}
	if c.skipped > 0 {
		note("%d rows of CoNLL-U left out: ranges of words (such as 3-4) and empty nodes (8.1)", c.skipped)
	}
	return nil
}
