package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"albert/internal/files/jsonobject"
	"albert/internal/infer"
)

// Writer writes answers, a line of JSON each. A line reaches the output within flushAfter, or sooner.
type Writer struct {
	mu    sync.Mutex
	b     *bufio.Writer
	timer *time.Timer // nil: nothing waits
	err   error       // of writing
}

// flushAfter is how long an answer may wait for others to be written with.
const flushAfter = 10 * time.Millisecond

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{b: bufio.NewWriterSize(w, 1<<16)} }

// Flush writes what waits.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush()
	return w.err
}

func (w *Writer) flush() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if err := w.b.Flush(); w.err == nil {
		w.err = err
	}
}

// Write writes the answer to an item, or why there is none. An object gets the id and "truncated" beside its fields; a list becomes
// "result" of an object if there is something to say beside it.
func (w *Writer) Write(it *Item, value any, truncated bool, failed error) error {
	line, err := answerLine(it, value, truncated, failed)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.b.Write(append(line, '\n')); w.err == nil {
		w.err = err
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(flushAfter, func() { _ = w.Flush() }) // the next write gives the error
	}
	return w.err
}

// Failure is the form of why an item has no answer.
func (it *Item) Failure(err error) jsonobject.Fields {
	fields := it.beside()
	fields = append(fields, jsonobject.Field{Name: "error", Value: err.Error()}, jsonobject.Field{Name: "line", Value: max(1, it.Line)})
	if it.File != "" {
		fields = append(fields, jsonobject.Field{Name: "file", Value: it.File})
	}
	return fields
}

// beside is what stands beside an answer: the id, where there is one.
func (it *Item) beside() jsonobject.Fields {
	if it.ID == nil {
		return nil
	}
	return jsonobject.Fields{{Name: "id", Value: it.ID}}
}

func answerLine(it *Item, value any, truncated bool, failed error) ([]byte, error) {
	if failed != nil {
		return it.Failure(failed).MarshalJSON()
	}
	fields := it.beside()
	if truncated {
		fields = append(fields, jsonobject.Field{Name: "truncated", Value: true})
	}
	text, err := jsonobject.Marshal(value)
	switch {
	case err != nil || len(fields) == 0:
		return text, err
	case text[0] != '{':
		return append(fields, jsonobject.Field{Name: "result", Value: json.RawMessage(text)}).MarshalJSON()
	}
	line, err := fields.MarshalJSON()
	if err == nil && len(text) > 2 {
		line = append(append(line[:len(line)-1], ','), text[1:]...)
	}
	return line, err
}

// Sink takes the answers to items in order: a [Writer], or what shows them to a person.
type Sink interface {
	Write(it *Item, value any, truncated bool, failed error) error
	Flush() error
}

// Answer answers items in order and writes a line for each, while further ones are read. ask is a method of [infer.Model]; form gives an answer's
// JSON form, and whether a text was cut. It returns an error if any item could not be answered.
func Answer[A any](ctx context.Context, w Sink, items iter.Seq[*Item], ask func(iter.Seq[*infer.Question]) (iter.Seq2[A, error], error),
	form func(it *Item, a A) (value any, truncated bool)) error {
	var asked queue
	answers, err := ask(func(yield func(*infer.Question) bool) {
		for it := range items {
			asked.put(it)
			if !yield(&it.Question) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	failed := 0
	var firstFailure error
	for a, err := range answers {
		if ctx.Err() != nil {
			break
		}
		it := asked.take()
		var value any
		truncated := false
		if err == nil {
			value, truncated = form(it, a)
		} else if failed++; failed == 1 {
			firstFailure = err
		}
		if err := w.Write(it, value, truncated, err); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed == 1:
		return fmt.Errorf("one text could not be answered: %w", firstFailure)
	case failed > 1:
		return fmt.Errorf("%d texts could not be answered: see their \"error\"; the first: %w", failed, firstFailure)
	}
	return nil
}

// queue holds the items that wait for their answers, first in, first out.
type queue struct {
	mu   sync.Mutex
	list []*Item
}

func (q *queue) put(it *Item) {
	q.mu.Lock()
	q.list = append(q.list, it)
	q.mu.Unlock()
}

func (q *queue) take() *Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	it := q.list[0]
	q.list[0] = nil
	q.list = q.list[1:]
	return it
}
