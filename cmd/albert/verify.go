package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"albert/internal/proof"
	"albert/internal/run"
)

// VerifyCmd does steps of a run again and compares the bits.
type VerifyCmd struct {
	Path         string `arg:"" help:"Run directory; also one of several seeds." placeholder:"RUN"`
	Steps        int    `default:"100" help:"Steps that are done again at most: from a stored checkpoint, or the first weights, to the newest later one."`
	All          bool   `negatable:"" help:"Do all steps again, from the first weights to the newest checkpoint."`
	OtherProgram bool   `negatable:"" help:"Compare also where another version or commit of this program did the steps."`
	JSON         bool   `name:"json" negatable:"" help:"Give one JSON object."`
	allFlags
}

// Run verifies. What cannot be judged ends with status 2.
func (c *VerifyCmd) Run(ctx context.Context) error {
	if c.Steps < 1 {
		return usagef("--steps %d: want at least 1", c.Steps)
	}
	v, err := proof.Verify(ctx, c.Path, proof.VerifyOptions{Steps: c.Steps, All: c.All, OtherProgram: c.OtherProgram, Messages: messages{os.Stderr},
		Common: run.Common{Threads: c.Threads, Quiet: c.Quiet}})
	if err != nil {
		return usageError{err}
	}
	for _, n := range v.Notes {
		fmt.Fprintln(messages{os.Stderr}, n)
	}
	if c.JSON {
		if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
			return err
		}
	}
	if !v.Same {
		return errors.New(v.Run + ": " + v.FirstDifference.Error() + "; " + v.Explanation)
	}
	if !c.JSON {
		list := v.Runs
		if list == nil {
			list = []*proof.Verdict{v}
		}
		for _, one := range list {
			fmt.Printf("%s: steps %d to %d are the same again, bit for bit: %s; weights_sha256 %s\n", one.Run, one.From+1, one.To,
				strings.Join(one.Compared, ", "), one.WeightsSHA256)
		}
	}
	return nil
}
