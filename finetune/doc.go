// Package finetune teaches a pretrained model a task from labelled data, and measures it: GLUE, SQuAD, RACE, and people's own classes,
// numbers, tags and choices. Its [Config] is the record that `albert finetune` fills from its flags:
//
//	c := finetune.Defaults()
//	c.Model, c.Output, c.Task, c.Data = "albert-base-v2", "runs/rte", "rte", []string{"glue"}
//	r, err := finetune.Run(ctx, c)
//
// Questions without answers are learned by the released code's head for SQuAD 2.0 ([model.Beam]), others by transformers'.
//
// The settings of each task are those of the paper's Table 14 unless they are given. Layouts and heads are package task's, files and
// labels package dataset's, metrics package metric's; the loop is package train's, so that a run stops, goes on and gives the same bits
// as in pretraining.
package finetune
