package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const embeddings = "/v1/embeddings"

// answer is that of a request.
type answer struct {
	i      int // of the body
	status int // 0: none came
	body   []byte
	trace  string // the id of its trace
	took   time.Duration
	err    error
}

const longest = 2 * time.Minute // that an answer may take

// client is one for a goroutine.
func client() *http.Client { return &http.Client{Transport: &direct{}} }

// direct asks over one connection, which it keeps, in the caller's goroutine: those of net/http's own transport cost a request a quarter of a millisecond, on cores
// that the server needs. An answer must be read to its end before the next question. Nothing is asked twice: a question without an answer is an error.
type direct struct {
	conn net.Conn
	in   *bufio.Reader
	last bool // the server closes the connection
}

func (d *direct) RoundTrip(q *http.Request) (w *http.Response, err error) {
	if d.last {
		d.CloseIdleConnections()
	}
	if d.conn == nil {
		if d.conn, err = net.DialTimeout("tcp", q.URL.Host, longest); err != nil {
			d.conn = nil
			return nil, err
		}
		d.in, d.last = bufio.NewReaderSize(d.conn, 1<<16), false
	}
	if err = d.conn.SetDeadline(time.Now().Add(longest)); err == nil {
		if err = q.Write(d.conn); err == nil {
			w, err = http.ReadResponse(d.in, q)
		}
	}
	if err != nil {
		d.CloseIdleConnections()
		return nil, err
	}
	d.last = w.Close
	return w, nil
}

// CloseIdleConnections closes the connection.
func (d *direct) CloseIdleConnections() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

var traces atomic.Uint64

// post asks once, as a part of a trace of its own.
func post(c *http.Client, url string, body []byte) (a answer) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	a.trace = fmt.Sprintf("%032x", traces.Add(1))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Traceparent", "00-"+a.trace+"-0000000000000001-00")
	began := time.Now()
	w, err := c.Do(r)
	if err != nil {
		a.err = err
		return a
	}
	defer w.Body.Close()
	if a.body, a.err = io.ReadAll(w.Body); a.err != nil {
		c.CloseIdleConnections()
	} else {
		a.status = w.StatusCode
	}
	a.took = time.Since(began)
	return a
}

// ask asks by n connections, each for the next body when the last is answered, until ctx ends. each gets every answer; it may be called at the same time.
func ask(ctx context.Context, url string, bodies [][]byte, n int, each func(answer)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			c := client()
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				i := int(next.Add(1)-1) % len(bodies)
				a := post(c, url, bodies[i])
				a.i = i
				each(a)
				if a.err != nil {
					time.Sleep(10 * time.Millisecond) // the server may be gone
				}
			}
		})
	}
	all.Wait()
}

// rate asks by n connections for some time and gives how many are answered a second. An answer other than 200 is an error.
func rate(url string, bodies [][]byte, n int, d time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var count atomic.Int64
	var bad atomic.Pointer[answer]
	began := time.Now()
	ask(ctx, url, bodies, n, func(a answer) {
		if count.Add(1); a.status != 200 {
			bad.Store(&a)
			cancel()
		}
	})
	if a := bad.Load(); a != nil {
		return 0, fmt.Errorf("%s: %d %v %.300s", url, a.status, a.err, a.body)
	}
	return float64(count.Load()) / time.Since(began).Seconds(), nil
}

// vector is the one of an answer of /v1/embeddings, in base64 or as numbers.
func vector(body []byte) ([]float32, error) {
	var list struct {
		Data []struct{ Embedding json.RawMessage }
	}
	if err := json.Unmarshal(body, &list); err != nil || len(list.Data) != 1 {
		return nil, fmt.Errorf("no vector: %.200s", body)
	}
	var raw []byte
	var numbers []float32
	if json.Unmarshal(list.Data[0].Embedding, &numbers) == nil {
		return numbers, nil
	}
	var text string
	err := json.Unmarshal(list.Data[0].Embedding, &text)
	if err == nil {
		raw, err = base64.StdEncoding.DecodeString(text)
	}
	for ; len(raw) >= 4; raw = raw[4:] {
		numbers = append(numbers, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
	}
	return numbers, err
}

// cosine is that of two vectors; NaN if they are not of one length.
func cosine(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.NaN()
	}
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+float64(a[i])*float64(b[i]), aa+float64(a[i])*float64(a[i]), bb+float64(b[i])*float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}
