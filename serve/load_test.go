package serve

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"albert/internal/model"
)

// Too much at once gives 200 and 429 only, with when to come again and how much waits; and afterwards all is answered.
func TestTooMuchIsRefused(t *testing.T) {
	_, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}, MaxQueueTokens: 600, MaxBatchTokens: 64, Threads: 1})
	body := `{"input":"` + strings.Repeat("the reader opens a file ", 12) + `"}`
	var ok, busy atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 8 {
				status, text, header := post(t, h.URL+"/v1/embeddings", body)
				switch {
				case status == 200:
					ok.Add(1)
				case status == 429 && header.Get("Retry-After") != "" && header.Get("Retry-After-Ms") != "" && header.Get("X-Queue-Length") != "" &&
					strings.Contains(text, "rate_limit_exceeded"):
					busy.Add(1)
				default:
					t.Errorf("%d %v %s", status, header, text)
				}
			}
		})
	}
	wg.Wait()
	if ok.Load() == 0 || busy.Load() == 0 {
		t.Errorf("%d answered, %d refused", ok.Load(), busy.Load())
	}
	if status, _, _ := post(t, h.URL+"/v1/embeddings", body); status != 200 {
		t.Error("afterwards:", status)
	}
	// one request alone may be of any size
	var many []string
	for range 500 {
		many = append(many, "the reader opens a file")
	}
	all, _ := json.Marshal(map[string]any{"inputs": many})
	if status, text, _ := post(t, h.URL+"/embed", string(all)); status != 200 || strings.Count(text, "],[") != 499 {
		t.Errorf("500 texts at once: %d", status)
	}
}

// While models are opened anew and then the server drains, every request that was let in is answered once; a file that is broken changes nothing.
func TestReloadAndDrainUnderLoad(t *testing.T) {
	dir := tiny(t, model.Order, model.PretrainingHeads)
	s, h := start(t, Options{Models: []Model{{Name: "m", Path: dir}}})
	var answered, refused atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan bool)
	for range 16 {
		wg.Go(func() {
			for {
				status, text, _ := post(t, h.URL+"/embed", `{"inputs":["a door","the reader opens a file"]}`)
				switch status {
				case 200:
					answered.Add(1)
				case 503:
					refused.Add(1)
					return
				default:
					t.Errorf("%d %s", status, text)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 10 {
		if err := s.Reload(""); err != nil {
			t.Error(err)
		}
	}
	config := filepath.Join(dir, "config.json")
	text, _ := os.ReadFile(config)
	if err := os.WriteFile(config, []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload("m"); err == nil || !s.Ready() {
		t.Error("a broken config.json was taken over:", err)
	}
	_ = os.WriteFile(config, text, 0o666)
	for answered.Load() < 100 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Error(err)
	}
	if status, _, _ := get(t, h.URL+"/health"); status != 503 {
		t.Errorf("health while draining: %d", status)
	}
	wg.Wait()
	close(stop)
	if refused.Load() == 0 {
		t.Error("nobody was refused while draining")
	}
	s.metrics.mu.Lock()
	defer s.metrics.mu.Unlock()
	if n := s.metrics.counters["albert_requests_total"][`model="m",route="/embed",status="200"`]; int64(n) != answered.Load() {
		t.Errorf("%v answers were made, %d came", n, answered.Load())
	}
}

// Lines are answered as they are ready, before the body ends; a client that sends no more and one that reads nothing hold up nobody else.
func TestLinesAreAnsweredAsTheyCome(t *testing.T) {
	s, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	in, out := io.Pipe()
	r, _ := http.NewRequest(http.MethodPost, h.URL+"/models/m/embed", in)
	answers := make(chan *bufio.Reader, 1)
	var w *http.Response
	go func() {
		var err error
		if w, err = http.DefaultClient.Do(r); err != nil {
			t.Error(err)
			close(answers)
			return
		}
		answers <- bufio.NewReader(w.Body)
	}()
	fmt.Fprintln(out, "first")
	lines := <-answers
	if lines == nil {
		t.FailNow()
	}
	for i := range 5 {
		line, err := lines.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, `{"embedding":[`) {
			t.Fatal(line, err)
		}
		fmt.Fprintf(out, `{"text": "number %d"}`+"\n", i)
	}
	out.Close()
	if rest, _ := io.ReadAll(lines); bytes.Count(rest, []byte("\n")) != 1 {
		t.Errorf("the rest: %q", rest)
	}
	w.Body.Close()
	// a client that sends much and reads nothing: bounded by its pace
	conn, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /models/m/embed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	_ = conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	chunk := strings.Repeat("a line of text\n", 4000)
	sent := 0
	for range 4000 {
		if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", len(chunk), chunk); err != nil {
			break
		}
		sent++
	}
	if sent == 4000 {
		t.Error("240 MB were taken from a client that reads nothing")
	}
	if status, _, _ := post(t, h.URL+"/embed", `{"inputs":"a"}`); status != 200 {
		t.Error("another client:", status)
	}
	conn.Close()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		n := s.requests
		s.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d requests of clients that are gone", n)
		}
	}
}

