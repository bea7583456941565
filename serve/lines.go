package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/wire"
)

// lineIdle is how long a stream may wait for the client to send, or to take, something.
const lineIdle = 5 * time.Minute

const restOfLines = 64 << 10 // bytes of a body that are read to the end, to keep its connection

// settings are the parameters of a route's address, by the names of the command's flags with _ for -.
type settings struct {
	q      *request
	values url.Values
	err    error
	known  map[string]bool
}

func (s *settings) text(name string) string {
	s.known[name] = true
	return s.values.Get(name)
}

func (s *settings) fail(name, want string) {
	s.err = invalid(name, fmt.Sprintf("%s=%s: want %s", name, s.values.Get(name), want))
}

func (s *settings) number(name string, otherwise, least int) int {
	text := s.text(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least {
		s.fail(name, fmt.Sprintf("a whole number from %d on", least))
	}
	return n
}

func (s *settings) flag(name string) *bool {
	if !s.values.Has(name) {
		s.known[name] = true
		return nil
	}
	switch s.text(name) {
	case "", "1", "true", "yes":
		return new(true)
	case "0", "false", "no":
		return new(false)
	}
	s.fail(name, "true or false")
	return nil
}

// windows tells whether texts that are too long are read in windows.
func (s *settings) windows() bool {
	long := s.text("long")
	if long != "" && long != "truncate" && long != "windows" {
		s.fail("long", "truncate or windows")
	}
	return long == "windows"
}

func (s *settings) float(name string) *float64 {
	text := s.text(name)
	if text == "" {
		return nil
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !isFinite(x) {
		s.fail(name, "a number")
	}
	return &x
}

// done refuses parameters that are not known.
func (s *settings) done() error {
	for name := range s.values {
		if !s.known[name] {
			return invalid(name, fmt.Sprintf("the parameter %q is not known", name))
		}
	}
	return s.err
}

// verbs are the streams of lines.
var verbs = []string{"fill", "embed", "classify", "tag", "answer", "choose", "rank"}

// linesRoute answers a stream of lines as albert fill, predict or embed do.
func (q *request) linesRoute(verb string) error {
	if err := q.use(q.r.PathValue("name"), true); err != nil {
		return err
	}
	m, set := q.model.Model, &settings{q: q, values: q.r.URL.Query(), known: map[string]bool{}}
	switch verb {
	case "fill":
		o := infer.FillOptions{TopK: set.number("top_k", 5, 1), Logits: value(set.flag("logits"))}
		return lines(set, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Filled, error], error) {
			return m.Fill(ctx, list, o)
		}, wire.Fillings)
	case "embed":
		o := infer.EmbedOptions{Pooling: infer.Pooling(set.text("pooling")), Layer: set.number("layer", -1, -1), Normalize: set.flag("normalize"),
			Dimensions: set.number("dimensions", 0, 0), MaxSeqLength: set.number("max_seq_length", 0, 0), PromptName: set.text("prompt_name")}
		if text := set.text("prompt"); set.values.Has("prompt") {
			o.Prompt = &text
		}
		form := wire.Embedding
		if o.Pooling == infer.PoolNone {
			form = wire.Embeddings
		}
		return lines(set, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Embedded, error], error) {
			return m.Embed(ctx, list, o)
		}, form)
	case "classify":
		form := wire.Classified(m.Kind, value(set.flag("all")))
		if value(set.flag("logits")) {
			form = wire.Logits
		}
		long := set.windows()
		return lines(set, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Classified, error], error) {
			return m.Classify(ctx, list, long)
		}, form)
	case "tag":
		o := infer.TagOptions{Join: value(set.flag("aggregate")), Logits: value(set.flag("logits")), Long: set.windows()}
		form := wire.Entities
		if o.Logits {
			form = wire.TagLogits
		}
		return lines(set, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Tagged, error], error) {
			return m.Tag(ctx, list, o)
		}, form)
	case "answer":
		k := set.number("top_k", 1, 1)
		o := task.DefaultSpanOptions
		o.MaxSeqLength = set.number("max_seq_length", o.MaxSeqLength, 8)
		o.DocStride = set.number("doc_stride", o.DocStride, 1)
		o.MaxQueryLength = set.number("max_query_length", o.MaxQueryLength, 1)
		o.MaxAnswerLength = set.number("max_answer_length", o.MaxAnswerLength, 1)
		o.NBest = max(set.number("n_best", o.NBest, 1), k)
		form := wire.Spans(m, k, set.float("null_threshold"))
		if value(set.flag("logits")) {
			form = wire.SpanLogits
		}
		return lines(set, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Answered, error], error) {
			return m.Answer(ctx, list, o)
		}, form)
	case "rank":
		form := wire.Ranking
		if value(set.flag("logits")) {
			form = wire.RankingLogits
		}
		return lines(set, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Ranking, error], error) {
			return m.Rank(ctx, list)
		}, form)
	}
	form := wire.Choice
	if value(set.flag("logits")) {
		form = wire.ChoiceLogits
	}
	return lines(set, func(ctx context.Context, list iter.Seq[*infer.Question]) (iter.Seq2[infer.Chosen, error], error) {
		return m.Choose(ctx, list)
	}, form)
}

