package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	soakers   = 16
	reloads   = 10
	mostReady = 200 * time.Millisecond
)

// tally counts the answers of a time under load.
type tally struct {
	mu       sync.Mutex
	by       map[int]int    // by status; 0: the connection ended without an answer
	answered map[string]int // answers with 200 by the trace
	wrong    []string       // answers that are not their text's
	want     [][]byte       // each text's
}

func (t *tally) note(a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[a.status]++; a.status != 200 {
		return
	}
	t.answered[a.trace]++
	if t.want[a.i] == nil {
		t.want[a.i] = a.body
	} else if !bytes.Equal(t.want[a.i], a.body) {
		t.wrong = append(t.wrong, fmt.Sprintf("text %d: %.100s", a.i, a.body))
	}
}

// logged compares with the server's log: each request that it answered with 200 was answered to the client, once.
func (t *tally) logged(s *server) error {
	f, err := os.Open(s.log)
	if err != nil {
		return err
	}
	defer f.Close()
	seen := map[string]int{}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var line struct {
			Msg    string `json:"msg"`
			Route  string `json:"route"`
			Status int    `json:"status"`
			Trace  string `json:"trace_id"`
		}
		if json.Unmarshal(in.Bytes(), &line) == nil && line.Msg == "request" && line.Route == embeddings && line.Status == 200 {
			seen[line.Trace]++
		}
		if bytes.Contains(in.Bytes(), []byte(`"panic"`)) {
			return fmt.Errorf("a panic: %s", in.Text())
		}
	}
	for trace, n := range seen {
		if t.answered[trace] != n || n != 1 {
			return fmt.Errorf("request %s: the server answered %d times, %d came", trace, n, t.answered[trace])
		}
	}
	if len(seen) != len(t.answered) {
		return fmt.Errorf("the server answered %d requests, %d answers came", len(seen), len(t.answered))
	}
	return in.Err()
}

// soak keeps a server busy for minutes; then its models are opened anew, it is told to end, and killed, under load.
func soak(o *options, r *report) error {
	texts, err := o.texts("mixed")
	if err != nil {
		return err
	}
	asked := bodies(texts)
	for _, precision := range o.precision {
		want := make([][]byte, len(texts)) // the same for all that follows
		if err := o.soaked(r, asked, want, precision); err != nil {
			return err
		}
		if err := o.killed(r, asked, want, precision); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) soaked(r *report, asked, want [][]byte, precision string) error {
	s, err := o.albertServe(o.base(), precision)
	if err != nil {
		return err
	}
	defer s.stop()
	t := &tally{by: map[int]int{}, answered: map[string]int{}, want: want}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var load sync.WaitGroup
	load.Go(func() { ask(ctx, s.url+embeddings, asked, soakers, t.note) })
	memory := s.watch()
	time.Sleep(span(60 * o.minutes))
	rss := memory()
	minute := min(600, max(1, len(rss)/2)) // tenths of a second
	first, last := slices.Max(rss[:minute]), slices.Max(rss[minute:])
	r.must(last <= 1.05*first, precision+fmt.Sprintf(": memory over %.3g minutes, MB", o.minutes), fmt.Sprintf("%.1f", last), fmt.Sprintf("at most %.1f, 1.05 times its first minute's", 1.05*first))

	for range reloads {
		if err := s.process.Process.Signal(syscall.SIGHUP); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.mu.Lock()
	bad := len(t.answered)
	for _, n := range t.by {
		bad -= n
	}
	n := len(t.answered)
	t.mu.Unlock()
	text, _ := os.ReadFile(s.log)
	reloaded := strings.Count(string(text), `"msg":"reloaded"`)
	r.must(reloaded > 0 && bad == 0, precision+": answers other than 200 while the model is opened anew", fmt.Sprintf("%d of %d, %d reloads", -bad, n, reloaded), "0")

	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		return fmt.Errorf("SIGTERM: it has not ended after a minute")
	}
	cancel()
	load.Wait()
	r.must(s.err == nil, precision+": SIGTERM under load, exit status", fmt.Sprint(cmpErr(s.err)), "status 0")
	err = t.logged(s)
	r.must(err == nil, precision+": every accepted request is answered once, also over SIGTERM and reloads", fmt.Sprint(orElse(err, fmt.Sprintf("%d answers", len(t.answered)))), "the server's log and the client agree")
	r.must(len(t.wrong) == 0, precision+": answers that are not their text's", fmt.Sprint(len(t.wrong), t.wrong[:min(1, len(t.wrong))]), "0")
	strange := 0
	for status, n := range t.by {
		if status != 200 && status != 503 && status != 0 {
			strange += n
		}
	}
	r.must(strange == 0, precision+": other answers than 200, 503, none", fmt.Sprint(strange), "0")
	return nil
}

// killed kills a server under load and starts another.
func (o *options) killed(r *report, asked, want [][]byte, precision string) error {
	var took []time.Duration
	t := &tally{by: map[int]int{}, answered: map[string]int{}, want: want}
	for range max(3, o.rounds) {
		s, err := o.albertServe(o.base(), precision)
		if err != nil {
			return err
		}
		took = append(took, s.took)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		var load sync.WaitGroup
		load.Go(func() { ask(ctx, s.url+embeddings, asked, soakers, t.note) })
		time.Sleep(500 * time.Millisecond)
		_ = s.process.Process.Kill()
		<-s.ended
		cancel()
		load.Wait()
	}
	r.must(median(took) <= mostReady, precision+": ready after kill -9, ms", ms(median(took)), ms(mostReady))
	r.must(len(t.wrong) == 0 && len(t.answered) > 0, precision+": answers before kill -9 that are not their text's", fmt.Sprint(len(t.wrong), " of ", len(t.answered)), "0")
	return nil
}

func orElse(err error, text string) string {
	if err != nil {
		return err.Error()
	}
	return text
}
