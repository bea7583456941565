package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"albert/internal/quickstart"
)

// QuickstartCmd pretrains and fine-tunes a small model on the comments in Go's own source.
type QuickstartCmd struct {
	Output string `default:"albert-quickstart" help:"Run directory; an interrupted quickstart goes on from it." placeholder:"DIR"`
	Force  bool   `negatable:"" help:"Delete an earlier quickstart and begin anew."`
	GOROOT string `name:"goroot" help:"Go installation whose comments are read (default: go env GOROOT)." placeholder:"DIR"`
	Steps  int    `help:"Training steps of pretraining (default: 7000, some minutes on two cores)."`
	Seed   uint64 `default:"12345" help:"Seed of everything random."`
	allFlags
}

// Run does the quickstart.
func (c *QuickstartCmd) Run(ctx context.Context) error {
	if c.Steps < 0 {
		return usagef("--steps %d: want at least 1", c.Steps)
	}
	return quickstart.Run(ctx, quickstart.Options{Output: c.Output, Force: c.Force, GOROOT: c.GOROOT, Steps: c.Steps, Seed: c.Seed, Threads: c.Threads, Quiet: c.Quiet, Command: called(),
		Out: os.Stdout, Log: messages{os.Stderr}})
}

// called is what a person types to call this program again.
func called() string {
	if exe, err := os.Executable(); err == nil && strings.Contains(filepath.ToSlash(exe), "/go-build") {
		return "go run ./cmd/albert"
	}
	if _, err := exec.LookPath("albert"); err == nil {
		return "albert"
	}
	return os.Args[0]
}
