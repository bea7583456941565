package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"albert/internal/proof"
)

// CompareCmd puts runs side by side.
type CompareCmd struct {
	Runs   []string `arg:"" help:"Run directories of one task; one of several seeds means each of them." placeholder:"RUN"`
	Output string   `help:"Write compare.svg, the losses of all runs in one plot, and compare.json into this directory." placeholder:"DIR"`
	JSON   bool     `name:"json" negatable:"" help:"Give one JSON object."`
	allFlags
}

// Run compares.
func (c *CompareCmd) Run() error {
	defer c.limit()()
	r, err := proof.Compare(c.Runs)
	if err != nil {
		return request(err)
	}
	if c.Output != "" {
		if err := r.Write(c.Output); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	_, err = fmt.Print(r.Markdown())
	return err
}

// request makes an error of what was asked one of the command line.
func request(err error) error {
	if bad := (*proof.RequestError)(nil); errors.As(err, &bad) {
		return usageError{err}
	}
	return err
}
