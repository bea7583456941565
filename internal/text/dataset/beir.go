package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strconv"
	"strings"

	"albert/internal/text/corpus"
)

// Retrieval is a collection of documents with queries that some of them answer, in BEIR's form: corpus.jsonl (_id, title, text), queries.jsonl
// (_id, text) and qrels/SPLIT.tsv (query-id, corpus-id, score). Documents of up to [KeptTexts] in all stay in memory; texts of more are read again when they are wanted.
type Retrieval struct {
	IDs     []string         // of the documents, in their order
	Queries []RetrievalQuery // those with judgements, in their order
	Files   []corpus.File

	documents string   // path
	texts     []string // of the documents; nil: too large
}

// KeptTexts is in bytes, and less in tests.
var KeptTexts = 64 << 20

// RetrievalQuery is a query, and how relevant documents are to it, by their numbers; above 0 they answer it.
type RetrievalQuery struct {
	ID, Text string
	Relevant map[int]int
}

// IsRetrieval tells whether a folder holds a collection in BEIR's form.
func IsRetrieval(dir string) bool { return packed(dir, "corpus.jsonl") != "" }

// packed finds a file, packed or not; "": there is none.
func packed(dir, name string) string {
	for _, p := range packing {
		if path := filepath.Join(dir, name+p); isFile(path) {
			return path
		}
	}
	return ""
}

// LoadRetrieval reads a collection; of its documents the texts are checked.
func LoadRetrieval(dir string, split Split) (*Retrieval, error) {
	r, err := newReader(Task{Name: "retrieval"}, split, Options{})
	if err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, name := range []string{"corpus.jsonl", "queries.jsonl", "qrels/" + string(split) + ".tsv"} {
		if paths[name] = packed(dir, name); paths[name] == "" {
			return nil, fmt.Errorf("%s: no %s, which a collection in BEIR's form has", dir, name)
		}
	}
	c := &Retrieval{documents: paths["corpus.jsonl"]}
	numbers, size := map[string]int{}, 0
	err = r.beirTexts(c.documents, "document", func(id, text string) error {
		numbers[id] = len(c.IDs)
		c.IDs = append(c.IDs, id)
		if size += len(text); size <= KeptTexts {
			c.texts = append(c.texts, text)
		} else {
			c.texts = nil
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(c.IDs) == 0 {
		return nil, fmt.Errorf("%s: the corpus is empty", c.documents)
	}
	var all []RetrievalQuery
	queries := map[string]int{}
	err = r.beirTexts(paths["queries.jsonl"], "query", func(id, text string) error {
		queries[id] = len(all)
		all = append(all, RetrievalQuery{ID: id, Text: text})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := r.qrels(paths["qrels/"+string(split)+".tsv"], all, queries, numbers); err != nil {
		return nil, err
	}
	for _, q := range all {
		if q.Relevant != nil {
			c.Queries = append(c.Queries, q)
		}
	}
	if len(c.Queries) == 0 {
		return nil, fmt.Errorf("%s: no judgements there", paths["qrels/"+string(split)+".tsv"])
	}
	c.Files = r.set.Files
	return c, nil
}

// beirTexts reads a file of documents or queries, each with an id of its own. A title stands before the text, with a space between, as BEIR has it.
func (r *reader) beirTexts(path, what string, each func(id, text string) error) error {
	before := map[string]int{}
	return r.open(path, func(in *input) error {
		return r.jsonRows(in, func(w *row) error {
			var id string
			switch v := w.cells["_id"].(type) {
			case string:
				id = v
			case json.Number:
				id = v.String()
			}
			if id == "" {
				return w.fail("a %s without _id", what)
			}
			if line, ok := before[id]; ok {
				return w.fail("the %s %q stands in line %d, too", what, short(id), line)
			}
			before[id] = w.line
			text, err := w.titled()
			if err != nil {
				return err
			}
			return each(id, text)
		})
	})
}

// titled is the text of a document, behind its title.
func (w *row) titled() (string, error) {
	text, err := w.text("text")
	if err != nil {
		return "", err
	}
	if len(text) > maxField {
		return "", w.fail("a text of %.1f MB; the limit is %d MB", float64(len(text))/(1<<20), maxField>>20)
	}
	if title, _ := w.cells["title"].(string); title != "" {
		text = title + " " + text
	}
	return strings.TrimSpace(text), nil
}

// qrels reads judgements into queries: lines of a query's id, a document's, and how relevant it is, under a header.
func (r *reader) qrels(path string, all []RetrievalQuery, queries, documents map[string]int) error {
	return r.open(path, func(in *input) error {
		l := linesOf(in)
		for {
			line, err := l.next()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			fail := func(format string, args ...any) error {
				return fmt.Errorf("%s: %s", place(path, l.Number), fmt.Sprintf(format, args...))
			}
			f := strings.Split(line, "\t")
			if line == "" || l.Number == 1 && f[0] == "query-id" {
				continue
			}
			if len(f) != 3 {
				return fail("%d columns, want query-id, corpus-id and score with tabs between", len(f))
			}
			q, ok := queries[f[0]]
			if !ok {
				return fail("the query %q is not in queries.jsonl", short(f[0]))
			}
			d, ok := documents[f[1]]
			if !ok {
				return fail("the document %q is not in corpus.jsonl", short(f[1]))
			}
			relevance, err := strconv.Atoi(strings.TrimSpace(f[2]))
			if err != nil {
				return fail("the score %q is not a whole number", short(f[2]))
			}
			if all[q].Relevant == nil {
				all[q].Relevant = map[int]int{}
			}
			if _, twice := all[q].Relevant[d]; twice {
				return fail("the query %q and the document %q were judged before", short(f[0]), short(f[1]))
			}
			all[q].Relevant[d] = relevance
		}
	})
}

// errEnough ends a reading whose rest is not wanted.
var errEnough = errors.New("enough")

// Documents gives the documents' texts, in their order. After an error there are no more.
func (c *Retrieval) Documents() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, text := range c.texts {
			if !yield(text, nil) {
				return
			}
		}
		if c.texts != nil {
			return
		}
		r, err := newReader(Task{Name: "retrieval"}, Test, Options{})
		n := 0
		if err == nil {
			err = r.beirTexts(c.documents, "document", func(id, text string) error {
				if n >= len(c.IDs) || c.IDs[n] != id {
					return fmt.Errorf("%s: the file was changed while it was read", c.documents)
				}
				if n++; !yield(text, nil) {
					return errEnough
				}
				return nil
			})
		}
		if err != nil && err != errEnough {
			yield("", err)
		}
	}
}
