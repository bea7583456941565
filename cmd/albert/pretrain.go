package main

import (
	"context"
	"os"

	"albert/pretrain"
)

// PretrainCmd pretrains a model.
type PretrainCmd struct {
	pretrain.Config
	precisionFlag
}

// Run pretrains.
func (c *PretrainCmd) Run(ctx context.Context) error {
	if err := c.trainable("pretrain"); err != nil {
		return err
	}
	switch {
	case c.Config.Config == "" && c.Init == "":
		return usagef("pretrain: --config NAME|FILE or --init MODEL says which model (albert inspect --config base shows one)")
	case c.Tokenizer == "" && c.Init == "":
		return usagef("pretrain: --tokenizer FILE is missing (albert tokenizer train makes one)")
	case c.Config.Config != "":
		if _, err := configOf(c.Config.Config); err != nil {
			return err
		}
	}
	c.Messages = messages{os.Stderr}
	_, err := pretrain.Run(ctx, c.Config)
	return err
}
