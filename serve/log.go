package serve

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// traceIDs are W3C's (traceparent): of the trace that a request belongs to, and of our part in it.
type traceIDs struct{ trace, parent, span, flags string }

var traceParent = regexp.MustCompile("^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")

// traceOf goes on with the trace of a request, or begins one.
func traceOf(h http.Header) traceIDs {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails
	ids := traceIDs{trace: hex.EncodeToString(random[:16]), span: hex.EncodeToString(random[16:]), flags: "00"}
	m := traceParent.FindStringSubmatch(strings.TrimSpace(h.Get("Traceparent")))
	if m != nil && strings.Trim(m[1], "0") != "" && strings.Trim(m[2], "0") != "" {
		ids.trace, ids.parent, ids.flags = m[1], m[2], m[3]
	}
	return ids
}

func (t traceIDs) String() string { return "00-" + t.trace + "-" + t.span + "-" + t.flags }

// finished counts and logs a request that was answered.
func (q *request) finished() {
	took := time.Since(q.began)
	q.s.metrics.request(q, took)
	if q.route.open && q.w.status < 400 {
		return // health: too many
	}
	attrs := []any{"method", q.r.Method, "path", q.r.URL.Path, "route", q.route.path, "status", q.w.status, "bytes", q.w.bytes,
		"ms", float64(took.Microseconds()) / 1000, "trace_id", q.ids.trace, "span_id", q.ids.span, "client", q.r.RemoteAddr}
	if q.ids.parent != "" {
		attrs = append(attrs, "parent_id", q.ids.parent)
	}
	if q.model != nil {
		attrs = append(attrs, "model", q.modelName(), "pieces", q.trace.Pieces.Load())
	}
	if q.key != "" {
		attrs = append(attrs, "key", q.key)
	}
	q.s.log.Info("request", attrs...)
}

// cors answers what a browser asks before it asks for another page's script, and lets that page read answers.
func (s *Server) cors(q *request) bool {
	if s.o.CORSOrigin == "" {
		return false
	}
	h := q.w.Header()
	h.Set("Access-Control-Allow-Origin", s.o.CORSOrigin)
	h.Set("Access-Control-Expose-Headers", "*")
	if s.o.CORSOrigin != "*" {
		h.Add("Vary", "Origin")
	}
	if q.r.Method != http.MethodOptions || q.r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key, X-Request-Timeout, Traceparent")
	h.Set("Access-Control-Max-Age", "86400")
	q.w.WriteHeader(http.StatusNoContent)
	return true
}
