package train

import (
	"context"
	"errors"
	"io"
	"time"

	"albert/internal/engine/mpi"
	"albert/internal/files/safetensors"
	"albert/internal/learn/optim"
	"albert/internal/run"
)

// ErrStopped is what Run returns, with the step, when it saved its state and stopped before the end: exit status 75.
var ErrStopped = errors.New("stopped, state saved; run the same command again to go on")

// Config has the settings of a run, and where it is kept.
type Config struct {
	Dir run.Dir

	Steps     int `range:"[1,)"`
	Rate      optim.Schedule
	Optimizer optim.Config
	// Together is how many leaves may run at once, each on a thread of its own; below 2 the threads share every operation. It
	// changes no bits. Small models are faster with as many as there are threads; the memory is that of so many leaves.
	Together int
	// MicroBatch bounds the sequences whose activations are held at once, rounded to whole leaves, at least one; 0: no bound.
	MicroBatch int

	EvalEvery int    // steps from one evaluation to the next; 0: only after the last step
	SaveEvery int    // steps from one checkpoint to the next; 0: only after the last step
	Keep      int    `range:"[1,)"` // how many checkpoints are kept, beside the best; at least 1
	Best      string // the field of an evaluation whose best value is kept; "": none
	Lowest    bool   // the best value is the lowest
	UseBest   bool   // the result is the best checkpoint, if any was evaluated, not the last one
	// Patience ends the run as finished after so many evaluations in a row whose value of Best is no better; 0: never. A value that is
	// undefined does not count.
	Patience int

	MaxTime time.Duration // stop and save after that time; 0: no limit
	Quiet   bool          // no plan and no progress; warnings are shown all the same
	DryRun  bool          // write the run directory and its plan, and stop
	// Forecast of a dry run; no Ranks: none.
	Forecast Forecast

	// Settings are all resolved settings under the names of their flags. Those that are not Changeable must be the same when the
	// run is resumed, and so must Data: hashes of what is learned from.
	Settings, Data Fields
	Changeable     []string
	// Sources say where the data and the model lay, for the manifest.
	Sources *run.Sources
	// About is what the program knows of itself and the machine, for the manifest.
	About Fields
	// Notes say what is known of the data before the first step, as what was left out: "data_notes" in the log's row of step 1.
	Notes []string
	// Files are written into the run directory and into every checkpoint: a model's config.json, say.
	Files map[string][]byte

	// World is what this process shares the run with: all of its ranks are asked the same, and get the weights and the log that one process
	// would. nil: one process. MaxTime ends the run where it is over on any.
	World mpi.World
	// Device runs the arithmetic on gradients and weights.
	Device optim.Device
	// Tensors lists the model's tensors as they stand in a file, every parameter under its name among them; nil: the parameters.
	Tensors func() []safetensors.Tensor
	// After, unless nil, is called with every row of the log when it is written: a step's, or an evaluation's, which has a "split". Its
	// warning is shown; its error ends the run, whose state is saved.
	After func(row Fields) (warning string, err error)
	// Measure measures the result before Finish writes it, on every rank, as [Learner].Evaluate measures the weights; nil: nothing is.
	Measure func(ctx context.Context) error
	// Finish writes the result, a model directory; nil: no model directory.
	Finish func(dir string) error

	// Flops is the floating-point operations that training on a sequence of so many pieces takes; nil: not known.
	Flops func(pieces int) float64
	// Peak is what the machine could do at most, in FLOP/s; 0: not known.
	Peak float64
	// Memory lists what a run on batches like the given one needs beside gradients and moments; nil: not known.
	Memory func(b Batch) []Memory

	Messages io.Writer // plan, progress and warnings; if it is a terminal, progress is a bar; nil: none
}

// Memory is a part of what a run needs.
type Memory struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// ranks is how many processes share the run.
func (c *Config) ranks() int {
	if c.World == nil {
		return 1
	}
	return c.World.Size()
}

func (c *Config) check() error {
	switch {
	case c.Dir == "":
		return errors.New("no run directory given")
	case c.Patience > 0 && c.Best == "":
		return errors.New("patience without a value that evaluations are compared by")
	}
	return run.Check(c)
}
