package dataset

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"albert/internal/files/stream"
	"albert/internal/model"
	"albert/internal/text/corpus"
)

// Split is a part of a data set.
type Split string

// The splits. A test set need not have labels.
const (
	Train Split = "train"
	Dev   Split = "dev"
	Test  Split = "test"
)

// SplitNamed finds a split by the names that it goes by: dev is also validation, valid and val.
func SplitNamed(name string) (Split, error) {
	for _, s := range []Split{Train, Dev, Test} {
		if slices.Contains(splitNames[s], strings.ToLower(name)) {
			return s, nil
		}
	}
	return "", fmt.Errorf("no split %q; there are train, dev and test", name)
}

// Example is one thing to learn from or to answer. Which fields hold something depends on the task's kind.
type Example struct {
	ID   string // the file's own, else the example's number in the set, from 0
	File string // path, for a member of an archive "archive:member"
	Line int    // its first line, from 1; in Parquet its row, from 1

	// Classify, MultiLabel, Regress, Rank: of that the query and the document.
	Text, Pair string
	HasPair    bool    // a pair may have an empty second text
	Score      float64 // Regress, Rank (0 to 1); NaN: not given

	// Label is the index in [Set.Labels] (Classify) or in Choices (Choice); -1: not given.
	Label int
	// Labels are indices in [Set.Labels]: those that apply, ascending (MultiLabel), or one for each word (Tag). nil: not given.
	Labels []int

	Words []string // Tag; may be empty

	// Embed, by [Set.Form]: an anchor, its positive and negatives; two texts, with their score in Score; one text, with its target.
	Texts  []string
	Target []float32

	// Answer, Choice.
	Context, Question string
	Answers           []Answer // Answer; nil: none given, or impossible
	Impossible        bool     // Answer: the context does not answer the question
	Choices           []string // Choice, at least two
}

// Answer is a span of a context.
type Answer struct {
	Text       string
	Start, End int  // [Start, End) in Unicode code points of the context
	Exact      bool // Text stands there in the context, and the file does not mark Start as a guess: usable for training
}

// Place gives an example's file and line, "file:line", for messages.
func (e *Example) Place() string { return place(e.File, e.Line) }

func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

// Set is a split that was read.
type Set struct {
	Task     Task // with the kind MultiLabel where a Classify task's labels are lists
	Split    Split
	Form     Form     // for Embed
	Columns  []string // for Embed: the names of the columns of the first row's texts, without negatives
	Labels   []string // for Classify, MultiLabel, Tag: in the task's order, else integers by value, else in byte order
	Examples []Example
	ByPlace  bool          // MultiLabel: the labels are lists of 0 and 1, or columns of them, a class each
	Unnamed  bool          // ByPlace: nothing names the classes, whose labels are their numbers from 0
	Skipped  int           // lines left out: those broken in the published file, and pairs without a gold label
	Notes    []string      // sentences for the user: what was left out, what was assumed
	Files    []corpus.File // what was read, in order
}

// Options gives the options with which to read another split of the same data: with this set's labels.
func (s *Set) Options() Options {
	return Options{Labels: s.Labels, Multi: s.Task.Kind == model.MultiLabel, ByPlace: s.ByPlace}
}

// Options say how files are read. The zero value is for a training set that names its columns as most do.
type Options struct {
	// Labels are the only ones there may be, in this order; nil: the task's own, or those that are found.
	Labels []string
	// Multi reads the labels of a Classify task as any number of classes: a list, in TSV and CSV separated by "|". Without it a list in
	// JSON or Parquet still makes the task MultiLabel, but "|" is part of a label.
	Multi bool
	// ByPlace reads lists of 0 and 1 as classes by their place even where they could be the classes 0 and 1.
	ByPlace bool
	// TextColumn, PairColumn and LabelColumn choose columns by name, in TSV without a header and in CoNLL by number, from 1. LabelColumn may be
	// several columns of 0 and 1, a class each, with commas between.
	TextColumn, PairColumn, LabelColumn string
	// Delimiter parts the columns of TSV and CSV (see [Delimiter]); "": it is found. Quotes is [QuotesAuto], [QuotesCSV] or [QuotesNone].
	Delimiter, Quotes string
	// Level chooses RACE's middle or high; "": both.
	Level string
}

// maxField is the longest text that an example may have, in bytes: longer ones are no examples but files that were taken for one.
const maxField = 10 << 20

// reader is the state of reading a set.
type reader struct {
	o      Options
	set    *Set
	labels labels
	ids    map[string]string    // of questions and choices, with the file and line of each
	shared map[string]*sharedID // of choices, by the id of their text

	hot    hotLabels
	minus  []minusOne // rows of a test set whose label is -1
	scored int        // rows of a test set with another label

	rowForm    bool // of RACE: a row for each question, as the hub has it, not a passage
	kindKnown  bool // it is known whether the labels of a Classify task are single ones or lists
	emptyTexts int  // examples with an empty text
	misplaced  int  // answers that do not stand where the file says
	guessed    int  // answers whose start the file marks as a guess

	blankAnswers int        // answers of nothing but white space
	labelRange   labelRange // of the kind Rank
}

