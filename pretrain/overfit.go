package pretrain

import (
	"context"
	"iter"

	"albert/internal/files/disk"
	"albert/internal/learn/pretraining"
	"albert/internal/learn/train"
	"albert/internal/text/corpus"
)

// overfitDocuments are the documents that a batch of the check is made of, where text and not shards is given.
const overfitDocuments = 1000

// overfit checks by one batch whether the setup can learn. What it writes is gone when it returns.
func (c *job) overfit(ctx context.Context) (*Result, error) {
	c.Patience, c.EvalEvery, c.Dev = 0, 0, nil
	c.BatchSize = min(c.BatchSize, train.OverfitExamples)
	c.model.HiddenDropoutProb, c.model.AttentionProbsDropoutProb = 0, 0
	c.most = overfitDocuments
	tmp, remove, err := disk.Temporary("albert-overfit-")
	if err != nil {
		return nil, err
	}
	defer remove()
	c.Output = tmp
	defer c.close()
	config, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	batch, err := c.learner.Batch(1)
	if err != nil {
		return nil, err
	}
	o, err := train.Overfit(ctx, *config, c.weights.Params, c.learner, pretraining.Bound(batch.(*pretraining.Batch).Examples))
	if err != nil {
		return nil, err
	}
	return &Result{Parameters: c.weights.Params.Size(), Overfit: o}, nil
}

// firstOf is the first documents.
func firstOf(docs iter.Seq2[corpus.Document, error], most int) iter.Seq2[corpus.Document, error] {
	return func(yield func(corpus.Document, error) bool) {
		n := 0
		for d, err := range docs {
			if n++; !yield(d, err) || n == most {
				return
			}
		}
	}
}
