package train

import (
	"context"
	"math"

	"albert/internal/engine/ops"
	"albert/internal/files/jsonobject"
)

// Learner is what is learned. The loop asks for batches in ascending order of steps.
type Learner interface {
	// Batch gives the examples of a step, counting from 1: a pure function of the step. It is called from a goroutine of its own
	// while the batch before runs, one call at a time.
	Batch(step int) (Batch, error)
	// Evaluate measures the weights on held-out examples: the fields of the evaluation's row in the log, nil if there is nothing
	// to measure. It returns ctx's error soon after ctx is done. Ranks of a job measure together what is [Shared] in ctx, and rank 0 alone
	// gives the fields.
	Evaluate(ctx context.Context) (Fields, error)
}

// Batch is the examples of one step.
type Batch interface {
	// Len is the number of sequences, at least 1.
	Len() int
	// Pieces is the length of sequence i.
	Pieces(i int) int
	// Leaf runs sequences [a,b) forward and back and adds their gradients to g. The divisors are those of the whole batch. Each
	// sequence comes once; with Config.Together above 1 several leaves run at once, so that their order is not known.
	Leaf(g *ops.Grads, a, b int) error
	// Found is where Leaf writes what it finds in sequences [a,b), all that Report needs of them: ranks of a job write there what others found.
	Found(a, b int) []float64
	// Report gives, after the last leaf, the step's "loss", and what else the log shows of it.
	Report() Fields
	// Example names sequence i in the log of a skipped step.
	Example(i int) string
}

// Joined is a batch whose loss is of all of its sequences together: what a sequence gives back depends on what the others gave. Every
// leaf runs forward, then the loss is computed, then every leaf runs again, forward and back. So the memory is that of one leaf.
type Joined interface {
	Batch
	// Forward runs sequences [a,b) forward and keeps what the loss needs of them; several leaves may run at once.
	Forward(a, b int) error
	// Forwarded is where Forward writes what it keeps of sequences [a,b), all that Join needs of them, as Found is.
	Forwarded(a, b int) []float32
	// Join computes the loss, after the last Forward and before the first Leaf.
	Join() error
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Field and Fields are those of package jsonobject: a row of the log is numbers, strings, booleans, lists of strings, nil and Fields.
type (
	Field  = jsonobject.Field
	Fields = jsonobject.Fields
)
