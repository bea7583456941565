package corpus

import (
	"context"
	"fmt"
	"iter"
)

// A batch is as much text as keeps a thread busy for some milliseconds. Shards end where batches do.
const batchBytes = 64 << 10

// maxTokens times batchBytes is how much text may be on its way at once.
const maxTokens = 512

// batch is some documents on their way through the pipeline.
type batch struct {
	docs   []Document
	tokens int
	done   chan struct{} // closed when what follows is filled in
	pieces []int32       // of all documents
	ends   []int32       // of all sentences, from their document's start
	spans  []span        // of every document that has pieces
	err    error

	// What was read up to the end of the batch.
	counts Counts
	files  []File
	read   int64
	text   uint64
}

type span struct{ pieces, sentences int }

// pipeline has one goroutine that reads, some that encode; next gives batches in the order of the text. How the text is cut into
// batches depends on the text alone.
type pipeline struct {
	ctx    context.Context
	o      *PrepareOptions
	began  progress
	counts *Counts
	files  []File
	queue  chan *batch   // in order
	tasks  chan *batch   // the same, for whoever comes first
	tokens chan struct{} // as many as batchBytes of text are on their way
	err    error
}

func (q *pipeline) read(docs iter.Seq2[Document, error]) {
	defer close(q.queue)
	defer close(q.tasks)
	n, text := int64(0), uint64(0)
	b := &batch{}
	size := 0
	send := func() bool {
		b.counts, b.files, b.read, b.text, b.done = *q.counts, q.files, n, text, make(chan struct{})
		b.tokens = min(maxTokens, 1+size/batchBytes)
		for range b.tokens {
			select {
			case q.tokens <- struct{}{}:
			case <-q.ctx.Done():
				return false
			}
		}
		q.queue <- b // there is room: every batch has a token
		q.tasks <- b
		b, size = &batch{}, 0
		return true
	}
	fail := func(err error) {
		b.err = err
		b.docs = nil
		send()
	}
	for d, err := range docs {
		if err != nil {
			fail(err)
			return
		}
		if q.o.Documents != nil { // they come from elsewhere, and nobody has counted them
			if len(d.Sentences) == 0 {
				q.counts.Empty++
				continue
			}
			q.counts.add(&d)
		}
		n++
		text = textSum(text, &d)
		if n <= q.began.Read {
			if n == q.began.Read && text != q.began.Text {
				fail(&Mismatch{q.o.Output, fmt.Sprintf("other text: %s, or what is before it, has changed", d.Name)})
				return
			}
			continue
		}
		b.docs = append(b.docs, d)
		for _, s := range d.Sentences {
			size += len(s)
		}
		if size >= batchBytes && !send() {
			return
		}
	}
	if n < q.began.Read {
		fail(&Mismatch{q.o.Output, fmt.Sprintf("more text: %d documents, now there are %d", q.began.Read, n)})
		return
	}
	if len(b.docs) > 0 {
		send()
	}
}

func (q *pipeline) encode() {
	for b := range q.tasks {
		if b.err == nil {
			b.encode(q.o.Tokenizer)
		}
		close(b.done)
	}
}

// encode makes pieces of sentences; a sentence that becomes nothing is left out.
func (b *batch) encode(t Tokenizer) {
	for _, d := range b.docs {
		first, sentences := len(b.pieces), 0
		for _, s := range d.Sentences {
			before := len(b.pieces)
			b.pieces = append(b.pieces, t.Encode(s)...)
			if len(b.pieces) > before {
				b.ends = append(b.ends, int32(len(b.pieces)-first))
				sentences++
			}
		}
		if sentences > 0 {
			b.spans = append(b.spans, span{len(b.pieces) - first, sentences})
		}
	}
	b.docs = nil
	for _, id := range b.pieces {
		if id < 0 || int(id) >= t.VocabSize() {
			b.err = fmt.Errorf("the tokenizer gave piece %d of a vocabulary of %d", id, t.VocabSize())
		}
	}
}

// next gives the next batch that has pieces, nil after the last one. It waits for no one once the context is done.
func (q *pipeline) next() (*batch, error) {
	for {
		var b *batch // nil after the last one
		select {
		case b = <-q.queue:
		case <-q.ctx.Done():
		}
		if b != nil {
			select {
			case <-b.done:
			case <-q.ctx.Done():
			}
		}
		if q.err = q.ctx.Err(); q.err != nil || b == nil {
			return nil, q.err
		}
		for range b.tokens {
			<-q.tokens
		}
		if q.err = b.err; q.err != nil {
			return nil, q.err
		}
		if len(b.spans) > 0 {
			return b, nil
		}
	}
}

// addTo adds a batch's documents to a shard.
func (b *batch) addTo(s *shardWriter) error {
	pieces, ends := b.pieces, b.ends
	for _, d := range b.spans {
		if err := s.add(pieces[:d.pieces], ends[:d.sentences]); err != nil {
			return err
		}
		pieces, ends = pieces[d.pieces:], ends[d.sentences:]
	}
	return nil
}
