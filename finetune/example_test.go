package finetune_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"albert/finetune"
)

// A classifier from labelled lines such as {"text": "...", "label": "..."}.
func Example() {
	c := finetune.Defaults()
	c.Model, c.Output, c.Task = "albert-base-v2", "runs/own", "classify"
	c.Train, c.Dev = []string{"train.jsonl"}, []string{"dev.jsonl"}
	r, err := finetune.Run(context.Background(), c)
	if errors.Is(err, finetune.ErrStopped) {
		log.Fatal(err) // the same call goes on
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Metric, *r.Median, r.BestStep)
}

func ExampleDefaults() {
	c := finetune.Defaults()
	fmt.Println(c.Optimizer, c.WeightDecay, c.DocStride, c.Keep, c.Runs)
	// Output: adamw 0.01 128 1 1
}
