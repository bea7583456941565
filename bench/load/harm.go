package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	giant       = 1 << 30 // bytes
	slowClients = 200
	harmers     = 4                      // clients of the other kinds
	harmPause   = 250 * time.Millisecond // after each of their requests
	mostSlower  = 2.0
	lineSpeed   = 125e6    // bytes a second of 1 GB bodies, all clients together: those of a line of 1 Gbit/s
	mostBody    = 32 << 20 // --max-body
	nanWeights  = "NaN weights"
)

// vandal does a kind of harm until ctx ends; tell gets the status of each answer. addr is the server's.
type vandal struct {
	name     string
	statuses []int // that the answers may have; 0: none
	do       func(ctx context.Context, addr string, tell func(status int))
}

// harm asks as others do while vandals are at work, one kind after another and then all.
func harm(o *options, r *report) error {
	texts, err := o.texts("short")
	if err != nil {
		return err
	}
	broken := filepath.Join(o.tmp, "nan")
	if err := withNaN(filepath.Join(o.models, "base"), broken); err != nil {
		return err
	}
	for _, precision := range o.precision {
		models := o.base() + ",nan=" + broken
		if precision == "int8" { // which cannot hold what is not finite
			s, err := o.albertServe(models, precision)
			if err == nil {
				s.stop()
			}
			r.must(err != nil && strings.Contains(err.Error(), "not finite"), "int8: weights with NaN are refused when they are opened", fmt.Sprint(err != nil), "true")
			models = o.base()
		}
		s, err := o.albertServe(models, precision)
		if err != nil {
			return err
		}
		err = o.harmed(r, s, bodies(texts), precision)
		s.stop()
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *options) harmed(r *report, s *server, asked [][]byte, precision string) error {
	t := table{Title: "Normal requests meanwhile, " + precision + ", ms:", Columns: []string{"harm", "requests", "median", "p99", "median / without harm", "answers to the harm", "MB, most"}}
	vandals := slices.DeleteFunc(vandalism(), func(v vandal) bool { return precision == "int8" && v.name == nanWeights })
	n, before, beforeP99, _, _, err := o.meanwhile(s, asked, nil)
	if err != nil {
		return err
	}
	rssBefore := s.rss()
	t.Rows = append(t.Rows, []string{"none", fmt.Sprint(n), ms(before), ms(beforeP99), "", "", fmt.Sprintf("%.0f", rssBefore)})
	one := func(name string, list []vandal) ([]float64, error) {
		n, half, slow, told, rss, err := o.meanwhile(s, asked, list)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		times := half.Seconds() / before.Seconds()
		t.Rows = append(t.Rows, []string{name, fmt.Sprint(n), ms(half), ms(slow), fmt.Sprintf("%.2f", times), fmt.Sprint(told), fmt.Sprintf("%.0f", slices.Max(rss))})
		r.must(times <= mostSlower, precision+", "+name+": median of normal requests over that without harm", fmt.Sprintf("%.2f", times), fmt.Sprint(mostSlower))
		for status := range told {
			allowed := slices.ContainsFunc(list, func(v vandal) bool { return slices.Contains(v.statuses, status) })
			if !allowed {
				r.must(false, precision+", "+name+": answers to the harm", fmt.Sprint(status), fmt.Sprint(list[0].statuses))
			}
		}
		return rss, nil
	}
	for _, v := range vandals {
		if _, err := one(v.name, []vandal{v}); err != nil {
			return err
		}
	}
	rss, err := one("all at once", vandals)
	if err != nil {
		return err
	}
	r.Tables = append(r.Tables, t)
	bound := rssBefore + harmers*mostBody*2.5/1e6 // bodies, their buffers' growth
	r.must(slices.Max(rss) <= bound, precision+": memory with all at once, MB", fmt.Sprintf("%.0f", slices.Max(rss)), fmt.Sprintf("%.0f: that before, and 2.5 --max-body for each of %d clients", bound, harmers))
	said, err := os.ReadFile(s.log)
	r.must(err == nil && !bytes.Contains(said, []byte(`"panic"`)) && s.alive(), precision+": no panic, and it lives", fmt.Sprint(s.alive()), "true")
	return err
}

// meanwhile asks one after another while vandals are at work: how many requests, their median and p99, the statuses that the vandals got, and memory.
func (o *options) meanwhile(s *server, asked [][]byte, list []vandal) (n int, half, slow time.Duration, told map[int]int, rss []float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), span(o.seconds))
	defer cancel()
	told = map[int]int{}
	var mu sync.Mutex
	var harm sync.WaitGroup
	for _, v := range list {
		harm.Go(func() {
			v.do(ctx, strings.TrimPrefix(s.url, "http://"), func(status int) {
				mu.Lock()
				told[status]++
				mu.Unlock()
			})
		})
	}
	if list != nil {
		time.Sleep(span(o.seconds) / 10) // until they have begun
	}
	memory := s.watch()
	c := client()
	var times []time.Duration
	for i := 0; ctx.Err() == nil; i++ {
		a := post(c, s.url+embeddings, asked[i%len(asked)])
		if a.status != 200 {
			err = fmt.Errorf("a normal request: %d %v %.200s", a.status, a.err, a.body)
			break
		}
		times = append(times, a.took)
	}
	rss = memory()
	cancel()
	harm.Wait()
	if err == nil && len(times) == 0 {
		err = fmt.Errorf("no normal request was answered")
	}
	return len(times), quantile(times, .5), quantile(times, .99), told, rss, err
}

