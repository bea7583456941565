package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"albert/internal/infer"
)

// problem is why a request has no answer.
type problem struct {
	status  int // by the families whose statuses are TEI's; [problem.statusFor] has others'
	kind    string
	message string
	param   string // the field at fault
	waiting int    // pieces that wait, of busy
}

func (p *problem) Error() string { return p.message }

// The kinds of problems: TEI's error_type for those that it has.
const (
	kindEmpty      = "Empty"
	kindValidation = "Validation" // what was asked is wrong
	kindMalformed  = "Malformed"  // the body cannot be read
	kindTooLarge   = "TooLarge"
	kindBackend    = "Backend" // the model cannot do that
	kindOverloaded = "Overloaded"
	kindUnhealthy  = "Unhealthy"
	kindKey        = "Unauthorized"
	kindForbidden  = "Forbidden"
	kindNotFound   = "NotFound"
	kindMethod     = "MethodNotAllowed"
	kindTimeout    = "Timeout"
	kindSlow       = "SlowRequest"
	kindInternal   = "Internal"
	kindNonFinite  = "NonFinite" // the model made NaN or infinity
	kindGone       = "Gone"      // the client went away
)

var statuses = map[string]int{kindEmpty: 400, kindValidation: 422, kindMalformed: 400, kindTooLarge: 413, kindBackend: 424,
	kindOverloaded: 429, kindUnhealthy: 503, kindKey: 401, kindForbidden: 403, kindNotFound: 404, kindMethod: 405, kindTimeout: 504, kindSlow: 408,
	kindInternal: 500, kindNonFinite: 500, kindGone: 499}

func newProblem(kind, message string) *problem {
	return &problem{status: statuses[kind], kind: kind, message: message}
}

func invalid(param, message string) *problem {
	p := newProblem(kindValidation, message)
	p.param = param
	return p
}

var (
	errTimeout   = errors.New("the time that X-Request-Timeout gives is over")
	errNonFinite = newProblem(kindNonFinite, "the model gives a number that is not finite: its weights are broken")
)

// problemOf is the problem that an error of asking is.
func problemOf(err error) *problem {
	var p *problem
	var in *infer.InputError
	var busy *infer.BusyError
	var kind *infer.KindError
	var failed *infer.PanicError
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded):
		return newProblem(kindTimeout, errTimeout.Error())
	case errors.Is(err, errStopped), errors.Is(err, infer.ErrClosed):
		return newProblem(kindUnhealthy, errStopped.Error())
	case errors.Is(err, context.Canceled):
		return newProblem(kindGone, "the client went away")
	case errors.As(err, &busy):
		p := newProblem(kindOverloaded, busy.Error())
		p.waiting = busy.Waiting
		return p
	case errors.As(err, &kind), errors.Is(err, infer.ErrNoTokenizer):
		return newProblem(kindBackend, err.Error())
	case errors.As(err, &failed):
		return newProblem(kindInternal, "internal error")
	case errors.As(err, &in):
		return invalid(in.Field, err.Error())
	}
	return newProblem(kindValidation, err.Error())
}

// family is a group of routes that tell problems in the same form.
type family string

const (
	tei      family = "tei"
	openAI   family = "openai"
	cohere   family = "cohere"
	pipeline family = "huggingface"
	kserve   family = "kserve"
	ours     family = "albert"
	operator family = "operation"
)

// statusFor is the status by which a family tells a problem.
func (p *problem) statusFor(f family) int {
	switch {
	case f == tei || f == pipeline || f == ours || f == operator:
	case p.kind == kindValidation || p.kind == kindBackend:
		return http.StatusBadRequest
	}
	return p.status
}

// openAIError is the form of a problem for OpenAI's clients.
type openAIError struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

// teiError is the form of TEI, and for all others but OpenAI, Cohere and KServe.
type teiError struct {
	Error string `json:"error"`
	Type  string `json:"error_type"`
}

type cohereError struct {
	Message string `json:"message"`
}

type kserveError struct {
	Error string `json:"error"`
}

// form is a family's form of a problem.
func (p *problem) form(f family) any {
	switch f {
	case cohere:
		return cohereError{p.message}
	case kserve:
		return kserveError{p.message}
	case openAI:
		var e openAIError
		e.Error.Message, e.Error.Type = p.message, "invalid_request_error"
		code := ""
		switch p.kind {
		case kindKey:
			code = "invalid_api_key"
		case kindNotFound:
			code = "model_not_found"
		case kindOverloaded:
			e.Error.Type, code = "rate_limit_exceeded", "rate_limit_exceeded"
		default:
			if p.status >= 500 {
				e.Error.Type, code = "server_error", "server_error"
			}
		}
		if code != "" {
			e.Error.Code = &code
		}
		if p.param != "" {
			e.Error.Param = &p.param
		}
		return e
	}
	return teiError{p.message, p.kind}
}

// writeProblem answers with a problem.
func (q *request) writeProblem(p *problem) {
	h := q.w.Header()
	status := p.statusFor(q.route.family)
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Error-Message", headerText(p.message))
	switch p.kind {
	case kindOverloaded:
		ms := q.s.retryAfter(p.waiting)
		h.Set("Retry-After", strconv.Itoa((ms+999)/1000))
		h.Set("Retry-After-Ms", strconv.Itoa(ms))
		h.Set("X-Queue-Length", strconv.Itoa(p.waiting))
	case kindUnhealthy:
		h.Set("Retry-After", "1")
	case kindKey:
		h.Set("WWW-Authenticate", "Bearer")
	}
	text, _ := json.Marshal(p.form(q.route.family))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(text) // of no use to a client that went away
}

// headerText makes a message fit for a header: printable ASCII, not too long.
func headerText(s string) string {
	b := []byte(s[:min(len(s), 300)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// retryAfter is after how many milliseconds what waits has probably run.
func (s *Server) retryAfter(waiting int) int {
	rate := s.metrics.piecesPerSecond()
	if !(rate > 0) {
		return 1000
	}
	return min(60_000, max(100, int(1000*float64(waiting)/rate)))
}
