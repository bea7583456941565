package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"albert"
)

// contender is a server, the rates of its rounds, and the time that its engine takes for a text alone, without HTTP.
type contender struct {
	*server
	rates []float64
	bare  []float64 // milliseconds a text
}

// cell is what was measured of one kind of work.
type cell struct {
	Work        string               `json:"work"`
	Precision   string               `json:"precision"`
	Connections int                  `json:"connections"`
	Rates       map[string][]float64 `json:"texts_per_second"` // by server, of each round
	Bare        map[string][]float64 `json:"bare_ms,omitempty"`
}

const (
	leastCosine32 = 1 - 1e-6 // of two servers' vectors in fp32
	leastCosine8  = 0.995    // in int8, whose rounding is each program's own
	bareTexts     = 8
	wantedRate    = 1.5  // times the others', of short and mixed texts
	wantedOfBare  = 0.95 // of what the bare engines' ratio allows, of long ones
)

// throughput measures texts a second of all servers by turns.
func throughput(o *options, r *report) error {
	t := table{Title: "Texts a second, medians:", Columns: []string{"work", "precision", "connections", "albert", "others", "ours / best", "wanted"}}
	var cells []cell
	for _, precision := range o.precision {
		list, err := o.contenders(precision, r)
		if err != nil {
			return err
		}
		for _, work := range o.work {
			if err := o.compare(r, &t, &cells, list, work, precision); err != nil {
				return err
			}
		}
		for _, c := range list {
			c.stop()
		}
	}
	r.Tables, r.Data = append(r.Tables, t), cells
	return nil
}

// contenders starts ours, and the others that start.
func (o *options) contenders(precision string, r *report) ([]*contender, error) {
	ours, err := o.albertServe(o.base(), precision, "--quiet")
	if err != nil {
		return nil, err
	}
	list := []*contender{{server: ours}}
	for _, peer := range o.peers {
		name, command, _ := strings.Cut(peer, "=")
		command = strings.NewReplacer("{precision}", precision, "{threads}", strconv.Itoa(o.threads)).Replace(command)
		s, err := o.start(name, strings.Fields(command)...)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s in %s is not there: %v\n", name, precision, err)
			r.Tables = append(r.Tables, table{Title: name + " in " + precision + " is not there: " + lastLine(err.Error())})
			continue
		}
		list = append(list, &contender{server: s})
	}
	return list, nil
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

// compare measures a kind of work with each number of connections.
func (o *options) compare(r *report, t *table, cells *[]cell, list []*contender, work, precision string) error {
	texts, err := o.texts(work)
	if err != nil {
		return err
	}
	if err := o.agree(r, list, texts, work, precision); err != nil {
		return err
	}
	allowed := 0.0
	for _, c := range list {
		c.bare = nil
	}
	if work == "long" {
		if allowed, err = o.bareRatio(list, texts[:bareTexts], precision); err != nil {
			return err
		}
	}
	asked := bodies(texts)
	for _, n := range o.connections {
		for _, c := range list {
			c.rates = nil
			if _, err := rate(c.url+embeddings, asked, 1, span(min(1, o.seconds))); err != nil { // warm
				return err
			}
		}
		for round := range o.rounds {
			for i := range list {
				c := list[(i+round)%len(list)]
				time.Sleep(30 * time.Millisecond) // threads that still spin go to sleep
				x, err := rate(c.url+embeddings, asked, n, span(o.seconds))
				if err != nil {
					return err
				}
				c.rates = append(c.rates, x)
				fmt.Fprintf(os.Stderr, "%s %s, %d connections, round %d: %s %.1f texts/s\n", work, precision, n, round+1, c.name, x)
			}
		}
		o.judge(r, t, cells, list, cell{Work: work, Precision: precision, Connections: n}, allowed)
	}
	return nil
}

// judge makes a row, and the points that must hold.
func (o *options) judge(r *report, t *table, cells *[]cell, list []*contender, x cell, allowed float64) {
	x.Rates, x.Bare = map[string][]float64{}, map[string][]float64{}
	ours, best := median(list[0].rates), 0.0
	var others []string
	name := fmt.Sprintf("%s %s, %d connections", x.Work, x.Precision, x.Connections)
	wanted := wantedRate
	if x.Work == "long" {
		wanted = wantedOfBare * allowed
	}
	for i, c := range list {
		x.Rates[c.name], x.Bare[c.name] = c.rates, c.bare
		if i == 0 {
			continue
		}
		m := median(c.rates)
		best = max(best, m)
		others = append(others, fmt.Sprintf("%s %.1f", c.name, m))
		if x.Work != "long" || c.bare != nil {
			r.must(ours >= wanted*m, name+", over "+c.name, fmt.Sprintf("%.2f", ours/m), fmt.Sprintf("%.2f", wanted))
		}
	}
	*cells = append(*cells, x)
	ratio := "-"
	if best > 0 {
		ratio = fmt.Sprintf("%.2f", ours/best)
	}
	t.Rows = append(t.Rows, []string{x.Work, x.Precision, strconv.Itoa(x.Connections), fmt.Sprintf("%.1f", ours), strings.Join(others, "; "), ratio, fmt.Sprintf("%.2f", wanted)})
}

// agree asks all servers for the same vectors.
func (o *options) agree(r *report, list []*contender, texts []string, work, precision string) error {
	c, texts := client(), texts[:min(16, len(texts))]
	least, floor := map[string]float64{}, leastCosine32
	if precision != "fp32" {
		floor = leastCosine8
	}
	for _, body := range bodies(texts) {
		var ours []float32
		for i, s := range list {
			a := post(c, s.url+embeddings, body)
			v, err := vector(a.body)
			if a.err != nil || err != nil {
				return fmt.Errorf("%s: %d %v, %w", s.name, a.status, a.err, err)
			}
			if i == 0 {
				ours = v
				continue
			}
			if _, ok := least[s.name]; !ok {
				least[s.name] = 1
			}
			least[s.name] = min(least[s.name], cosine(ours, v))
		}
	}
	for name, x := range least {
		r.must(x >= floor, fmt.Sprintf("%s %s: the vectors of %s are ours, least cosine", work, precision, name), fmt.Sprintf("%.7f", x), fmt.Sprintf("%.7g", floor))
	}
	return nil
}

// bareRatio measures the engines without HTTP, one text after another, by turns: how many times ours is as fast. Only a server with a route /bare tells
// its own.
func (o *options) bareRatio(list []*contender, texts []string, precision string) (float64, error) {
	m, err := albert.Open(o.base()[2:], albert.Normalize(), albert.Precision(precision), albert.Threads(o.threads))
	if err != nil {
		return 0, err
	}
	defer m.Close()
	c, ratio := client(), 0.0
	for round := range o.rounds + 1 { // the first warms
		for i, s := range list {
			var x float64
			if i == 0 {
				began := time.Now()
				for _, text := range texts {
					if _, err := m.Embed(context.Background(), []string{text}); err != nil {
						return 0, err
					}
				}
				x = time.Since(began).Seconds() * 1e3 / float64(len(texts))
			} else {
				a := post(c, s.url+"/bare", object("texts", texts))
				var told struct{ Ms float64 }
				if a.status != 200 || json.Unmarshal(a.body, &told) != nil {
					continue
				}
				x = told.Ms
			}
			if round > 0 {
				s.bare = append(s.bare, x)
			}
		}
	}
	for _, s := range list[1:] {
		if s.bare != nil {
			ratio = median(s.bare) / median(list[0].bare)
		}
	}
	return ratio, nil
}
