package dataset

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/parquetfile"
	"albert/internal/files/stream"
	"albert/internal/text/corpus"
)

// passage is a line of RACE's files.
type passage struct {
	ID        *string    `json:"id"`
	Article   *string    `json:"article"`
	Questions []string   `json:"questions"`
	Options   [][]string `json:"options"`
	Answers   []string   `json:"answers"`
}

// race reads an archive, a directory or a file. The order is the same for all: middle before high, then byte order of paths.
func (r *reader) race(name string) error {
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	from := len(r.set.Examples)
	if st.IsDir() {
		err = r.raceFolder(name)
	} else {
		err = r.raceFile(name)
	}
	if err != nil || r.rowForm {
		return err // rows stay in their order
	}
	level := func(e *Example) int {
		if levelOf(e.File, e.ID) == "middle" {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(r.set.Examples[from:], func(a, b Example) int {
		return cmp.Or(cmp.Compare(level(&a), level(&b)), strings.Compare(a.File, b.File))
	})
	return nil
}

// levelOf gives the level of a passage, middle or high, by the folder of its file or by its id; "" if neither shows it.
func levelOf(name, id string) string {
	for _, part := range slices.Backward(strings.FieldsFunc(name, func(c rune) bool { return c == '/' || c == '\\' || c == ':' })) {
		if part == "middle" || part == "high" {
			return part
		}
	}
	for _, l := range []string{"middle", "high"} {
		if strings.HasPrefix(id, l) {
			return l
		}
	}
	return ""
}

// raceFolder reads the .txt files of a folder, of its folder named like the split if there is one.
func (r *reader) raceFolder(dir string) error {
	if sub := filepath.Join(dir, string(r.set.Split)); isDir(sub) {
		dir = sub
	}
	files, err := corpus.ListFiles(dir, func(path string, isDir bool) bool { return isDir || strings.HasSuffix(path, ".txt") })
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s: no .txt files there", dir)
	}
	for _, f := range files {
		if err := r.raceFile(f); err != nil {
			return err
		}
	}
	return nil
}

// raceFile reads an archive, a file of passages, or rows of a question each.
func (r *reader) raceFile(name string) error {
	if f, err := os.Open(name); err == nil {
		isParquet := parquetfile.Is(f)
		f.Close()
		if isParquet {
			r.rowForm = true
			return r.rows(name, r.choiceRow)
		}
	}
	return r.open(name, func(in *input) error {
		if stream.IsTar(in.head) {
			return r.raceTar(in)
		}
		if bytes.HasPrefix(bytes.TrimLeft(in.head, " \t\r\n"), []byte("[")) {
			r.rowForm = true
			return r.table(in, r.choiceRow)
		}
		return r.passages(in)
	})
}

// raceTar reads the members of an archive that lie in the split's folder.
func (r *reader) raceTar(in *input) error {
	found := false
	for m, err := range stream.Tar(in) {
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		folders := strings.Split(path.Dir(path.Clean(m.Name)), "/")
		base := path.Base(m.Name)
		if m.Typeflag != tar.TypeReg || !slices.Contains(folders, string(r.set.Split)) || !strings.HasSuffix(base, ".txt") || strings.HasPrefix(base, ".") {
			continue
		}
		found = true
		if err := r.unpack(in.name+":"+m.Name, m, stream.MemberBuffer(m.Size), r.passages); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s: %w: no .txt files in a folder %q there", in.name, ErrNoSplit, r.set.Split)
	}
	return nil
}

// passages reads passages, one a line; rows of a question each are read, too.
func (r *reader) passages(in *input) error {
	j := newJSON(in)
	for {
		raw, line, err := j.value()
		if err != nil {
			return unlessEOF(err)
		}
		var row struct{ Article, Question, Questions json.RawMessage }
		if json.Unmarshal(raw, &row) == nil && row.Questions == nil && (row.Question != nil || row.Article == nil) {
			r.rowForm = true
			w, err := objectOf(in.name, line, raw)
			if err == nil {
				err = r.choiceRow(w)
			}
			if err != nil {
				return err
			}
			continue
		}
		if err := r.passage(in.name, line, raw); err != nil {
			return fmt.Errorf("%s: %w", place(in.name, line), err)
		}
	}
}

func (r *reader) passage(file string, line int, raw json.RawMessage) error {
	var p passage
	if err := json.Unmarshal(raw, &p); err != nil {
		return typeError(err)
	}
	if p.ID == nil || p.Article == nil || *p.ID == "" {
		return fmt.Errorf("a passage without \"id\" or \"article\"")
	}
	name := fmt.Sprintf("passage %q", short(*p.ID))
	if r.o.Level != "" && levelOf(file, *p.ID) != r.o.Level {
		return nil
	}
	if len(p.Questions) != len(p.Options) || len(p.Questions) != len(p.Answers) && (r.set.Split != Test || len(p.Answers) > 0) {
		return fmt.Errorf("%s: %d questions, %d lists of options, %d answers", name, len(p.Questions), len(p.Options), len(p.Answers))
	}
	for i, q := range p.Questions {
		e := unlabelled(file, line)
		e.ID = fmt.Sprintf("%s-%d", *p.ID, i)
		e.Context, e.Question, e.Choices = *p.Article, q, p.Options[i]
		where := fmt.Sprintf("%s, question %d", name, i+1)
		if len(p.Answers) > 0 {
			a := p.Answers[i]
			if len(a) != 1 || a[0] < 'A' || int(a[0]-'A') >= len(e.Choices) {
				return fmt.Errorf("%s: the answer %q is not the letter of one of %d options", where, short(a), len(e.Choices))
			}
			e.Label = int(a[0] - 'A')
		}
		if err := r.addChoice(e, where); err != nil {
			return err
		}
	}
	return nil
}

func isDir(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}
