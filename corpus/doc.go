// Package corpus turns files into documents, documents into sentences, and sentences into shards: tokenised, memory-mapped,
// checksummed files that pretraining reads. Text is streamed; memory does not grow with the corpus.
//
// The way of the bytes: [Documents] opens each input (plain, .gz, .zst, .tar; text, JSONL, Parquet, SQuAD, RACE, Go source trees),
// tells by content what it is, and yields documents. A document of text ends at a blank line; its lines are paragraphs, or, where
// they look hard-wrapped, parts of one. [Split] cuts paragraphs into sentences. [Prepare] encodes sentences on all threads and
// writes shards in the order of the input; [OpenShards] maps them.
//
//	for doc, err := range corpus.Documents(ctx, []string{"novels.txt.gz"}, corpus.ReadOptions{}) {
//		...
//	}
package corpus
