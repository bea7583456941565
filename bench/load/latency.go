package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"albert"
)

const (
	many         = 64  // connections of the highest rate
	wantedSlower = 3.0 // p99 over the single time or the longest running batch
	mostAdded    = 300 * time.Microsecond
	leastOfBare  = 0.97
	idle         = 2 * time.Millisecond // before a text, of either side: no thread of the other one still has a core
)

// hit is an answer of vegeta's.
type hit struct {
	Seq     int           `json:"seq"`
	Code    int           `json:"code"`
	Latency time.Duration `json:"latency"`
	Error   string        `json:"error"`
	Headers http.Header   `json:"headers"`
}

// attack asks at a constant rate, whether answers come or not, and gives what came.
func (o *options) attack(url string, bodies [][]byte, perSecond float64, d time.Duration) ([]hit, error) {
	var targets bytes.Buffer
	for _, body := range bodies {
		targets.Write(object("method", "POST", "url", url, "header", map[string][]string{"Content-Type": {"application/json"}}, "body", base64.StdEncoding.EncodeToString(body)))
		targets.WriteByte('\n')
	}
	file, out := filepath.Join(o.tmp, "targets"), filepath.Join(o.tmp, "hits")
	if err := os.WriteFile(file, targets.Bytes(), 0o666); err != nil {
		return nil, err
	}
	run := exec.Command(o.vegeta, "attack", "-format=json", "-targets="+file, "-output="+out, "-max-body=0", "-timeout=120s",
		fmt.Sprintf("-rate=%d/100s", int(perSecond*100+.5)), "-duration="+d.String())
	if text, err := run.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("vegeta: %w: %s", err, text)
	}
	text, err := exec.Command(o.vegeta, "encode", "-to=json", out).Output()
	if err != nil {
		return nil, fmt.Errorf("vegeta encode: %w", err)
	}
	var hits []hit
	in := bufio.NewScanner(bytes.NewReader(text))
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var h hit
		if err := json.Unmarshal(in.Bytes(), &h); err != nil {
			return nil, err
		}
		hits = append(hits, h)
	}
	return hits, in.Err()
}

// latency measures times by class of length at half of the highest rate, then what HTTP adds.
func latency(o *options, r *report) error {
	texts, err := o.texts("mixed")
	if err != nil {
		return err
	}
	asked := bodies(texts)
	t := table{Title: "Times at half of the highest rate, of mixed texts, ms; medians of the rounds:",
		Columns: []string{"precision", "texts/s", "length", "alone", "p50", "p99", "longest batch", "p99 / longer of the two"}}
	added := table{Title: "What HTTP adds to the engine:", Columns: []string{"precision", "a request, engine", "over HTTP", "added, ms", "GET /health, ms", "texts/s, engine", "over HTTP", "part", "of the machine, the client took"}}
	for _, precision := range o.precision {
		s, err := o.albertServe(o.base(), precision, "--quiet")
		if err != nil {
			return err
		}
		err = o.constantRate(r, &t, s, texts, asked, precision)
		if err == nil {
			err = o.overhead(r, &added, s, precision)
		}
		s.stop()
		if err != nil {
			return err
		}
	}
	r.Tables = append(r.Tables, t, added)
	return nil
}