// A stream that is refused leaves its connection to the next request.
func TestARefusedStreamLeavesTheConnection(t *testing.T) {
	_, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	for i := range 50 {
		if status, text, _ := post(t, h.URL+"/models/m/tag", "a\n"); status != 424 {
			t.Fatalf("%d: %d %s", i, status, text)
		}
		if status, text, _ := post(t, h.URL+"/embed", `{"inputs":"a door"}`); status != 200 || text == "" {
			t.Fatalf("%d: %d %q", i, status, text)
		}
	}
}

// Compressed bodies are read, within the limit for what they unpack to.
func TestCompressedBodies(t *testing.T) {
	_, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}, MaxBody: 1 << 20})
	pack := func(how string, text string) string {
		var b bytes.Buffer
		var w io.WriteCloser = gzip.NewWriter(&b)
		if how == "deflate" {
			w = zlib.NewWriter(&b)
		}
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.String()
	}
	for _, how := range []string{"gzip", "deflate"} {
		if status, text, _ := post(t, h.URL+"/embed", pack(how, `{"inputs":"a"}`), "Content-Encoding", how); status != 200 {
			t.Errorf("%s: %d %s", how, status, text)
		}
		bomb := pack(how, `{"inputs":"`+strings.Repeat("a", 8<<20)+`"}`)
		if status, text, _ := post(t, h.URL+"/embed", bomb, "Content-Encoding", how); status != 413 {
			t.Errorf("%s bomb: %d %.100s", how, status, text)
		}
		if status, text, _ := post(t, h.URL+"/models/m/embed", pack(how, "a\nb\n"), "Content-Encoding", how); status != 200 || strings.Count(text, "\n") != 2 {
			t.Errorf("%s lines: %d %.100s", how, status, text)
		}
		if status, _, _ := post(t, h.URL+"/embed", "no such thing", "Content-Encoding", how); status != 400 {
			t.Errorf("not %s: %d", how, status)
		}
	}
	_, wide := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}}) // a bomb is refused long before the limit
	if status, text, _ := post(t, wide.URL+"/embed", pack("gzip", `{"inputs":"`+strings.Repeat("a", 4<<20)+`"}`), "Content-Encoding", "gzip"); status != 413 || !strings.Contains(text, "100 times") {
		t.Errorf("bomb: %d %.100s", status, text)
	}
	if status, _, _ := post(t, h.URL+"/embed", "{}", "Content-Encoding", "br"); status != 415 {
		t.Errorf("br: %d", status)
	}
}

// Large bodies that come slowly together take twice the greatest body's size at most: a further one is refused at once, a small one is answered.
func TestLargeBodies(t *testing.T) {
	const most = 4 << 20
	s, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}, MaxBody: most})
	text := `{"inputs":"` + strings.Repeat(" ", most-100)
	for range 4 {
		conn, err := net.Dial("tcp", h.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() { // all but the end; those that are refused are cut off
			_, _ = fmt.Fprintf(conn, "POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", most-10, text)
		}()
	}
	for began := time.Now(); s.bodies.Load() < most; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("only %d bytes are held", s.bodies.Load())
		}
	}
	refused := 0
	for range 8 {
		status, answer, header := post(t, h.URL+"/embed", text+`"}`)
		if status == 429 && header.Get("Retry-After") != "" && strings.Contains(answer, "bytes of requests") {
			refused++
		}
		if held := s.bodies.Load(); held > 3*most {
			t.Fatalf("%d bytes are held", held)
		}
		if status, answer, _ := post(t, h.URL+"/embed", `{"inputs":"a door"}`); status != 200 {
			t.Fatalf("a small one: %d %s", status, answer)
		}
	}
	if refused == 0 {
		t.Error("no large one was refused")
	}
}

