// Package infer is the one inference engine: questions in, in any number and of any length, answers out in their order, each as soon as it
// is ready. It lays texts out as pieces, cuts the work into ragged batches of at most [BatchPieces], runs a head, and makes answers of what
// that gives. Memory is bounded whatever comes in; any number of goroutines may ask at the same time.
//
//	m, err := infer.Open("albert-quickstart", infer.Options{})
//	for filled, err := range m.Fill(ctx, questions, infer.FillOptions{TopK: 5}) { ... }
//
// Every question kind is one [Work]: how a question becomes examples, what a head gives for one, how the answer is made of that.
// Fine-tuning's evaluations use [Each] with their own.
package infer
