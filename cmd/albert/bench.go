package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"albert/bench"
	"albert/internal/infer"
)

// BenchCmd measures this machine against its own peak.
type BenchCmd struct {
	Work      []string          `help:"What to measure, with commas between: gemm-MxKxN, forward-CONFIG-BxS, train-CONFIG-BxS (B sequences of S pieces), search-NxD-qQ (Q queries at once in N vectors of D values), tokenize." placeholder:"NAME"`
	Precision []infer.Precision `help:"fp32 (default), bf16, bf16-tile, bf16-dot and int8, with commas between; int8 is of gemm and forward." enum:"fp32,bf16,bf16-tile,bf16-dot,int8" placeholder:"P"`
	Threads   []int             `help:"Numbers of threads, with commas between (default: 1 and all)." placeholder:"N"`
	Rounds    int               `default:"7" help:"Interleaved rounds, at least 5; medians are given."`
	JSON      bool              `name:"json" negatable:"" help:"Give one JSON object."`
	quietFlag
}

// Run measures and prints.
func (c *BenchCmd) Run(ctx context.Context) error {
	o := bench.Options{Work: c.Work, Threads: c.Threads, Precisions: c.Precision, Rounds: c.Rounds}
	if !c.Quiet {
		o.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	}
	r, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	fmt.Printf("%s, %s\n", r.CPU, r.InstructionSet)
	fmt.Printf("%-24s %7s %12s %10s %8s\n", "work", "threads", "ms", "GFLOP/s", "of peak")
	for _, w := range r.Work {
		name := w.Name
		if w.Precision != string(infer.FP32) {
			name += " " + w.Precision
		}
		fmt.Printf("%-24s %7d %12.3f", name, w.Threads, w.Ms)
		switch {
		case w.FractionOfBandwidth > 0:
			fmt.Printf(" %10.1f %7.1f%%  %.1f GB/s, %.1f %% of what can be read\n", w.Gflops, 100*w.FractionOfPeak, w.BytesPerSecond/1e9, 100*w.FractionOfBandwidth)
		case w.Gflops > 0:
			fmt.Printf(" %10.1f %7.1f%%\n", w.Gflops, 100*w.FractionOfPeak)
		default:
			fmt.Printf(" %10.1f MB/s\n", w.BytesPerSecond/1e6)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(r.Peaks)) {
		name := "peak"
		if p != infer.FP32 {
			name += " " + string(p)
		}
		for _, t := range slices.Sorted(maps.Keys(r.Peaks[p])) {
			fmt.Printf("%-24s %7s %12s %10.1f\n", name, t, "", r.Peaks[p][t])
		}
	}
	return nil
}