// What harms a server does not harm this one: normal requests are answered while 200 connections are slow, cut short, or speak no HTTP.
func TestHarm(t *testing.T) {
	s, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	var open []net.Conn
	for i := range 200 {
		conn, err := net.Dial("tcp", h.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
		fmt.Fprint(conn, []string{"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"inputs\":", "POST /emb", "\x00\xff\x16\x03\x01 garbage\r\n\r\n",
			"POST /models/m/embed HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nhalf a line",
			"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\nGET / HTTP/9\r\n\r\n", "POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{",
			"GET /health HTTP/1.1\r\nHost: x\r\nX-Big: " + strings.Repeat("a", 1<<20)}[i%7])
	}
	for i := range 20 {
		if status, text, _ := post(t, h.URL+"/embed", `{"inputs":"a door"}`); status != 200 {
			t.Fatalf("request %d: %d %s", i, status, text)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "BREW"} {
		for _, path := range []string{"/embed", "/", "/health", "/models/m/embed", "/v1/models"} {
			r, _ := http.NewRequest(method, h.URL+path, nil)
			if status, text, header := do(t, r); status != 405 || !json.Valid([]byte(text)) || header.Get("Allow") == "" {
				t.Errorf("%s %s: %d %s", method, path, status, text)
			}
		}
	}
	for _, conn := range open {
		conn.Close()
	}
	for began := time.Now(); s.bodies.Load() != 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%d bytes of bodies are held of clients that are gone", s.bodies.Load())
		}
	}
	if _, text, _ := get(t, h.URL+"/metrics"); strings.Contains(text, "panic") || !strings.Contains(text, `status="405"`) {
		t.Error(text)
	}
}

// A client that does not send the rest of its body is told so, on every route, and its connection is closed.
func TestSlowBodies(t *testing.T) {
	defer func(d time.Duration) { bodyGrace = d }(bodyGrace)
	bodyGrace = 100 * time.Millisecond
	s, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	for request, want := range map[string]string{"POST /embed HTTP/1.1\r\nContent-Length: 100": "408", "POST /embed HTTP/1.1\r\nTransfer-Encoding: chunked": "408",
		"POST /embed HTTP/1.1\r\nContent-Encoding: deflate\r\nContent-Length: 100": "408", "POST /nope HTTP/1.1\r\nContent-Length: 100": "404",
		"POST /models/m/tag HTTP/1.1\r\nContent-Length: 100": "424", "GET /health HTTP/1.1\r\nContent-Length: 100": "200"} {
		for _, listener := range []*httptest.Server{h, secure} {
			conn, err := net.Dial("tcp", listener.Listener.Addr().String())
			if err == nil && listener == secure {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			}
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "%s\r\nHost: x\r\n\r\n", request)
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if text, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 "+want) {
				t.Errorf("%q: %v, want %s: %s", request, err, want, text)
			}
			conn.Close()
		}
	}
}

// Where the answer to a stream ends before its body, what is left is read; if it does not come, the connection is closed and the answer is not whole.
func TestAStreamThatEndsEarly(t *testing.T) {
	_, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	for rest, want := range map[string]error{"0\r\n\r\n": nil, "": io.ErrUnexpectedEOF} {
		conn, err := net.Dial("tcp", h.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(conn, "POST /models/m/embed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n[\"a\",\n\r\n2\r\nx\n\r\n%s", rest) // a broken list
		in := bufio.NewReader(conn)
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r.Body); err != want || strings.Count(string(text), "\n") != 2 {
			t.Errorf("%q: %v, want %v: %s", rest, err, want, text)
		}
		if want == nil { // the next request
			fmt.Fprint(conn, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
			if r, err := http.ReadResponse(in, nil); err != nil || r.StatusCode != 200 {
				t.Error(r, err)
			}
		}
	}
}

// 64 clients on all routes at once, some of which go away.
func TestManyClients(t *testing.T) {
	_, h := start(t, Options{})
	asked := [][2]string{{"/embed", `{"inputs":["a","b"]}`}, {"/v1/embeddings", `{"model":"tag","input":"a"}`}, {"/models/classify", `{"inputs":"a"}`}, {"/models/tag", `{"inputs":"a door"}`},
		{"/models/answer", `{"inputs":{"question":"a","context":"b c"}}`}, {"/models/fill", `{"inputs":"a [MASK]"}`}, {"/models/fill/embed", "a\nb\n"},
		{"/models/choose/choose", `{"context":"a","question":"b","choices":["c","d"]}`}, {"/v2/rerank", `{"model":"rank","query":"a","documents":["b"]}`}, {"/tokenize", `{"inputs":"a"}`}}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for k := range 10 {
				c := asked[(i+k)%len(asked)]
				if (i+k)%7 == 0 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(k)*time.Millisecond)
					r, _ := http.NewRequestWithContext(ctx, http.MethodPost, h.URL+c[0], strings.NewReader(c[1]))
					if w, err := http.DefaultClient.Do(r); err == nil {
						w.Body.Close()
					}
					cancel()
					continue
				}
				if status, text, _ := post(t, h.URL+c[0], c[1]); status != 200 {
					t.Errorf("%s: %d %s", c[0], status, text)
				}
			}
		})
	}
	wg.Wait()
}

