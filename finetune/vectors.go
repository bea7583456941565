package finetune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"

	"albert/internal/engine/cpu"
	"albert/internal/files/jsonobject"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/metric"
	"albert/internal/learn/task"
	"albert/internal/learn/train"
	"albert/internal/search"
	"albert/internal/text/dataset"
	"albert/tokenizer"
)

// encoder makes vectors of texts, as albert embed does.
type encoder struct {
	model   *infer.Model
	options infer.EmbedOptions
	exact   *cpu.Device // compares vectors, in fp32
	cut     int         // texts that were longer
}

// each gives the vectors of texts that have a role, in their order. The ranks of ctx share the texts (see [train.Shared]).
func (e *encoder) each(ctx context.Context, role infer.Role, texts iter.Seq2[string, error]) iter.Seq2[[]float32, error] {
	var broken error
	readable := func(yield func(string) bool) {
		for text, err := range texts {
			if broken = err; err != nil || !yield(text) {
				return
			}
		}
	}
	embed := func(ctx context.Context, texts iter.Seq[string]) iter.Seq2[infer.Embedded, error] {
		return func(yield func(infer.Embedded, error) bool) {
			o := e.options
			o.Role = role
			answers, err := e.model.Embed(ctx, func(yield func(*infer.Question) bool) {
				for text := range texts {
					if !yield(&infer.Question{Text: text}) {
						return
					}
				}
			}, o)
			if err != nil {
				yield(infer.Embedded{}, err)
				return
			}
			for a, err := range answers {
				if !yield(a, err) || err != nil {
					return
				}
			}
			if broken != nil {
				yield(infer.Embedded{}, broken)
			}
		}
	}
	return func(yield func([]float32, error) bool) {
		for a, err := range train.Shared(ctx, readable, embed) {
			if err != nil {
				yield(nil, err)
				return
			}
			if a.Truncated {
				e.cut++
			}
			if !yield(a.Vectors[0], nil) {
				return
			}
		}
	}
}

// benchmark is what vectors are measured on: pairs of texts with a score, or a collection to search in.
type benchmark struct {
	pairs      *dataset.Set
	collection *dataset.Retrieval
}

// loadBenchmark reads a folder in BEIR's form, or pairs: a file, or STS-B's folder or another with a file for each split.
func loadBenchmark(data []string, split dataset.Split, o dataset.Options) (*benchmark, error) {
	t, err := dataset.TaskNamed("embed")
	if err != nil {
		return nil, err
	}
	if len(data) == 1 {
		if st, err := os.Stat(data[0]); err == nil && st.IsDir() {
			if dataset.IsRetrieval(data[0]) {
				c, err := dataset.LoadRetrieval(data[0], split)
				return &benchmark{collection: c}, err
			}
			files, err := dataset.Files(t, data[0], split)
			if err != nil {
				return nil, err
			}
			data = files
		}
	}
	set, err := dataset.Read(t, split, data, o)
	if err != nil {
		return nil, err
	}
	if set.Form != dataset.Scored {
		return nil, fmt.Errorf("%s: vectors are measured on two texts and a score, or on a folder with corpus.jsonl, queries.jsonl and qrels", set.Examples[0].Place())
	}
	return &benchmark{pairs: set}, nil
}

// task is the name of the task.
func (b *benchmark) task() string {
	if b.collection != nil {
		return "retrieval"
	}
	return "sts"
}

// hash is that of the files.
func (b *benchmark) hash() string {
	if b.collection != nil {
		return hashes(&dataset.Set{Files: b.collection.Files})
	}
	return hashes(b.pairs)
}

// notes are those of the data.
func (b *benchmark) notes() []string {
	if b.collection != nil {
		return nil
	}
	return notesOf(b.pairs)
}

// measure gives the official metrics of a model's vectors.
func (b *benchmark) measure(ctx context.Context, e *encoder) (metric.Scores, error) {
	if b.collection != nil {
		return searchIn(ctx, e, b.collection)
	}
	var gold, cosines []float64
	var first []float32
	texts := func(yield func(string, error) bool) {
		for i := range b.pairs.Examples {
			if t := b.pairs.Examples[i].Texts; !yield(t[0], nil) || !yield(t[1], nil) {
				return
			}
		}
	}
	for v, err := range e.each(ctx, 0, texts) {
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = v
			continue
		}
		gold, cosines, first = append(gold, b.pairs.Examples[len(gold)].Score), append(cosines, task.CosineOf(first, v)), nil
	}
	return metric.Regress("sts", gold, cosines)
}

const (
	found         = 100  // documents of a query
	documentBlock = 1024 // documents that are compared with all queries at once
)

