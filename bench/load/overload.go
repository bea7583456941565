package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

const (
	queuePieces = 4096 // that may wait: so few that ten times the rate fills it at once
	batchPieces = 256
)

// overload asks ten times as often as can be answered.
func overload(o *options, r *report) error {
	texts, err := o.texts("mixed")
	if err != nil {
		return err
	}
	t := table{Title: fmt.Sprintf("Ten times the highest rate, %d pieces may wait:", queuePieces), Columns: []string{"precision", "asked/s", "200", "429", "others", "p99 of 200, ms", "p99 of 429, ms", "MB at first, then", "200/s, before"}}
	for _, precision := range o.precision {
		s, err := o.albertServe(o.base(), precision, "--quiet", "--max-queue-tokens", strconv.Itoa(queuePieces))
		if err != nil {
			return err
		}
		err = o.overloaded(r, &t, s, bodies(texts), precision)
		s.stop()
		if err != nil {
			return err
		}
	}
	r.Tables = append(r.Tables, t)
	return nil
}

func (o *options) overloaded(r *report, t *table, s *server, asked [][]byte, precision string) error {
	url := s.url + embeddings
	before, err := s.counted("albert_pieces_total", "")
	if err != nil {
		return err
	}
	began := time.Now()
	highest, err := rate(url, asked, 16, span(o.seconds/3))
	if err != nil {
		return err
	}
	after, err := s.counted("albert_pieces_total", "")
	if err != nil {
		return err
	}
	perSecond := (after - before) / time.Since(began).Seconds()
	memory := s.watch()
	hits, err := o.attack(url, asked, 10*highest, span(o.seconds))
	rss := memory()
	if err != nil {
		return err
	}
	times, errors := map[int][]time.Duration{}, map[string]int{}
	for _, h := range hits {
		if times[h.Code] = append(times[h.Code], h.Latency); h.Code != 200 && h.Code != 429 {
			errors[h.Error]++
		}
	}
	accepted, refused := times[200], times[429]
	others := len(hits) - len(accepted) - len(refused)
	p99 := quantile(accepted, .99)
	bound := span(2 * (queuePieces + 2*batchPieces) / perSecond) // the whole queue at half the speed: the client shares the machine
	half := len(rss) / 2
	first, then := slices.Max(append(rss[:half:half], 0)), slices.Max(append(rss[half:], 0))
	t.Rows = append(t.Rows, []string{precision, fmt.Sprintf("%.0f", 10*highest), strconv.Itoa(len(accepted)), strconv.Itoa(len(refused)), strconv.Itoa(others),
		ms(p99), ms(quantile(refused, .99)), fmt.Sprintf("%.0f, %.0f", first, then), fmt.Sprintf("%.1f, %.1f", float64(len(accepted))/o.seconds, highest)})
	r.must(others == 0, precision+": answers other than 200 and 429", fmt.Sprint(others, " ", slices.Collect(maps.Keys(errors))), "0")
	r.must(len(accepted) > 0 && len(refused) > 0, precision+": some are answered, the others refused", fmt.Sprint(len(accepted), ", ", len(refused)), "both")
	r.must(p99 <= bound, precision+": p99 of the accepted, ms", ms(p99), ms(bound)+", twice the time of a full queue")
	r.must(then <= 1.05*first, precision+": memory in the second half, MB", fmt.Sprintf("%.1f", then), fmt.Sprintf("%.1f, 1.05 times the first", 1.05*first))
	r.must(s.alive(), precision+": the server lives", fmt.Sprint(s.alive()), "true")
	return nil
}