// raw sends bytes by a connection of its own and gives the status of the answer, 0 if there is none. more writes what follows the head.
func raw(ctx context.Context, addr, head string, more func(io.Writer) error) int {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if _, err := io.WriteString(conn, head); err == nil && more != nil {
			_ = more(conn)
		}
	}()
	var status int
	_, err = fmt.Fscanf(conn, "HTTP/1.1 %d", &status)
	if err != nil && ctx.Err() != nil {
		status = 0
	}
	conn.Close()
	<-sent
	return status
}

// again repeats by some clients, with pauses.
func again(ctx context.Context, do func(i int)) {
	var all sync.WaitGroup
	for k := range harmers {
		all.Go(func() {
			for i := k; ctx.Err() == nil; i++ {
				do(i)
				select {
				case <-ctx.Done():
				case <-time.After(harmPause):
				}
			}
		})
	}
	all.Wait()
}

// sends is a vandal that sends the same again and again.
func sends(name string, statuses []int, request func(i int) (head string, more func(io.Writer) error)) vandal {
	return vandal{name, append(statuses, 0), func(ctx context.Context, addr string, tell func(int)) {
		again(ctx, func(i int) {
			head, more := request(i)
			if status := raw(ctx, addr, head, more); ctx.Err() == nil {
				tell(status)
			}
		})
	}}
}

// routes are some that take a body, each read in a way of its own.
var routes = []string{embeddings, "/embed", "/predict", "/rerank", "/tokenize", "/models/m", "/v2/models/m/infer", "/v2/rerank", "/models/m/embed"}

func postHead(path, headers string, length int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n", path, headers, length)
}