// lines answers the body's lines, each as soon as its answer is there, at the pace at which the client takes them.
func lines[A any](set *settings, f asker[A], form func(*wire.Item, A) (any, bool)) error {
	q, truncate := set.q, set.flag("truncate")
	if err := set.done(); err != nil {
		return err
	}
	control := http.NewResponseController(q.w)
	reader := &pacedReader{q: q, control: control}
	defer reader.stop()
	body, err := unpacked(q.r, reader)
	if err != nil {
		return err
	}
	items := func(yield func(*wire.Item) bool) {
		for it := range wire.Lines(body, "") {
			it.Whole = truncate != nil && !*truncate
			q.count(&it.Question)
			if !yield(it) {
				return
			}
		}
	}
	out := wire.NewWriter(&pacedWriter{q, control})
	var refused error
	err = wire.Answer(q.ctx, out, items, func(list iter.Seq[*infer.Question]) (iter.Seq2[A, error], error) {
		answers, err := f(q.ctx, list)
		if err != nil {
			refused = err
			return nil, err
		}
		return func(yield func(A, error) bool) {
			first := true
			for a, err := range answers {
				if busy := (*infer.BusyError)(nil); first && errors.As(err, &busy) {
					refused = err
					return
				}
				if first = false; err == nil && !finite(a) {
					err = errNonFinite
					q.s.metrics.problem(q, errNonFinite)
				}
				if !yield(a, err) {
					return
				}
			}
		}, nil
	}, form)
	switch {
	case refused != nil:
		return refused
	case q.ctx.Err() != nil:
		q.abort = q.w.status != 0
		return context.Cause(q.ctx)
	case q.w.status == 0 && err == nil:
		q.w.Header().Set("Content-Type", "application/x-ndjson") // no line, no answer
		q.w.WriteHeader(http.StatusOK)
	}
	return nil // what failed stands in its line
}

// pacedReader reads the body as long as something comes now and then.
type pacedReader struct {
	q       *request
	control *http.ResponseController
	mu      sync.Mutex // held while the body is read
	begun   atomic.Bool
	ended   atomic.Bool // the body was read to its end
	stopped atomic.Bool
}

func (r *pacedReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped.Load() {
		return 0, errStopped
	}
	if !r.begun.Swap(true) {
		_ = r.control.EnableFullDuplex() // not every writer has it, and needs it
	}
	_ = r.control.SetReadDeadline(time.Now().Add(lineIdle))
	if r.stopped.Load() { // it set another deadline
		return 0, errStopped
	}
	n, err := r.q.r.Body.Read(p)
	if err == io.EOF {
		r.ended.Store(true)
	}
	if err == io.ErrUnexpectedEOF {
		err = errors.New("the body is cut short")
	}
	return n, err
}

// stop waits until nobody reads the body any more, and reads a little that is left of it. A connection whose body does not end with that is closed.
func (r *pacedReader) stop() {
	r.stopped.Store(true)
	if r.begun.Load() && !r.ended.Load() {
		_ = r.control.SetReadDeadline(time.Now())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.control.SetWriteDeadline(time.Time{})
	if !r.begun.Load() {
		return
	}
	if !r.ended.Load() {
		r.q.bodyWithin(time.Second)
		_, err := io.CopyN(io.Discard, r.q.r.Body, restOfLines)
		if err != io.EOF { // the deadline stays, for net/http
			r.q.w.Header().Set("Connection", "close")
			r.q.abort = r.q.w.status != 0
			return
		}
	}
	_ = r.control.SetReadDeadline(time.Time{})
}

// pacedWriter sends what it gets at once.
type pacedWriter struct {
	q       *request
	control *http.ResponseController
}

func (w *pacedWriter) Write(p []byte) (int, error) {
	if w.q.ctx.Err() != nil {
		return 0, context.Cause(w.q.ctx)
	}
	if w.q.w.status == 0 {
		w.q.w.Header().Set("Content-Type", "application/x-ndjson")
		w.q.w.Header().Set("X-Content-Type-Options", "nosniff")
	}
	_ = w.control.SetWriteDeadline(time.Now().Add(lineIdle))
	n, err := w.q.w.Write(p)
	if err == nil {
		_ = w.control.Flush()
	}
	return n, err
}
