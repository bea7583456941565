package finetune

import (
	"albert/internal/formats"
	"albert/internal/learn/metric"
	"albert/internal/model"
	"albert/internal/text/dataset"
)

// scoreRanked gives the metrics of texts' scores for their queries.
func scoreRanked(set *dataset.Set, p *Predictions) (metric.Scores, error) {
	queries, gold := make([]string, len(set.Examples)), make([]float64, len(set.Examples))
	for i := range set.Examples {
		queries[i], gold[i] = set.Examples[i].Text, set.Examples[i].Score
	}
	return metric.Rerank(queries, gold, p.Values)
}

// setMaxLength keeps the length of pairs among the tokenizer's files of a result that ranks: CrossEncoder cuts by it.
func (c *job) setMaxLength(files map[string][]byte) error {
	if c.Task.Kind != model.Rank {
		return nil
	}
	return formats.SetMaxLength(files, c.MaxSeqLength)
}
