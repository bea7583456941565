package train

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// lineEvery is how often progress gets a line where it is not a bar.
const lineEvery = 10 * time.Second

// barWidth is the length of the bar itself; barColumns what the line takes beside its text: percentage, borders, spaces.
const (
	barWidth   = 20
	barColumns = barWidth + 12
)

// barParts is how finely the bar shows a step, which may take hours.
const barParts = 1000

// progress shows how far a run is: a bar on a terminal, else a line every ten seconds.
type progress struct {
	out   io.Writer
	quiet bool
	bar   *progressbar.ProgressBar
	fd    int // of the terminal
	steps int
	peak  float64
	now   func() time.Time

	began   time.Time // of the first step of this start
	first   int       // steps done then
	shown   time.Time
	window  time.Time // since when the rates below count
	tokens  int
	flops   float64
	summary []string // of the last step
	rates   string
}

func newProgress(c *Config) *progress {
	p := &progress{out: c.Messages, quiet: c.Quiet, steps: c.Steps, peak: c.Peak * float64(c.ranks()), now: time.Now}
	if p.out == nil {
		p.out = io.Discard
	}
	return p
}

// begin starts the clock after the given number of steps.
func (p *progress) begin(done int) {
	p.began, p.first = p.now(), done
	p.window, p.shown = p.began, p.began
	f, ok := p.out.(interface {
		io.Writer
		Fd() uintptr
	})
	if p.quiet || !ok || !term.IsTerminal(int(f.Fd())) {
		return
	}
	p.fd = int(f.Fd())
	p.bar = progressbar.NewOptions64(int64(p.steps)*barParts, progressbar.OptionSetWriter(f), progressbar.OptionSetWidth(barWidth),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(false))
}

// message prints a line, above the bar where there is one.
func (p *progress) message(format string, args ...any) {
	if p.bar != nil {
		_ = p.bar.Clear() // what a terminal shows is no reason to fail
	}
	fmt.Fprintf(p.out, format+"\n", args...)
}

// note is a message that Quiet leaves out.
func (p *progress) note(format string, args ...any) {
	if !p.quiet {
		p.message(format, args...)
	}
}

// leaf is told of each leaf: of the step after done steps so many of total pieces are finished, now of them by this leaf.
func (p *progress) leaf(done, pieces, total, now int, flops float64) {
	p.tokens += now
	p.flops += flops
	p.show(done, float64(pieces)/float64(total), false)
}

// step is told of each finished step, by its row in the log.
func (p *progress) step(done int, row Fields) {
	var s []string
	for _, name := range []string{"loss", "mlm_accuracy", "sop_accuracy", "accuracy", "learning_rate"} {
		if v := row.Number(name); finite(v) {
			s = append(s, fmt.Sprintf("%s %.4g", strings.ReplaceAll(name, "_", " "), v))
		}
	}
	p.summary = s
	p.show(done, 0, done == p.first+1)
}

// show draws the bar or, if it is time for one, a line.
func (p *progress) show(done int, part float64, now bool) {
	t := p.now()
	if p.quiet || p.bar == nil && !now && t.Sub(p.shown) < lineEvery {
		return
	}
	p.shown = t
	if since := t.Sub(p.window).Seconds(); since >= 1 || p.rates == "" && since > 0 {
		p.rates = grouped(int(float64(p.tokens)/since)) + " tokens/s"
		if p.peak > 0 && p.flops > 0 {
			p.rates += fmt.Sprintf(", %.0f %% of peak", 100*p.flops/since/p.peak)
		}
		p.window, p.tokens, p.flops = t, 0, 0
	}
	parts := []string{fmt.Sprintf("step %d of %d", done, p.steps)}
	if part > 0 {
		parts[0] = fmt.Sprintf("step %d of %d (%.0f %%)", done+1, p.steps, 100*part)
	}
	if reached := float64(done) + part - float64(p.first); reached > 0 {
		left := float64(p.steps) - float64(done) - part
		parts = append(parts, durationText(t.Sub(p.began).Seconds()/reached*left)+" to go")
	}
	if p.rates != "" {
		parts = append(parts, p.rates)
	}
	line := strings.Join(append(parts, p.summary...), ", ")
	if p.bar == nil {
		fmt.Fprintln(p.out, line)
		return
	}
	if w, _, err := term.GetSize(p.fd); err == nil { // a line that wraps could not be drawn over
		line = line[:max(0, min(len(line), w-barColumns))]
	}
	p.bar.Describe(line)
	_ = p.bar.Set64(int64((float64(done) + part) * barParts))
}

// end removes the bar.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}
