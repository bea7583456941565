// Package train is the training loop: steps, evaluation, checkpoints, resuming, logs. It does not know what is learned: a [Learner]
// gives batches and measures the weights, a [Batch] computes gradients, and [Run] does the rest in a run directory.
//
//	err := train.Run(ctx, train.Config{
//		Dir: "run", Steps: 1000, EvalEvery: 100, SaveEvery: 100, Keep: 2,
//		Rate:      optim.Schedule{LearningRate: 1e-3, Steps: 1000, Warmup: 100},
//		Optimizer: optim.Config{Kind: optim.LAMB, WeightDecay: 0.01, Clip: 1},
//		Settings:  train.Fields{{Name: "learning-rate", Value: 1e-3}, {Name: "batch-size", Value: 32}, {Name: "threads", Value: 2}},
//		Device:    device, Finish: model.Save, Messages: os.Stderr,
//	}, params, learner)
//	if errors.Is(err, train.ErrStopped) {
//		os.Exit(75) // the same call goes on
//	}
//
// # A step
//
// The step's batch is halved by index, [a,b) at (a+b)/2, until a part has at most 1,024 pieces or is one sequence: a leaf, the
// smallest unit of work. The gradients of the first six levels of halving, 64 parts at most, are added as that tree; within a part
// the sum goes on from leaf to leaf. So a batch of any size needs at most 7 gradient buffers, and its gradient depends on the batch
// alone. The gradient is clipped, the optimizer moves the weights, and a row goes into log.jsonl. The next batch is built meanwhile.
// A step whose loss or gradient is not finite is skipped; after five in a row the run ends.
//
// # A run directory
//
//	manifest.json             settings, data hashes, and for each start: when, how long, on what
//	plan.json                 what the run was expected to take
//	log.jsonl, tensorboard/   a row for each step and evaluation, each step once
//	checkpoints/step-000100/  model.safetensors with moments, trainer.json, manifest.json with everyone's sha256
//	checkpoints/best          a link to the best by the chosen metric
//	model/                    the result
//
// A checkpoint is written under another name, synced, hashed and renamed, so that one that has its name is whole; the newest that
// verifies is resumed, and logs are cut back to it. What could not be saved, for lack of space say, is tried again at the next
// occasion; older checkpoints stay as they are. Together with batches that are functions of the step alone, a run that was
// interrupted any number of times ends with the bits of one that was not.
package train
