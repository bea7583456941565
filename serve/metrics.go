package serve

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"albert/internal/infer"
)

// metrics counts for Prometheus, in its text form. That is so little here that the client library and its eight modules are not worth their weight.
type metrics struct {
	s *Server

	mu       sync.Mutex
	counters map[string]map[string]float64    // by name, then by labels
	spread   map[string]map[string]*histogram // likewise
	inFlight int
}

// histogram counts values up to each bound of its metric, the last of which is infinite.
type histogram struct {
	counts []uint64
	sum    float64
}

var (
	seconds    = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, math.Inf(1)}
	pieceSteps = []float64{8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, math.Inf(1)}
	textSteps  = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, math.Inf(1)}
)

// described are the metrics: their types, bounds and meanings.
var described = map[string]struct {
	kind   string
	bounds []float64
	help   string
}{
	"albert_requests_total":            {"counter", nil, "Requests by model, route and status."},
	"albert_errors_total":              {"counter", nil, "Requests without an answer by kind."},
	"albert_request_seconds":           {"histogram", seconds, "Time of requests by model and route."},
	"albert_pieces_total":              {"counter", nil, "Pieces (tokens) that ran by model."},
	"albert_padding_pieces_total":      {"counter", nil, "Pieces of padding that ran: none, as batches are ragged."},
	"albert_nonfinite_total":           {"counter", nil, "Answers that were not finite by model."},
	"albert_batch_pieces":              {"histogram", pieceSteps, "Pieces of batches by model."},
	"albert_batch_texts":               {"histogram", textSteps, "Texts, or windows, of batches by model."},
	"albert_batch_seconds":             {"histogram", seconds, "Time of batches by model."},
	"albert_queue_pieces":              {"gauge", nil, "Pieces that wait for a batch by model."},
	"albert_queue_limit_pieces":        {"gauge", nil, "Pieces that may wait."},
	"albert_requests_in_flight":        {"gauge", nil, "Requests under way."},
	"albert_model_opened_seconds":      {"gauge", nil, "When the model's files were opened, Unix time."},
	"albert_memory_bytes":              {"gauge", nil, "Memory that the program got from the system."},
	"albert_body_bytes":                {"gauge", nil, "Bytes of request bodies that are held."},
	"te_request_count":                 {"counter", nil, "Requests (TEI's name)."},
	"te_request_success":               {"counter", nil, "Requests that were answered (TEI's name)."},
	"te_request_failure":               {"counter", nil, "Requests that were not by kind (TEI's name)."},
	"te_request_duration":              {"histogram", seconds, "Seconds of requests (TEI's name)."},
	"te_request_tokenization_duration": {"histogram", seconds, "Seconds of tokenising a text (TEI's name)."},
	"te_request_queue_duration":        {"histogram", seconds, "Seconds that a text waited (TEI's name)."},
	"te_request_inference_duration":    {"histogram", seconds, "Seconds of a text's batch (TEI's name)."},
	"te_request_input_length":          {"histogram", pieceSteps, "Pieces of requests (TEI's name)."},
	"te_batch_next_size":               {"histogram", textSteps, "Texts of batches (TEI's name)."},
	"te_batch_next_tokens":             {"histogram", pieceSteps, "Pieces of batches (TEI's name)."},
	"te_queue_size":                    {"gauge", nil, "Pieces that wait (TEI's name)."},
}

func newMetrics(s *Server) *metrics {
	m := &metrics{s: s, counters: map[string]map[string]float64{}, spread: map[string]map[string]*histogram{}}
	for _, name := range []string{"te_request_count", "te_request_success", "albert_padding_pieces_total"} {
		m.add(name, 0)
	}
	for _, e := range s.models {
		m.add("albert_nonfinite_total", 0, "model", e.name)
		m.add("albert_pieces_total", 0, "model", e.name)
	}
	return m
}

var escaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// labels writes names and values as Prometheus has them.
func labels(pairs []string) string {
	if len(pairs) == 0 {
		return ""
	}
	text := make([]byte, 0, 128)
	for i := 0; i < len(pairs); i += 2 { // without fmt: some are written for every request
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(append(text, pairs[i]...), `="`...), escaped.Replace(pairs[i+1])...), '"')
	}
	return string(text)
}

// add counts; m.mu is held, or m is new.
func (m *metrics) add(name string, x float64, pairs ...string) {
	if m.counters[name] == nil {
		m.counters[name] = map[string]float64{}
	}
	m.counters[name][labels(pairs)] += x
}

// observe notes a value; m.mu is held.
func (m *metrics) observe(name string, x float64, pairs ...string) {
	if m.spread[name] == nil {
		m.spread[name] = map[string]*histogram{}
	}
	l, bounds := labels(pairs), described[name].bounds
	h := m.spread[name][l]
	if h == nil {
		h = &histogram{counts: make([]uint64, len(bounds))}
		m.spread[name][l] = h
	}
	for i, bound := range bounds {
		if x <= bound {
			h.counts[i]++
		}
	}
	h.sum += x
}

