// Command contender is this program's side of bench/compare: it does the work that it reads on stdin, a JSON object a line, and answers
// each with a line that says how long it took. Between two commands it is idle.
//
//	{"do": "burst", "seconds": 0.06, "work": {"kind": "forward", "batch": 1, "length": 128}}   gives {"ms": 53.1, "runs": 2}
//	{"do": "peak"}                                                                             gives {"gflops": 520.4}
//
// The kinds of work: forward (the encoder on random pieces), train (a step of the configuration in path), ask (the questions of the file in
// path, from text to answers), tokenize (the given part of eight of the text in path). What cannot be done gets {"error": "..."}.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"albert/bench"
	"albert/internal/engine/cpu"
	"albert/internal/engine/ops"
	"albert/internal/formats"
	"albert/internal/infer"
	"albert/internal/learn/task"
	"albert/internal/model"
	"albert/internal/wire"
	"albert/tokenizer"
)

// parts is how many parts a text to tokenize is cut into: one is a burst.
const parts = 8

// command is a line of stdin.
type command struct {
	Do      string  `json:"do"`
	Work    work    `json:"work"`
	Seconds float64 `json:"seconds"` // the least time that the work is repeated
}

// work is what a burst repeats; equal work is prepared once.
type work struct {
	Kind   string `json:"kind"`
	Batch  int    `json:"batch"`
	Length int    `json:"length"`
	Path   string `json:"path"`
	Part   int    `json:"part"`
}

// reply is a line of stdout.
type reply struct {
	Ms     float64 `json:"ms,omitempty"` // a run, their mean
	Runs   int     `json:"runs,omitempty"`
	Gflops float64 `json:"gflops,omitempty"`
	Error  string  `json:"error,omitempty"`
}

type contender struct {
	model, precision string
	threads          int
	dev              *cpu.Device // of fp32
	peak             func() float64
	prepared         map[work]func() error
}

func main() {
	c := &contender{prepared: map[work]func() error{}}
	flag.StringVar(&c.model, "model", "", "model directory, with the head that answers")
	flag.StringVar(&c.precision, "precision", "fp32", "of matrix products")
	flag.IntVar(&c.threads, "threads", 1, "number of threads")
	flag.Parse()
	runtime.GOMAXPROCS(c.threads)
	dev, err := cpu.New("", c.threads)
	if err == nil {
		c.dev = dev
		c.peak, err = bench.PeakAfterLoad(dev, infer.Precision(c.precision))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "contender:", err)
		os.Exit(1)
	}
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for in.Scan() {
		r, err := c.obey(in.Bytes())
		if err != nil {
			r.Error = err.Error()
		}
		if out.Encode(r) != nil {
			os.Exit(1)
		}
	}
}

func (c *contender) obey(line []byte) (reply, error) {
	var cmd command
	if err := json.Unmarshal(line, &cmd); err != nil {
		return reply{}, err
	}
	switch cmd.Do {
	case "peak":
		return reply{Gflops: c.peak() / 1e9}, nil
	case "burst":
		return c.burst(cmd)
	}
	return reply{}, fmt.Errorf("do %q: want burst or peak", cmd.Do)
}

// burst repeats a piece of work for some time.
func (c *contender) burst(cmd command) (reply, error) {
	run := c.prepared[cmd.Work]
	if run == nil {
		var err error
		if run, err = c.prepare(cmd.Work); err != nil {
			return reply{}, err
		}
		c.prepared[cmd.Work] = run
	}
	n, start := 0, time.Now()
	for ; n == 0 || time.Since(start).Seconds() < cmd.Seconds; n++ {
		if err := run(); err != nil {
			return reply{}, err
		}
	}
	return reply{Ms: time.Since(start).Seconds() * 1e3 / float64(n), Runs: n}, nil
}

func (c *contender) prepare(w work) (func() error, error) {
	switch w.Kind {
	case "forward":
		return c.forward(w)
	case "train":
		return c.train(w)
	case "ask":
		return c.ask(w)
	case "tokenize":
		return tokenize(w)
	}
	return nil, fmt.Errorf("kind %q is not known", w.Kind)
}

func (c *contender) forward(w work) (func() error, error) {
	m, err := formats.Open(c.model)
	if err != nil {
		return nil, err
	}
	dev, err := infer.Prepare(m, infer.Precision(c.precision), c.dev)
	if err != nil {
		return nil, err
	}
	t, b := ops.NewTape(dev, nil), bench.RandomBatch(w.Batch, w.Length, m.Config.VocabSize)
	return func() error {
		m.Encode(t, b, model.NoDropout)
		t.Reset()
		return nil
	}, nil
}

func (c *contender) train(w work) (func() error, error) {
	dev, err := c.dev.In(infer.Precision(c.precision))
	if err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	config, err := model.ReadConfig(w.Path)
	if err != nil {
		return nil, err
	}
	return bench.TrainingStep(dev, config, w.Batch, w.Length), nil
}

// ask answers all questions of a file of JSON lines, as the albert command does.
func (c *contender) ask(w work) (func() error, error) {
	f, err := os.Open(w.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []*infer.Question
	for it := range wire.Lines(f, w.Path) {
		if it.Err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", w.Path, it.Line, it.Err)
		}
		list = append(list, &it.Question)
	}
	m, err := infer.Open(c.model, infer.Options{Threads: c.threads, Precision: infer.Precision(c.precision)})
	if err != nil {
		return nil, err
	}
	ctx, questions := context.Background(), slices.Values(list)
	return func() error {
		switch m.Kind {
		case model.Answer:
			answers, err := m.Answer(ctx, questions, task.DefaultSpanOptions)
			return drain(answers, err)
		case model.Choice:
			answers, err := m.Choose(ctx, questions)
			return drain(answers, err)
		}
		answers, err := m.Classify(ctx, questions, false)
		return drain(answers, err)
	}, nil
}

// drain waits for all answers.
func drain[A any](answers iter.Seq2[A, error], err error) error {
	if err != nil {
		return err
	}
	for _, err := range answers {
		if err != nil {
			return err
		}
	}
	return nil
}

// tokenize cuts lines as SentencePiece itself does, without ALBERT's clean-up, on one thread.
func tokenize(w work) (func() error, error) {
	file, text, _ := strings.Cut(w.Path, ":")
	t, err := tokenizer.Open(file)
	if err != nil {
		return nil, err
	}
	t = t.With(tokenizer.Options{Cleanup: tokenizer.CleanupNone})
	data, err := os.ReadFile(text)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(data), "\n")
	lines = lines[len(lines)*w.Part/parts : len(lines)*(w.Part+1)/parts]
	return func() error {
		for _, l := range lines {
			t.Encode(l)
		}
		return nil
	}, nil
}
