package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"
	"unicode/utf8"

	"albert/internal/infer"
)

// request is a request under way.
type request struct {
	s     *Server
	w     *recorder
	r     *http.Request
	route *route
	ctx   context.Context

	began time.Time
	trace infer.Trace
	chars int     // characters of texts
	model *opened // nil: none was asked
	key   string  // the name of the key that was given
	ids   traceIDs
	held  int64 // bytes of its body, counted in s.bodies
	abort bool  // a part of an answer was written that will not be whole
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int // 0: nothing yet
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handle answers a request on a route.
func (s *Server) handle(w http.ResponseWriter, r *http.Request, route *route) {
	q := &request{s: s, w: &recorder{ResponseWriter: w}, r: r, route: route, began: time.Now(), ids: traceOf(r.Header)}
	w.Header().Set("Traceparent", q.ids.String())
	if r.ContentLength != 0 { // net/http reads what an answer leaves of the body
		q.bodyWithin(bodyGrace)
	}
	s.metrics.begin()
	defer func() {
		if v := recover(); v != nil {
			s.log.Error("panic", "error", fmt.Sprint(v), "stack", string(debug.Stack()), "trace_id", q.ids.trace)
			q.abort = q.w.status != 0
			q.fail(newProblem(kindInternal, "internal error"))
		}
		if q.model != nil {
			q.model.release()
		}
		s.bodies.Add(-q.held)
		q.finished()
		if q.abort {
			panic(http.ErrAbortHandler) // the answer is not whole: the connection says so
		}
	}()
	if s.cors(q) {
		return
	}
	if err := q.run(); err != nil {
		q.fail(problemOf(err))
	}
}

// fail answers with a problem, unless an answer has begun.
func (q *request) fail(p *problem) {
	q.s.metrics.problem(q, p)
	if p.kind == kindInternal || p.kind == kindNonFinite {
		q.s.log.Error(p.message, "route", q.route.path, "model", q.modelName(), "trace_id", q.ids.trace)
	}
	switch {
	case q.w.status != 0:
	case p.kind == kindGone:
		q.w.status, q.abort = p.status, true // nobody reads it
	default:
		q.writeProblem(p)
	}
}

// run answers, or tells why not.
func (q *request) run() error {
	s, route := q.s, q.route
	q.ctx = q.r.Context()
	if route.do == nil {
		return newProblem(kindNotFound, fmt.Sprintf("there is no route %s: /docs lists all", q.r.URL.Path))
	}
	if !route.open {
		name, ok := s.o.Keys.find(q.r.Header)
		if q.key = name; !ok {
			return newProblem(kindKey, "the key is missing or wrong: want the header Authorization: Bearer KEY")
		}
	}
	if !route.open && !route.always {
		if !s.enter() {
			q.w.Header().Set("Connection", "close")
			return newProblem(kindUnhealthy, errStopped.Error())
		}
		defer s.leave()
	}
	ctx, cancel := context.WithCancelCause(q.ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(errStopped) })()
	if text := q.r.Header.Get("X-Request-Timeout"); text != "" {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds > 0) || seconds > 1e6 {
			return newProblem(kindMalformed, "X-Request-Timeout is not a number of seconds above 0")
		}
		var end context.CancelFunc
		ctx, end = context.WithTimeoutCause(ctx, time.Duration(seconds*float64(time.Second)), errTimeout)
		defer end()
	}
	q.ctx = infer.WithTrace(ctx, &q.trace)
	return route.do(q)
}

// use takes the model of a name, or where there is none the first one. strict: the name must be a served model's; else any name will do where one is served.
func (q *request) use(name string, strict bool) error {
	e := q.s.entry(name)
	if e == nil && (name == "" || !strict && len(q.s.models) == 1) {
		e = q.s.models[0]
	}
	if e == nil {
		var names []string
		for _, e := range q.s.models {
			names = append(names, e.name)
		}
		return &problem{status: 404, kind: kindNotFound, param: "model", message: fmt.Sprintf("there is no model %q: want one of %q", name, names)}
	}
	if q.model = e.hold(); q.model == nil {
		return newProblem(kindUnhealthy, "the model is not loaded yet; that of a run is there when the run has saved its first checkpoint")
	}
	return nil
}

func (q *request) modelName() string {
	if q.model == nil {
		return ""
	}
	return q.model.entry.name
}

const maxDepth = 64 // of JSON

// reading makes a route's function of one that gets its body's JSON.
func reading[T any](do func(q *request, body *T) error) func(q *request) error {
	return func(q *request) error {
		text, err := q.body()
		if err != nil {
			return err
		}
		return decoded(q, text, do)
	}
}

// decoded calls do with a text's JSON.
func decoded[T any](q *request, text []byte, do func(q *request, body *T) error) error {
	var b T
	if err := decode(text, &b); err != nil {
		return err
	}
	return do(q, &b)
}

// decode reads JSON, which must be UTF-8, not too deep and of v's types.
func decode(text []byte, v any) error {
	if !utf8.Valid(text) {
		return newProblem(kindMalformed, "the body is not UTF-8")
	}
	if depth(text) > maxDepth {
		return newProblem(kindMalformed, fmt.Sprintf("the JSON is more than %d lists and objects deep", maxDepth))
	}
	err := json.Unmarshal(text, v)
	var te *json.UnmarshalTypeError
	var p *problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p
	case errors.As(err, &te):
		return invalid(te.Field, fmt.Sprintf("%s: a JSON %s does not fit here", cmp.Or(te.Field, "the body"), te.Value))
	}
	return newProblem(kindMalformed, "broken JSON: "+err.Error())
}

// depth is how deep the lists and objects of a JSON text stand in one another.
func depth(text []byte) (most int) {
	now, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			now++
			most = max(most, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return most
}

// json answers with a value. A number in it that is not finite is a problem.
func (q *request) json(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return errNonFinite
	}
	q.timeHeaders()
	q.w.Header().Set("Content-Type", "application/json")
	q.w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, err = q.w.Write(text)
	return gone(err)
}

// gone is the problem of an answer that cannot be written.
func gone(err error) error {
	if err != nil {
		return newProblem(kindGone, "the client went away")
	}
	return nil
}

// timeHeaders are TEI's: milliseconds, pieces and characters.
func (q *request) timeHeaders() {
	if q.model == nil {
		return
	}
	h, n := q.w.Header(), max(1, q.trace.Examples.Load())
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	h.Set("X-Compute-Type", "cpu")
	h.Set("X-Compute-Time", ms(time.Since(q.began)))
	h.Set("X-Compute-Characters", strconv.Itoa(q.chars))
	h.Set("X-Compute-Tokens", strconv.FormatInt(q.trace.Pieces.Load(), 10))
	h.Set("X-Total-Time", ms(time.Since(q.began)))
	h.Set("X-Tokenization-Time", ms(time.Duration(q.trace.Layout.Load()/n)))
	h.Set("X-Queue-Time", ms(time.Duration(q.trace.Queue.Load()/n)))
	h.Set("X-Inference-Time", ms(time.Duration(q.trace.Run.Load()/n)))
}
