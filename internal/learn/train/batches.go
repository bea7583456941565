package train

import (
	"context"
	"fmt"
)

// batchQueue builds the next step's batch while a step runs.
type batchQueue struct {
	learner Learner
	steps   int // the last step
	step    int // which batch is being built or waits; 0: none
	built   chan built
}

type built struct {
	batch Batch
	err   error
}

func (a *batchQueue) start(step int) {
	if step > a.steps {
		return
	}
	a.step, a.built = step, make(chan built, 1)
	go func(c chan<- built) {
		b, err := a.learner.Batch(step)
		if err == nil && b.Len() == 0 {
			err = fmt.Errorf("the batch is empty")
		}
		c <- built{b, err}
	}(a.built)
}

// get takes the batch of a step and starts on the next one.
func (a *batchQueue) get(ctx context.Context, step int) (Batch, error) {
	b, err := a.peek(ctx, step)
	if err == nil {
		a.step = 0
		a.start(step + 1)
	}
	return b, err
}

// peek waits for the batch of a step, without taking it.
func (a *batchQueue) peek(ctx context.Context, step int) (Batch, error) {
	if a.step != step {
		a.wait()
		a.start(step)
	}
	select {
	case r := <-a.built:
		a.built <- r
		if r.err != nil {
			return nil, fmt.Errorf("step %d: %w", step, r.err)
		}
		return r.batch, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// wait returns when no batch is being built.
func (a *batchQueue) wait() {
	if a.step != 0 {
		<-a.built
	}
	a.step = 0
}