// Read reads a split from files given one by one. For RACE they may be directories and archives.
func Read(task Task, split Split, files []string, o Options) (*Set, error) {
	r, err := newReader(task, split, o)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no files for %s", split)
	}
	for _, path := range files {
		if err := r.read(path); err != nil {
			return nil, err
		}
	}
	if len(r.set.Examples) == 0 {
		return nil, fmt.Errorf("%s: no examples there", files[0])
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	return r.set, nil
}

func newReader(task Task, split Split, o Options) (*reader, error) {
	r := &reader{o: o, set: &Set{Task: task, Split: split}, ids: map[string]string{}, shared: map[string]*sharedID{}}
	if o.Multi {
		if task.glue != nil || task.Kind != model.Classify && task.Kind != model.MultiLabel {
			return nil, fmt.Errorf("an example of task %s cannot have several labels", task.Name)
		}
		r.set.Task.Kind, r.kindKnown = model.MultiLabel, true
	}
	if o.Delimiter != "" {
		if _, err := Delimiter(o.Delimiter); err != nil {
			return nil, err
		}
	}
	names := o.Labels
	if names == nil {
		names = task.Labels
	}
	return r, r.labels.start(names)
}

// read reads one file in the form of the task.
func (r *reader) read(path string) error {
	switch t := &r.set.Task; {
	case t.glue != nil:
		return r.open(path, r.glue)
	case t.Name == "race":
		return r.race(path)
	case t.Kind == model.Answer:
		return r.rows(path, r.answerRow)
	case t.Kind == model.Tag:
		return r.rows(path, r.tagRow)
	case t.Kind == model.Choice:
		return r.rows(path, r.choiceRow)
	case t.Kind == model.Embed:
		return r.rows(path, r.embedRow)
	case t.Kind == model.Rank:
		return r.rows(path, r.rankRow)
	default:
		return r.rows(path, r.textRow)
	}
}

// number gives an example without an id its number in the set, from 0.
func (r *reader) number(e *Example) {
	if e.ID == "" {
		e.ID = strconv.Itoa(len(r.set.Examples))
	}
}

// unique numbers an example, and refuses an id that was used before: predictions of questions and choices are matched by id. where names
// the example, for the error.
func (r *reader) unique(e *Example, where string) error {
	r.number(e)
	if before, ok := r.ids[e.ID]; ok {
		return fmt.Errorf("%s: the id %s was used before, in %s", where, short(e.ID), before)
	}
	r.ids[e.ID] = e.Place()
	return nil
}

// add appends an example to the set, once the lengths of its texts are checked. One without an id is numbered.
func (r *reader) add(e Example) error {
	r.number(&e)
	fail := func(field string, n int) error {
		return fmt.Errorf("%s: %s of %.1f MB; the limit is %d MB: is this one example?", e.Place(), field, float64(n)/(1<<20), maxField>>20)
	}
	for _, f := range [...]struct{ name, text string }{{"a text", e.Text}, {"a second text", e.Pair}, {"a context", e.Context},
		{"a question", e.Question}} {
		if len(f.text) > maxField {
			return fail(f.name, len(f.text))
		}
	}
	for _, c := range e.Choices {
		if len(c) > maxField {
			return fail("a choice", len(c))
		}
	}
	for _, c := range e.Texts {
		if len(c) > maxField {
			return fail("a text", len(c))
		}
	}
	words := 0
	for _, w := range e.Words {
		words += len(w)
	}
	if words > maxField {
		return fail("a sentence", words)
	}
	switch r.set.Task.Kind {
	case model.Classify, model.MultiLabel, model.Regress, model.Rank:
		if e.Text == "" || e.HasPair && e.Pair == "" {
			r.emptyTexts++
		}
	}
	r.set.Examples = append(r.set.Examples, e)
	return nil
}

// finish orders the labels and notes what the user should know.
func (r *reader) finish() error {
	s, note := r.set, r.note
	if err := r.finishMinus(); err != nil {
		return err
	}
	if err := r.finishHot(); err != nil {
		return err
	}
	if err := r.labelRange.check(s.Task.Kind); err != nil {
		return err
	}
	r.labels.finish(s)
	if r.labels.aliased != "" {
		note("%s", r.labels.aliased)
	}
	if s.Skipped > 0 && s.Task.glue == nil {
		note("%d rows left out: their label is -1, where the classes have names", s.Skipped)
	}
	if r.emptyTexts > 0 {
		note("%d of %d examples have an empty text", r.emptyTexts, len(s.Examples))
	}
	if r.blankAnswers > 0 {
		note("%d answers are nothing but white space: left out", r.blankAnswers)
	}
	if r.misplaced > 0 {
		note("%d answers are not what stands at their answer_start (counted in code points); they are not for training", r.misplaced)
	}
	if r.guessed > 0 {
		note("%d answers have an answer_start that is a guess (start_exact false); they are not for training", r.guessed)
	}
	return nil
}

// note adds a sentence for the user.
func (r *reader) note(format string, args ...any) {
	r.set.Notes = append(r.set.Notes, fmt.Sprintf(format, args...))
}

// unlabelled is an example without any answer yet.
func unlabelled(file string, line int) Example {
	return Example{File: file, Line: line, Label: -1, Score: math.NaN()}
}

// checkText gives an error for a text with a zero byte or invalid UTF-8.
func checkText(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return stream.ErrZero
	}
	return stream.CheckUTF8(s)
}

var errEmpty = errors.New("an empty file")

// unlessEOF gives the error of a reader that has come to an end: nil at the end of the file.
func unlessEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
