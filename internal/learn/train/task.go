package train

import (
	"context"
	"encoding/json"
	"math"
	"strconv"

	"albert/internal/engine/ops"
)

// Task is what is learned. The loop asks for batches in ascending order of steps.
type Task interface {
	// Batch gives the examples of a step, counting from 1: a pure function of the step. It is called from a goroutine of its own
	// while the batch before runs, one call at a time.
	Batch(step int) (Batch, error)
	// Evaluate measures the weights on held-out examples: the fields of the evaluation's row in the log, nil if there is nothing
	// to measure. It returns ctx's error soon after ctx is done.
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
	// Report gives, after the last leaf, the step's "loss", and what else the log shows of it.
	Report() Fields
	// Example names sequence i in the log of a skipped step.
	Example(i int) string
}

// Field is a named value of a row in the log: a number, string, boolean, list of strings, nil or Fields.
type Field struct {
	Name  string
	Value any
}

// Fields are named values in the order in which they are written.
type Fields []Field

// Get is the value of a field, nil if there is none.
func (f Fields) Get(name string) any {
	for _, x := range f {
		if x.Name == name {
			return x.Value
		}
	}
	return nil
}

// number is the value of a field as float64, NaN if it is no number.
func (f Fields) number(name string) float64 {
	switch v := f.Get(name).(type) {
	case float64:
		return v
	case float32:
		return float64(v)
	case int:
		return float64(v)
	case int64:
		return float64(v)
	}
	return math.NaN()
}

// MarshalJSON writes an object with the fields in order, on one line. A number that is not finite becomes null.
func (f Fields) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, x := range f {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendQuote(b, x.Name), ':')
		v := x.Value
		if n, ok := v.(float64); ok && !finite(n) {
			v = nil
		}
		if n, ok := v.(float32); ok && !finite(float64(n)) {
			v = nil
		}
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		b = append(b, text...)
	}
	return append(b, '}'), nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