// searchIn searches the queries' documents: exactly, a block of documents at a time, so that the memory is that of the queries' vectors and
// the documents' ids. Of equal scores the document with the greater id comes first, as in trec_eval.
func searchIn(ctx context.Context, e *encoder, c *dataset.Retrieval) (metric.Scores, error) {
	var queries [][]float32
	for v, err := range e.each(ctx, infer.Query, func(yield func(string, error) bool) {
		for i := range c.Queries {
			if !yield(c.Queries[i].Text, nil) {
				return
			}
		}
	}) {
		if errors.Is(err, train.ErrElsewhere) {
			for _, err = range e.each(ctx, infer.Document, c.Documents()) { // of another rank, too
			}
			return nil, err
		}
		if err != nil {
			return nil, err
		}
		queries = append(queries, v)
	}
	best := search.New(e.exact, queries, search.Options{K: found, Ties: func(a, b int) int { return cmp.Compare(c.IDs[b], c.IDs[a]) }})
	width := len(queries[0])
	block := make([]float32, 0, documentBlock*width)
	for v, err := range e.each(ctx, infer.Document, c.Documents()) {
		if err != nil {
			return nil, err
		}
		if block = append(block, v...); len(block) == cap(block) {
			best.Add(search.NewVectors(e.exact, block, width))
			block = block[:0]
		}
	}
	best.Add(search.NewVectors(e.exact, block, width))
	return metric.Retrieval(rankings(c, best.Hits()))
}

// rankings are the relevances of what was found.
func rankings(c *dataset.Retrieval, best [][]search.Hit) []metric.Ranking {
	list := make([]metric.Ranking, len(best))
	for q, hits := range best {
		r := &list[q]
		for _, h := range hits {
			r.Found = append(r.Found, c.Queries[q].Relevant[h.Index])
		}
		for _, x := range c.Queries[q].Relevant {
			r.Judged = append(r.Judged, x)
		}
		slices.SortFunc(r.Judged, func(a, b int) int { return b - a })
	}
	return list
}

// VectorEvaluation says which model's vectors are measured, and on what.
type VectorEvaluation struct {
	Model   string
	Task    string   // "sts", "retrieval"; "": what the data is for
	Data    []string // a folder, or files of pairs
	Split   dataset.Split
	Options dataset.Options
	Pooling string // "": what the model was made with, else mean
	// MaxSeqLength is how many pieces of a text are read at most, 0: what the model was made with, else what it takes; TruncationSide where
	// it is cut, "": where the tokenizer says.
	MaxSeqLength   int
	TruncationSide tokenizer.Side
	Threads        int
	Precision      infer.Precision
}

// EvaluateVectors measures a model's vectors by the official metrics.
func EvaluateVectors(ctx context.Context, v VectorEvaluation) (*Measured, error) {
	if v.Task == "retrieval" && (len(v.Data) != 1 || !dataset.IsRetrieval(v.Data[0])) {
		return nil, fmt.Errorf("%s: task retrieval is measured on a folder with corpus.jsonl, queries.jsonl and qrels", strings.Join(v.Data, ", "))
	}
	b, err := loadBenchmark(v.Data, v.Split, v.Options)
	if err != nil {
		return nil, err
	}
	if v.Task != "" && v.Task != b.task() {
		return nil, fmt.Errorf("%s: data of the task %s, not %s", v.Data[0], b.task(), v.Task)
	}
	m, err := formats.Open(v.Model)
	if err != nil {
		return nil, err
	}
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer", m.Path)
	}
	dev, err := cpu.New("", v.Threads)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	running, err := infer.Prepare(m, v.Precision, dev)
	if err != nil {
		return nil, err
	}
	m.Tokenizer = m.Tokenizer.CutAt(v.TruncationSide)
	e := &encoder{model: infer.On(m, running), exact: dev,
		options: infer.EmbedOptions{Pooling: infer.Pooling(v.Pooling), Layer: -1, MaxSeqLength: v.MaxSeqLength}}
	scores, err := b.measure(ctx, e)
	if err != nil {
		return nil, err
	}
	measured := &Measured{Scores: scores, Notes: b.notes()}
	if e.cut > 0 {
		measured.Notes = append(measured.Notes, fmt.Sprintf("%d texts are cut: longer than max_seq_length", e.cut))
	}
	return measured, nil
}

// scoreFields are scores as a row of the log has them; an undefined one is null.
func scoreFields(scores metric.Scores) (fields jsonobject.Fields) {
	for _, s := range scores {
		var v any
		if s.Undefined == "" {
			v = s.Value
		}
		fields = append(fields, jsonobject.Field{Name: s.Name, Value: v})
	}
	return fields
}
