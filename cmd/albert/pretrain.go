package main

import (
	"context"
	"os"
	"slices"

	"albert/pretrain"
)

// PretrainCmd pretrains a model.
type PretrainCmd struct {
	pretrain.Config
}

// Run pretrains.
func (c *PretrainCmd) Run(ctx context.Context) error {
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
	warnTables(slices.Concat(c.Train, c.Dev)...)
	c.Messages = messages{os.Stderr}
	_, err := pretrain.Run(ctx, c.Config)
	return err
}
