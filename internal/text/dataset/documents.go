package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
)

// Document is a text that is searched in, and its id; nil: it has none.
type Document struct {
	ID   json.RawMessage
	Text string
}

// Documents reads a file of documents, packed or not, in their order: JSON objects with a text and, as BEIR has them, any of id or _id, and a title; of any
// other file each line is a document. After an error there are no more.
func Documents(path string) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		each := func(d Document) error {
			if !yield(d, nil) {
				return errEnough
			}
			return nil
		}
		r, err := newReader(Task{Name: "retrieval"}, Test, Options{})
		if err == nil {
			err = r.open(path, func(in *input) error {
				start := bytes.TrimLeft(in.head, " \t\r\n")
				if slices.Contains([]string{".jsonl", ".json", ".ndjson"}, in.kind) || bytes.HasPrefix(start, []byte(`{"`)) || bytes.HasPrefix(start, []byte("[{")) {
					return r.jsonDocuments(in, each)
				}
				return lineDocuments(in, each)
			})
		}
		if err != nil && err != errEnough {
			yield(Document{}, err)
		}
	}
}

func lineDocuments(in *input, each func(Document) error) error {
	for l := linesOf(in); ; {
		text, err := l.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = each(Document{Text: text})
		}
		if err != nil {
			return err
		}
	}
}

func (r *reader) jsonDocuments(in *input, each func(Document) error) error {
	before := map[string]int{} // lines of ids
	return r.jsonRows(in, func(w *row) error {
		var d Document
		if name, ok := w.find("_id", "id"); ok && w.cells[name] != nil {
			id, ok := scalar(w.cells[name])
			if !ok {
				return w.fail("column %q is neither a text nor a number", name)
			}
			if line, twice := before[id]; twice {
				return w.fail("the document %q stands in line %d, too", short(id), line)
			}
			before[id] = w.line
			var err error
			if d.ID, err = json.Marshal(w.cells[name]); err != nil {
				return fmt.Errorf("%s: %w", w.place(), err)
			}
		}
		var err error
		if d.Text, err = w.titled(); err != nil {
			return err
		}
		return each(d)
	})
}
