// Package examples turns tokenised documents into masked segment pairs, which ALBERT is pretrained on. It reads no files: documents come from a
// [Source].
//
//	o := examples.Options{Objective: examples.SOP, MaxSeqLength: 512, ShortSeqProb: 0.1, MaskRate: 0.15, NGram: 3, FavorShorterNGram: true}
//	sampler, err := examples.NewSampler(source, vocabulary, o)
//	batch, err := sampler.Batch(step, 4096) // step from 1
//
// # From document to example
//
// The package's example test runs what follows. A document is sentences of pieces; this one is document 0, and an example may have
// 32 pieces:
//
//	0  ▁call ▁me ▁ish ma el .
//	1  ▁some ▁years ▁ago ▁i ▁went ▁to ▁sea .
//	2  ▁it ▁is ▁a ▁way .
//
// Cut. Sentences are taken until there are two and the target length is met: 29 pieces, what is left beside [CLS] and two [SEP]; for
// a tenth of the pairs some smaller number ([Options].ShortSeqProb). A sentence that would overflow the example begins the next pair
// instead, unless the pair has one sentence only; a single sentence left at the end joins the last pair. So every sentence is used
// once an epoch. Here the three make one pair. It is split after a random sentence, say after 1.
//
// Swap. Half of the time (sentence-order prediction) the two segments change places, and the label is 1. Here they do: sentence 2
// stands first. With NSP the second segment is half of the time a run of another document's sentences instead, about as long as what
// it replaces, which begins the next pair.
//
// Truncate. Two sentences may be longer than an example. The longer segment then gives pieces until they fit, at either end, so that
// a segment stays a slice of its document. What is cut off is counted ([Epoch].Lost).
//
// Mask. Of 22 pieces, specials included, 15 % are 3.3: the budget is 3. The number of words n is drawn first, 1, 2 or 3 with chances
// 6, 3 and 2 of 11, then a place where n words are free; words begin at start pieces and end with their segment. Here they are
// "▁ago ▁i" and "▁sea". Each piece of them becomes [MASK] with chance 0.8, stays with 0.1, or becomes any normal piece with 0.1, as
// "▁ago" did:
//
//	[CLS] ▁it ▁is ▁a ▁way . [SEP] ▁call ▁me ▁ish ma el . ▁some ▁years ▁some [MASK] ▁went ▁to [MASK] . [SEP]
//
// The model is asked what stood at 15, 16 and 19, and whether the segments are in order.
//
// # What an example depends on
//
// Example i of a run is a function of the documents, the vocabulary, the options with their seed, and i. Nothing is carried from one
// example to the next:
//
//   - The random numbers that decide where a part of a document ends belong to (seed, epoch, document, part), and the ends of
//     sentences decide the rest, so that one pass over the ends counts an epoch's examples without reading a piece.
//   - The counts are kept as a table of 8 bytes a document. It maps an index of the epoch to document and part; of a document with
//     many parts, every 64th part's first sentence is kept beside it.
//   - Which index stands where in the epoch is a keyed permutation of (seed, epoch).
//   - Swap, truncation and masks have random numbers of their own, again of (seed, epoch, document, part).
//
// Epochs follow one another without a seam: step s with batches of B takes positions (s-1)B to sB-1 of the endless row. Epochs differ
// in size by a little, because they are cut anew.
//
// # As upstream
//
// [Options].UpstreamQuirks gives what google-research/albert's create_pretraining_data.py does (SPEC 2.3), with random numbers that are
// all seeded. Differences to the above: the target belongs to a document, not a pair; sentences are taken until it is met, and what
// overflows is cut; a single sentence is paired with a random run and labelled 1, even for SOP; truncation drops piece by piece, first
// or last at random, which leads to the middle of a long sentence; a piece that continues a word, after [SEP], belongs to the word
// before it; n-grams span the segments; each word is tried once, in random order, with n drawn for it; random pieces are drawn from the
// whole vocabulary. Its dupe_factor is our number of epochs, shuffled one by one and not all together; its cap of 20 masks is
// [Options].MaxPredictions.
package examples
