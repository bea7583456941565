// Package task knows what a model can be fine-tuned for: how an example becomes pieces, what its loss is, and what a head's outputs mean.
// The layouts and settings are those of the released code (run_classifier.py, squad_utils.py, race_utils.py).
//
//	windows, err := task.Windows(tok, question, context, task.DefaultSpanOptions)
//	... a forward pass over the windows gives start and end logits ...
//	best := task.BestSpans(windows, starts, ends, context, task.DefaultSpanOptions)
//
// It runs no model but while training: package infer does.
package task