// A bug in a request is a 500 of that request.
func TestAPanicIsA500(t *testing.T) {
	s, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	w := httptest.NewRecorder()
	s.handle(w, httptest.NewRequest(http.MethodPost, "/embed", strings.NewReader("{}")), &route{method: http.MethodPost, path: "/test", family: openAI,
		do: func(*request) error { panic("a bug") }})
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"server_error"`) || strings.Contains(w.Body.String(), "a bug") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if status, _, _ := post(t, h.URL+"/embed", `{"inputs":"a"}`); status != 200 {
		t.Error(status)
	}
}

// The description names every route, and every form in it is a schema.
func TestOpenAPI(t *testing.T) {
	s, h := start(t, Options{Models: []Model{{Name: "m", Path: tiny(t, model.Order, model.PretrainingHeads)}}})
	_, text, _ := get(t, h.URL+"/openapi.json")
	var api struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Responses   map[string]any
		}
	}
	if err := json.Unmarshal([]byte(text), &api); err != nil || api.OpenAPI != "3.1.0" {
		t.Fatal(err, text)
	}
	ids := map[string]bool{}
	for _, r := range s.routes {
		o := api.Paths[strings.TrimSuffix(r.path, "{$}")][strings.ToLower(r.method)]
		if o.OperationID == "" || ids[o.OperationID] || o.Responses["200"] == nil || o.Responses["500"] == nil {
			t.Errorf("%s %s: %+v", r.method, r.path, o)
		}
		ids[o.OperationID] = true
	}
	if _, page, header := get(t, h.URL+"/docs"); strings.Contains(page, "http") || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the page asks others")
	}
}

// Whatever a body is, the answer is JSON, no panic and no 500.
func FuzzBodies(f *testing.F) {
	s, _ := start(f, Options{MaxBody: 1 << 16, AllowTokenIDs: true, Threads: 1})
	var paths []string
	for _, r := range s.routes {
		if r.method == http.MethodPost && !strings.HasSuffix(r.path, "/reload") {
			for _, name := range []string{"fill", "classify", "tag", "answer", "choose", "rank"} {
				path := strings.NewReplacer("{$}", "", "{name}", name, "{version}", "1").Replace(r.path)
				for _, task := range tasks {
					paths = append(paths, strings.Replace(path, "{task}", task, 1))
					if !strings.Contains(path, "{task}") {
						break
					}
				}
				if !strings.Contains(r.path, "{name}") {
					break
				}
			}
		}
	}
	for i, body := range []string{`{"inputs":"a [MASK]"}`, `{"inputs":["a","b"]}`, `{"inputs":[[5,6]]}`, `{"input":["a"],"encoding_format":"base64"}`, `{"query":"a","texts":["b"]}`,
		`{"inputs":{"source_sentence":"a","sentences":["b"]}}`, `{"inputs":{"question":"a","context":"b"},"parameters":{"top_k":2,"max_seq_len":9}}`, `{"ids":[[5]]}`,
		`{"query":"a","documents":[{"text":"b"}],"model":"rank"}`, `{"inputs":"a","parameters":{"candidate_labels":["b"]}}`, `{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["a"]}]}`,
		`{"inputs":[{"name":"input_ids","datatype":"INT64","shape":[1,2],"parameters":{"binary_data_size":16}}]}0123456789abcdef`, "a\n{\"text\": \"b\", \"id\": 1}\n", `{"context":"a","question":"b","choices":["c"]}`} {
		for k := range paths {
			if (k+i)%5 == 0 {
				f.Add(k, body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, i int, body string) {
		path := paths[uint(i)%uint(len(paths))]
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		if n := strings.Index(body, "}0"); strings.HasPrefix(path, "/v2/models") && n >= 0 {
			r.Header.Set(jsonLength, fmt.Sprint(n+1))
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code == 0 {
			t.Fatalf("%s %q: %d %s", path, body, w.Code, w.Body)
		}
		if !strings.Contains(w.Header().Get("Content-Type"), "octet-stream") {
			for line := range strings.Lines(w.Body.String()) {
				if !json.Valid([]byte(line)) {
					t.Fatalf("%s %q: no JSON: %s", path, body, line)
				}
			}
		}
	})
}
