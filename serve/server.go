package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"albert/internal/formats"
	"albert/internal/infer"
)

// Model names a model to serve.
type Model struct {
	Name string // in routes and answers
	Path string // what albert.Open takes; a run is shown on the page
	FS   fs.FS  // nil: the disk's; else Path is a directory of it, as albert.OpenFS takes it
}

// Options of [New]. Zero values are the defaults.
type Options struct {
	Models         []Model   // at least one; the first answers where a route names none
	Precision      string    // of matrix products: fp32 or int8; "": what the model's files say
	Threads        int       // of each model; 0: all
	MaxBatchTokens int       // pieces of a batch; 0: 256
	MaxQueueTokens int       // pieces that may wait for a batch, of each model; more are refused with 429; 0: 65,536
	MaxBody        int64     // bytes of a request's body, as sent and unpacked; 0: 32 MiB. Streams of lines have no bound but on each line
	Keys           Keys      // who may ask; none: everybody
	CORSOrigin     string    // a web page's origin that may ask, or *; "": none
	AllowTokenIDs  bool      // /v1/embeddings takes lists of numbers
	Version        string    // of the program, for /info and others
	Log            io.Writer // gets a JSON line for each request; nil: none
}

// Server answers requests. Close it when no request is under way.
type Server struct {
	o       Options
	models  []*entry
	mux     *http.ServeMux
	routes  []*route
	metrics *metrics
	log     *slog.Logger
	bodies  atomic.Int64  // bytes of bodies that are held
	reading chan struct{} // one may read a whole run

	ctx    context.Context // ends the requests under way
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	draining bool
	requests int           // under way, but those about the server's health
	idle     chan struct{} // closed when draining and no request is under way
}

// errStopped ends requests that are under way when the server is closed.
var errStopped = errors.New("the server is stopping")

// New makes a server of models that are not opened yet: it is live, and not ready before [Server.Load].
func New(o Options) (*Server, error) {
	if len(o.Models) == 0 {
		return nil, errors.New("no model to serve")
	}
	if o.MaxBatchTokens < 0 || o.MaxQueueTokens < 0 || o.MaxBody < 0 {
		return nil, errors.New("a limit below 0")
	}
	o.MaxBatchTokens, o.MaxQueueTokens, o.MaxBody = cmp.Or(o.MaxBatchTokens, infer.BatchPieces), cmp.Or(o.MaxQueueTokens, 65536), cmp.Or(o.MaxBody, 32<<20)
	s := &Server{o: o, mux: http.NewServeMux(), idle: make(chan struct{}), reading: make(chan struct{}, 1), log: slog.New(slog.DiscardHandler)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if o.Log != nil {
		s.log = slog.New(slog.NewJSONHandler(o.Log, nil))
	}
	for _, m := range o.Models {
		if m.Name == "" {
			return nil, fmt.Errorf("%s: a model needs a name", m.Path)
		}
		if s.entry(m.Name) != nil {
			return nil, fmt.Errorf("two models are named %q: give one another name, NAME=%s", m.Name, m.Path)
		}
		s.models = append(s.models, &entry{s: s, name: m.Name, path: m.Path, fs: m.FS})
	}
	s.metrics = newMetrics(s)
	s.addRoutes()
	return s, nil
}

// Load opens the models. An error names the one that cannot be opened.
func (s *Server) Load() error {
	for _, e := range s.models {
		if err := e.load(false); err != nil {
			return err
		}
	}
	return nil
}

// Reload opens a model's files anew, or those of all models where name is "". Requests under way are answered by the model that they began with. A model
// that cannot be opened stays what it was.
func (s *Server) Reload(name string) error {
	var failed []error
	for _, e := range s.models {
		if name == "" || e.name == name {
			err := e.load(true)
			failed = append(failed, err)
			if err == nil {
				s.log.Info("reloaded", "model", e.name)
			} else {
				s.log.Error("not reloaded", "model", e.name, "error", err.Error())
			}
		}
	}
	return errors.Join(failed...)
}

// Ready tells whether all models are open, but those of runs that have none yet, at least one is, and the server is not draining.
func (s *Server) Ready() bool {
	s.mu.Lock()
	ready := !s.draining
	s.mu.Unlock()
	some := false
	for _, e := range s.models {
		if m := e.hold(); m != nil {
			some = true
			m.release()
		} else if _, awaited := e.state(); !awaited {
			return false
		}
	}
	return ready && some
}

// Drain refuses new requests and waits until those under way are answered, or ctx ends: then its error is returned.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	if !s.draining {
		s.draining = true
		if s.requests == 0 {
			close(s.idle)
		}
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter counts a request, unless the server is draining.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.requests++
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests--; s.requests == 0 && s.draining {
		close(s.idle)
	}
}

