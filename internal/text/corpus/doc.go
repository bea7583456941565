// Package corpus turns files into documents, documents into sentences, and sentences into shards: tokenised, checksummed files that
// pretraining maps into memory. Text is streamed; memory does not grow with the corpus.
//
// The way of the bytes: [Documents] opens each input (plain, .gz, .zst, .tar; text, JSONL, Parquet, SQuAD, RACE, Go source trees),
// tells by content what it is, and yields documents. A document of text ends at a blank line; its lines are paragraphs, or, where
// they look hard-wrapped, parts of them. [Split] cuts paragraphs into sentences. [Prepare] encodes sentences on all threads and
// writes shards in the order of the input; [OpenShards] verifies and maps them.
//
//	meta, err := corpus.Prepare(ctx, corpus.PrepareOptions{Output: "shards", Tokenizer: t, Inputs: []string{"novels.txt.gz"}})
//	...
//	s, err := corpus.OpenShards("shards")
//	...
//	for doc := range s.Documents() {
//		ends := s.Ends(doc, nil) // where its sentences end
//		pieces := s.Pieces(doc, 0, int(ends[len(ends)-1]), nil)
//		...
//	}
//
// It does not choose what text is good for: nothing is filtered but what is no text, and repeated passages of SQuAD, RACE and Go
// comments. Text is UTF-8; a document longer than 2 MiB is cut.
package corpus
