package pretrain_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"albert/pretrain"
)

// A small model of one's own text, with a tokenizer that is there.
func Example() {
	c := pretrain.Defaults()
	c.Output, c.Config, c.Tokenizer = "runs/own", "base", "own.model"
	c.Train, c.Dev = []string{"text.txt"}, []string{"held-out.txt"}
	c.MaxSeqLength, c.BatchSize, c.Steps, c.WarmupSteps = 128, 32, 5000, 200
	c.Messages = os.Stderr
	r, err := pretrain.Run(context.Background(), c)
	if errors.Is(err, pretrain.ErrStopped) {
		log.Fatal(err) // the same call goes on
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Model, r.Parameters)
}

func ExampleDefaults() {
	c := pretrain.Defaults()
	fmt.Println(c.Objective, c.MaxSeqLength, c.MaskRate, c.NGram, c.Optimizer, c.BatchSize, c.Keep)
	// Output: sop 512 0.15 3 lamb 4096 3
}
