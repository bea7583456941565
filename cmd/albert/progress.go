package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how many of something are done: a bar on a terminal, else a line now and then.
type progress struct {
	mu           sync.Mutex
	what         string
	total        int // 0: not known
	bar          *progressbar.ProgressBar
	quiet        bool
	began, shown time.Time
}

func newProgress(what string, total int, quiet bool) *progress {
	p := &progress{what: what, total: total, quiet: quiet, began: time.Now()}
	p.shown = p.began
	if !quiet && term.IsTerminal(int(os.Stderr.Fd())) {
		size := total
		if size == 0 {
			size = -1 // a spinner
		}
		p.bar = progressbar.NewOptions64(int64(size), progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetWidth(20),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
	}
	return p
}

// show is told how many are done.
func (p *progress) show(done int) {
	every := prepareLines
	if p.bar != nil {
		every = 100 * time.Millisecond
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.quiet || now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	rate := float64(done) / now.Sub(p.began).Seconds()
	line := fmt.Sprintf("%d %s, %.0f/s", done, p.what, rate)
	if p.total > 0 && rate > 0 {
		left := time.Duration(float64(p.total-done) / rate * float64(time.Second))
		line = fmt.Sprintf("%d of %d %s, %s to go, %.0f/s", done, p.total, p.what, left.Round(time.Second), rate)
	}
	if p.bar == nil {
		fmt.Fprintln(os.Stderr, line)
		return
	}
	p.bar.Describe(line)
	_ = p.bar.Set64(int64(done)) // what a terminal shows is no reason to fail
}

// end removes the bar.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
