// Package spmtrain trains SentencePiece unigram models, after Kudo's "Subword Regularization" (ACL 2018): many candidate pieces from
// the text's repeated substrings, their probabilities by expectation maximisation, and again and again the pieces dropped whose loss
// hurts the likelihood of the text least.
//
// Text is normalised and cut into words at spaces; all later work is on distinct words and how often each stands, so that memory
// follows the vocabulary of the text and not its length. The result depends on the sentences and the options alone, not on threads
// or processor.
//
//	m, stats, err := spmtrain.Train(ctx, sentences, spmtrain.DefaultOptions())
package spmtrain