func (o *options) constantRate(r *report, t *table, s *server, texts []string, asked [][]byte, precision string) error {
	url := s.url + embeddings
	highest, err := rate(url, asked, many, span(o.seconds/3))
	if err != nil {
		return err
	}
	alone := make([][]time.Duration, len(classes))
	c := client()
	for i, text := range texts[:min(len(texts), 150)] {
		a := post(c, url, asked[i])
		if a.status != 200 {
			return fmt.Errorf("%d %v %s", a.status, a.err, a.body)
		}
		k := classOf(text)
		alone[k] = append(alone[k], a.took)
	}
	p50, p99, batch := make([][]time.Duration, len(classes)), make([][]time.Duration, len(classes)), []time.Duration{}
	for range o.rounds {
		hits, err := o.attack(url, asked, highest/2, span(o.seconds))
		if err != nil {
			return err
		}
		byClass, longest := make([][]time.Duration, len(classes)), 0
		for _, h := range hits {
			if h.Code != 200 {
				return fmt.Errorf("at half of the highest rate: %d %s", h.Code, h.Error)
			}
			k := classOf(texts[h.Seq%len(texts)])
			byClass[k] = append(byClass[k], h.Latency)
			n, _ := strconv.Atoi(h.Headers.Get("X-Inference-Time"))
			longest = max(longest, n)
		}
		batch = append(batch, time.Duration(longest)*time.Millisecond)
		for k, list := range byClass {
			p50[k], p99[k] = append(p50[k], quantile(list, .5)), append(p99[k], quantile(list, .99))
		}
	}
	for k, class := range classes {
		single, slow, longest := median(alone[k]), median(p99[k]), median(batch)
		times := slow.Seconds() / max(single, longest).Seconds()
		t.Rows = append(t.Rows, []string{precision, fmt.Sprintf("%.1f", highest/2), class.name, ms(single), ms(median(p50[k])), ms(slow), ms(longest), fmt.Sprintf("%.2f", times)})
		r.must(times <= wantedSlower, precision+", "+class.name+": p99 over the single time or the longest batch", fmt.Sprintf("%.2f", times), fmt.Sprintf("%.0f", wantedSlower))
	}
	return nil
}

// overhead compares the server with the library in this process, text by text and with many at once, by turns.
func (o *options) overhead(r *report, t *table, s *server, precision string) error {
	texts, err := o.texts("short")
	if err != nil {
		return err
	}
	m, err := albert.Open(o.base()[2:], albert.Normalize(), albert.Precision(precision), albert.Threads(o.threads))
	if err != nil {
		return err
	}
	defer m.Close()
	asked, url, c := bodies(texts), s.url+embeddings, client()
	var engine, http, added, empty []time.Duration
	for k := range 100 * o.rounds {
		i := k % len(texts)
		time.Sleep(idle)
		began := time.Now()
		if _, err := m.Embed(context.Background(), texts[i:i+1]); err != nil {
			return err
		}
		bare := time.Since(began)
		time.Sleep(idle)
		a := post(c, url, asked[i])
		if a.status != 200 {
			return fmt.Errorf("%d %v %s", a.status, a.err, a.body)
		}
		engine, http, added = append(engine, bare), append(http, a.took), append(added, a.took-bare)
		time.Sleep(idle)
		began = time.Now()
		w, err := c.Get(s.url + "/health")
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, w.Body); err != nil {
			return err
		}
		w.Body.Close()
		empty = append(empty, time.Since(began))
	}
	var inside, outside, own []float64
	for range o.rounds {
		d := span(o.seconds / 6)
		inside = append(inside, embedAll(m, texts, d))
		before := readClock(os.Getpid())
		x, err := rate(url, asked, many, d)
		if err != nil {
			return err
		}
		after := readClock(os.Getpid())
		outside, own = append(outside, x), append(own, (after.ours-before.ours)/max(after.all-before.all, 1e-9))
	}
	part := median(outside) / median(inside)
	t.Rows = append(t.Rows, []string{precision, ms(median(engine)), ms(median(http)), ms(median(added)), ms(median(empty)), fmt.Sprintf("%.1f", median(inside)),
		fmt.Sprintf("%.1f", median(outside)), fmt.Sprintf("%.3f", part), fmt.Sprintf("%.1f %%", 100*median(own))})
	r.must(median(added) <= mostAdded, precision+": HTTP adds to a request, ms", ms(median(added)), ms(mostAdded))
	r.must(part >= leastOfBare, precision+": the engine's texts a second that are left", fmt.Sprintf("%.3f", part), fmt.Sprint(leastOfBare))
	return nil
}

// embedAll gives how many texts a second the library embeds for as many callers as the highest rate has connections.
func embedAll(m *albert.Model, texts []string, d time.Duration) float64 {
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range many {
		all.Go(func() {
			for time.Since(began) < d {
				i := int(next.Add(1)-1) % len(texts)
				if _, err := m.Embed(context.Background(), texts[i:i+1]); err != nil {
					panic(err) // the server embeds the same
				}
			}
		})
	}
	all.Wait()
	return float64(next.Load()) / time.Since(began).Seconds()
}