// Close ends what is under way and closes the models.
func (s *Server) Close() error {
	s.cancel(errStopped)
	for _, e := range s.models {
		e.close()
	}
	return nil
}

// entry is a served model: its name, and what is opened under it now.
type entry struct {
	s          *Server
	name, path string
	fs         fs.FS

	loading sync.Mutex
	mu      sync.Mutex
	now     *opened // nil: not yet
	awaited bool    // it is of a run that had none when the server began
	closed  bool
}

// opened is a model as it was opened once. It is closed when it was replaced and no request holds it any more.
type opened struct {
	*infer.Model
	entry  *entry
	since  time.Time
	inUse  int // requests that hold it
	old    bool
	leftly func() *infer.Model
}

func (s *Server) entry(name string) *entry {
	for _, e := range s.models {
		if e.name == name {
			return e
		}
	}
	return nil
}

// load opens the model's files and puts it in the place of the one before; without again one that is open stays. That a run has no model yet is no
// error: [entry.hold] opens it when there is one.
func (e *entry) load(again bool) error {
	e.loading.Lock()
	defer e.loading.Unlock()
	isOpen, _ := e.state()
	if isOpen && !again {
		return nil
	}
	o := e.s.o
	options := infer.Options{Threads: o.Threads, Precision: infer.Precision(o.Precision), BatchPieces: o.MaxBatchTokens,
		QueuePieces: o.MaxQueueTokens, OnBatch: func(b infer.Batch) { e.s.metrics.batch(e.name, b) }}
	m, err := e.open(options)
	if err != nil && !isOpen && e.unborn() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.s.log.Warn("the run has no model yet", "model", e.name, "error", err.Error())
		e.awaited = true
		return nil
	}
	if err != nil {
		return err
	}
	now := &opened{Model: m, entry: e, since: time.Now(), leftly: sync.OnceValue(func() *infer.Model { return m.CutAt("left") })}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		go m.Close()
		return errStopped
	}
	e.replace(now)
	return nil
}

func (e *entry) open(o infer.Options) (*infer.Model, error) {
	if e.fs == nil {
		return infer.Open(e.path, o)
	}
	f, err := formats.OpenFS(e.fs, e.path)
	if err != nil {
		return nil, err
	}
	return infer.New(f, o)
}

// replace puts a model in the place of the one before; e.mu is held.
func (e *entry) replace(by *opened) {
	if was := e.now; was != nil {
		if was.old = true; was.inUse == 0 {
			go was.Close()
		}
	}
	e.now = by
}

// state tells whether the model is open, or that of a run which had none when the server began.
func (e *entry) state() (isOpen, awaited bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now != nil, e.awaited
}

func (e *entry) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.replace(nil)
}

// hold gives the model for a request, which releases it; nil: it is not open.
func (e *entry) hold() *opened {
	if isOpen, awaited := e.state(); !isOpen && awaited && !e.unborn() {
		if err := e.load(false); err != nil { // it is tried again with the next request
			e.s.log.Error("not opened", "model", e.name, "error", err.Error())
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.now != nil {
		e.now.inUse++
	}
	return e.now
}

func (o *opened) release() {
	o.entry.mu.Lock()
	defer o.entry.mu.Unlock()
	if o.inUse--; o.inUse == 0 && o.old {
		go o.Close()
	}
}