// begin and request count a request.
func (m *metrics) begin() {
	m.mu.Lock()
	m.inFlight++
	m.mu.Unlock()
}

func (m *metrics) request(q *request, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inFlight--
	m.add("albert_requests_total", 1, "model", q.modelName(), "route", q.route.path, "status", strconv.Itoa(q.w.status))
	if q.route.open || q.model == nil {
		return
	}
	m.observe("albert_request_seconds", took.Seconds(), "model", q.modelName(), "route", q.route.path)
	m.add("te_request_count", 1, "method", q.route.path)
	m.observe("te_request_duration", took.Seconds())
	if q.w.status < 400 {
		m.add("te_request_success", 1, "method", q.route.path)
	}
	if n := q.trace.Examples.Load(); n > 0 {
		each := func(nanoseconds int64) float64 { return time.Duration(nanoseconds / n).Seconds() }
		m.observe("te_request_tokenization_duration", each(q.trace.Layout.Load()))
		m.observe("te_request_queue_duration", each(q.trace.Queue.Load()))
		m.observe("te_request_inference_duration", each(q.trace.Run.Load()))
		m.observe("te_request_input_length", float64(q.trace.Pieces.Load()))
	}
}

// problem counts why a request has no answer.
func (m *metrics) problem(q *request, p *problem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add("albert_errors_total", 1, "kind", p.kind)
	m.add("te_request_failure", 1, "err", strings.ToLower(p.kind))
	if p.kind == kindNonFinite {
		m.add("albert_nonfinite_total", 1, "model", q.modelName())
	}
}

// batch counts a batch.
func (m *metrics) batch(name string, b infer.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add("albert_pieces_total", float64(b.Pieces), "model", name)
	m.observe("albert_batch_pieces", float64(b.Pieces), "model", name)
	m.observe("albert_batch_texts", float64(b.Sequences), "model", name)
	m.observe("albert_batch_seconds", b.Time.Seconds(), "model", name)
	m.observe("te_batch_next_size", float64(b.Sequences))
	m.observe("te_batch_next_tokens", float64(b.Pieces))
}

// piecesPerSecond is the speed of all batches so far; NaN: none ran.
func (m *metrics) piecesPerSecond() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := func(name string) (x float64) {
		for _, h := range m.spread[name] {
			x += h.sum
		}
		return x
	}
	return sum("albert_batch_pieces") / sum("albert_batch_seconds")
}

// gauges are what is measured when it is asked for.
func (m *metrics) gauges() map[string]map[string]float64 {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	g := map[string]map[string]float64{"albert_memory_bytes": {"": float64(memory.Sys - memory.HeapReleased)}, "albert_body_bytes": {"": float64(m.s.bodies.Load())},
		"albert_queue_limit_pieces": {"": float64(m.s.o.MaxQueueTokens)}, "albert_queue_pieces": {}, "albert_model_opened_seconds": {}, "te_queue_size": {"": 0}}
	for _, e := range m.s.models {
		if o := e.hold(); o != nil {
			n := float64(o.Waiting())
			l := labels([]string{"model", e.name})
			g["albert_queue_pieces"][l] = n
			g["albert_model_opened_seconds"][l] = float64(o.since.Unix())
			g["te_queue_size"][""] += n
			o.release()
		}
	}
	return g
}

func (q *request) metricsRoute() error {
	m := q.s.metrics
	gauges := m.gauges()
	m.mu.Lock()
	gauges["albert_requests_in_flight"] = map[string]float64{"": float64(m.inFlight)}
	var b strings.Builder
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	line := func(name, labels string, x float64) {
		if labels != "" {
			labels = "{" + labels + "}"
		}
		fmt.Fprintf(&b, "%s%s %s\n", name, labels, number(x))
	}
	for _, name := range slices.Sorted(maps.Keys(described)) {
		d := described[name]
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, d.help, name, d.kind)
		values := m.counters[name]
		if d.kind == "gauge" {
			values = gauges[name]
		}
		for _, l := range slices.Sorted(maps.Keys(values)) {
			line(name, l, values[l])
		}
		for _, l := range slices.Sorted(maps.Keys(m.spread[name])) {
			h := m.spread[name][l]
			comma := ""
			if l != "" {
				comma = ","
			}
			for i, bound := range d.bounds {
				line(name+"_bucket", l+comma+`le="`+number(bound)+`"`, float64(h.counts[i]))
			}
			line(name+"_sum", l, h.sum)
			line(name+"_count", l, float64(h.counts[len(h.counts)-1]))
		}
	}
	m.mu.Unlock()
	q.w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	q.w.WriteHeader(http.StatusOK)
	_, err := q.w.Write([]byte(b.String()))
	return gone(err)
}
