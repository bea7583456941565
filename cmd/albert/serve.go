package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"albert/internal/run"
	"albert/serve"
)

// ServeCmd answers over HTTP.
type ServeCmd struct {
	Models []string `arg:"" name:"model" help:"Model directory, run directory or model file, or NAME=MODEL; the name in routes is the directory's last part otherwise."`
	Host   string   `default:"127.0.0.1" help:"The address to listen at; 0.0.0.0 for all (give --api-key-file then)."`
	Port   int      `default:"8080" range:"[0,65535]" help:"The port; 0 takes a free one."`

	APIKeyFile string        `name:"api-key-file" type:"path" help:"Who asks must have one of these keys: a line KEY, or NAME KEY, each." placeholder:"FILE"`
	TLSCert    string        `name:"tls-cert" type:"path" help:"Serve HTTPS with this certificate (PEM)." placeholder:"FILE"`
	TLSKey     string        `name:"tls-key" type:"path" help:"The certificate's key (PEM)." placeholder:"FILE"`
	CORSOrigin string        `name:"cors-origin" help:"Let web pages of this origin ask; * for all." placeholder:"ORIGIN"`
	Drain      time.Duration `default:"30s" help:"After SIGTERM or SIGINT what was accepted is answered within this time."`

	MaxBatchTokens int   `default:"256" range:"[1,)" help:"Pieces of a batch."`
	MaxQueueTokens int   `default:"65536" range:"[1,)" help:"Pieces that may wait for a batch, of each model; more are refused (429)."`
	MaxBody        int64 `default:"33554432" range:"[1,)" help:"Bytes of a request's body, as sent and unpacked."`
	MaxConnections int   `default:"4096" range:"[1,)" help:"Connections at once; more wait."`
	AllowTokenIDs  bool  `name:"allow-token-ids" negatable:"" help:"Let /v1/embeddings take lists of token ids."`
	precisionFlag
	allFlags
}

// Help says how to ask.
func (c *ServeCmd) Help() string {
	return `albert serve RUN --port 8080
curl localhost:8080/embed -d '{"inputs": "a text"}'

The address in a browser is a page to try the models; it shows the curves of a RUN, too.
SIGHUP opens the models' files anew. /docs lists the routes; docs/serving.md has clients, limits and sizing.`
}

// Run serves until a signal.
func (c *ServeCmd) Run(ctx context.Context) error {
	if err := run.Check(c); err != nil {
		return usage(err)
	}
	o := serve.Options{Precision: string(c.Precision), Threads: c.Threads, MaxBatchTokens: c.MaxBatchTokens, MaxQueueTokens: c.MaxQueueTokens, MaxBody: c.MaxBody,
		CORSOrigin: c.CORSOrigin, AllowTokenIDs: c.AllowTokenIDs, Version: run.Version}
	if !c.Quiet {
		o.Log = os.Stderr
	}
	for _, arg := range c.Models {
		o.Models = append(o.Models, namedModel(arg))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	if c.APIKeyFile != "" {
		var err error
		if o.Keys, err = serve.ReadKeys(c.APIKeyFile); err != nil {
			return err
		}
	}
	s, err := serve.New(o)
	if err != nil {
		return usageError{err}
	}
	defer s.Close()
	return c.listen(ctx, s)
}

// namedModel splits NAME=MODEL; without a name it is the last part of the path, of a run's model/ the run's.
func namedModel(arg string) serve.Model {
	if name, path, ok := strings.Cut(arg, "="); ok && name != "" && !strings.ContainsAny(name, `/\`) {
		return serve.Model{Name: name, Path: path}
	}
	path, err := filepath.Abs(arg)
	if err != nil {
		path = arg
	}
	if filepath.Base(path) == "model" {
		path = filepath.Dir(path)
	}
	return serve.Model{Name: filepath.Base(path), Path: arg}
}

// listen answers requests until ctx ends, and then what was accepted.
func (c *ServeCmd) listen(ctx context.Context, s *serve.Server) error {
	l, err := net.Listen("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return err
	}
	l = &limited{Listener: l, free: make(chan struct{}, c.MaxConnections)}
	scheme := "http"
	r := newRest(5 * time.Second)
	defer r.timer.Stop()
	rests := http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.begin()
		defer r.end()
		s.ServeHTTP(w, q)
	})
	srv := &http.Server{Handler: rests, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(io.Discard, "", 0)}
	if c.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", c.TLSCert, c.TLSKey, err)
		}
		scheme, srv.TLSConfig = "https", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	ended := make(chan error, 1)
	go func() {
		if srv.TLSConfig != nil {
			ended <- srv.ServeTLS(l, "", "")
		} else {
			ended <- srv.Serve(l)
		}
	}()
	defer srv.Close()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	if err := s.Load(); err != nil {
		return err
	}
	boundGarbage()
	fmt.Fprintf(os.Stderr, "serving requests, and a page for browsers, at %s://%s\n", scheme, l.Addr())
	for {
		select {
		case err := <-ended:
			return err
		case <-hangup:
			if err := s.Reload(""); err != nil {
				fmt.Fprintln(os.Stderr, "warning: not reloaded, what was served goes on:", err)
			}
			boundGarbage()
		case <-ctx.Done():
			return c.stop(s, srv)
		}
	}
}

// stop answers what was accepted; a second signal ends that.
func (c *ServeCmd) stop(s *serve.Server, srv *http.Server) error {
	second := make(chan os.Signal, 1)
	signal.Notify(second, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(second)
	ctx, cancel := context.WithTimeoutCause(context.Background(), c.Drain, errors.New("--drain is over"))
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := s.Drain(ctx)
		if err == nil {
			_ = srv.Shutdown(ctx) // connections without a request
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("not all that was accepted is answered: %w", err)
		}
		return nil
	case <-second:
		return errors.New("stopped by a second signal, not all that was accepted is answered")
	}
}

// limited is a listener with so many connections at once.
type limited struct {
	net.Listener
	free chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{Conn: c, free: l.free}, nil
}

type limitedConn struct {
	net.Conn
	free chan struct{}
	once sync.Once
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}
