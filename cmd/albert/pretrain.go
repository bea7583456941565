package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"albert/internal/engine/mpi"
	"albert/internal/learn/train"
	"albert/internal/run"
	"albert/pretrain"
)

// PretrainCmd pretrains a model.
type PretrainCmd struct {
	pretrain.Config
	mpiFlag
	JSON bool `name:"json" negatable:"" help:"With --overfit-one-batch: give what was found as JSON on stdout."`
}

// Run pretrains.
func (c *PretrainCmd) Run(ctx context.Context) error {
	return c.share(func(world mpi.World) error {
		c.World, c.Threads = world, cmp.Or(c.Threads, mpi.Threads())
		if err := train.Agree(world, c.check()); err != nil {
			return err
		}
		c.Messages = messages{os.Stderr}
		r, err := pretrain.Run(ctx, c.Config)
		if err == nil && r.Overfit != nil {
			return overfitted(r.Overfit, c.JSON)
		}
		return err
	})
}

// check refuses what is asked for in vain.
func (c *PretrainCmd) check() error {
	if err := trainable("pretrain", c.Precision); err != nil {
		return err
	}
	switch {
	case c.Config.Config == "" && c.Init == "":
		return usagef("pretrain: --config NAME|FILE or --init MODEL is missing: a new model (albert inspect --config base shows one), or one to go on from")
	case c.Tokenizer == "" && c.Init == "":
		return usagef("pretrain: --tokenizer FILE is missing (albert tokenizer train makes one)")
	case c.Config.Config != "":
		if _, err := configOf(c.Config.Config); err != nil {
			return err
		}
	}
	if train.Leads(c.World) {
		warnTables(slices.Concat(c.Train, c.Dev)...)
	}
	return nil
}

// overfitted tells what --overfit-one-batch found. A setup that does not learn is an error.
func overfitted(o *train.Overfitted, asJSON bool) error {
	if asJSON {
		o.Advice = run.Flags(o.Advice)
		if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
			return err
		}
	}
	if !o.Learns {
		return errors.New(o.String())
	}
	_, err := fmt.Fprintln(messages{os.Stderr}, o)
	return err
}