func vandalism() []vandal {
	block := bytes.Repeat([]byte("a"), 1<<16)
	var bomb bytes.Buffer
	z, _ := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	for range giant / len(block) {
		_, _ = z.Write(block) // to memory
	}
	_ = z.Close()
	whole := func(headers string, body func(i int) string) func(i int) (string, func(io.Writer) error) {
		return func(i int) (string, func(io.Writer) error) {
			text := body(i)
			return postHead(routes[i%len(routes)], headers, len(text)) + text, nil
		}
	}
	deep := strings.Repeat("[", 10000)
	// What is refused may be so before the body is read. A stream answers 200 and has the error in its lines; a model without a head for a route says 424.
	refused := []int{200, 400, 404, 408, 413, 422, 424, 429}
	return []vandal{
		{fmt.Sprintf("%d slow connections", slowClients), []int{0, 400, 408}, slowly},
		sends("1 GB bodies", refused, func(i int) (string, func(io.Writer) error) {
			path, head := routes[i%(len(routes)-1)], "" // but the stream
			if head = postHead(path, "", giant); i%2 == 1 {
				head = "POST " + path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n", giant)
			}
			return head, func(w io.Writer) (err error) {
				for sent := 0; sent < giant && err == nil; sent += len(block) {
					_, err = w.Write(block)
					time.Sleep(time.Duration(harmers*len(block)) * time.Second / lineSpeed)
				}
				return err
			}
		}),
		sends("gzip bombs", refused, func(i int) (string, func(io.Writer) error) {
			return postHead(routes[i%(len(routes)-1)], "Content-Encoding: gzip\r\n", bomb.Len()), func(w io.Writer) error {
				_, err := w.Write(bomb.Bytes())
				return err
			}
		}),
		sends("10,000-deep JSON", refused, whole("", func(i int) string {
			return []string{deep, `{"inputs":` + deep, `{"input":` + deep + strings.Repeat("]", 10000) + "}"}[i/len(routes)%3]
		})),
		sends(nanWeights, []int{500}, func(int) (string, func(io.Writer) error) {
			body := `{"model":"nan","input":"a door"}`
			return postHead(embeddings, "", len(body)) + body, nil
		}),
		sends("invalid UTF-8", refused, whole("", func(int) string { return "{\"inputs\":\"a \xff\xfe door\"}" })),
		{"half a request", []int{0}, func(ctx context.Context, addr string, tell func(int)) {
			again(ctx, func(i int) {
				if conn, err := net.Dial("tcp", addr); err == nil {
					text := postHead(routes[i%len(routes)], "", 100) + `{"inputs":`
					_, _ = io.WriteString(conn, text[:20+i%(len(text)-20)])
					conn.Close()
				}
			})
		}},
		sends("pipelined garbage", []int{200, 400}, func(i int) (string, func(io.Writer) error) {
			return []string{"GET /health HTTP/1.1\r\nHost: x\r\n\r\n\x00\xff garbage\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n", "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/9\r\n\r\n"}[i%3], nil
		}),
		sends("wrong methods", []int{400, 404, 405}, func(i int) (string, func(io.Writer) error) {
			return []string{"PUT", "DELETE", "PATCH", "TRACE", "BREW", "CONNECT"}[i%6] + " " + routes[i%len(routes)] + " HTTP/1.1\r\nHost: x\r\n\r\n", nil
		}),
		sends("huge headers", []int{431}, func(int) (string, func(io.Writer) error) {
			return "GET /health HTTP/1.1\r\nHost: x\r\nX-Huge: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", nil
		}),
	}
}

// slowly holds connections that send a byte now and then: of the head, of a body, of a stream.
func slowly(ctx context.Context, addr string, _ func(int)) {
	var all sync.WaitGroup
	for i := range slowClients {
		all.Go(func() {
			for ctx.Err() == nil {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				text := postHead(routes[i%len(routes)], "", 1000) + `{"inputs":"` + strings.Repeat("a", 900)
				began := i % 80 // the rest comes a byte at a time
				_, err = io.WriteString(conn, text[:began])
				for k := began; k < len(text) && err == nil && ctx.Err() == nil; k++ {
					time.Sleep(100 * time.Millisecond)
					_, err = io.WriteString(conn, text[k:k+1])
				}
				conn.Close()
			}
		})
	}
	all.Wait()
}

// withNaN copies a model; one of its weights becomes NaN.
func withNaN(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	path := filepath.Join(to, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n := int(binary.LittleEndian.Uint64(data))
	var header map[string]struct {
		At [2]int `json:"data_offsets"`
	}
	// "__metadata__" has another form, which leaves At empty
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, t := range header {
		if strings.HasSuffix(name, "full_layer_layer_norm.bias") {
			binary.LittleEndian.PutUint32(data[8+n+t.At[0]:], math.Float32bits(float32(math.NaN())))
			return os.WriteFile(path, data, 0o666)
		}
	}
	return fmt.Errorf("%s has no full_layer_layer_norm.bias", path)
}
