package finetune

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"albert/internal/files/disk"
	"albert/internal/learn/task"
	"albert/internal/run"
)

// poolingFile says how a sentence-transformers directory makes one vector of those of the pieces.
const poolingFile = "1_Pooling/config.json"

// poolingKeys are sentence-transformers' names of its poolings, ours among them.
var poolingKeys = []struct{ key, pooling string }{{"pooling_mode_cls_token", task.PoolCLS}, {"pooling_mode_mean_tokens", task.PoolMean},
	{"pooling_mode_max_tokens", task.PoolMax}, {"pooling_mode_mean_sqrt_len_tokens", ""}, {"pooling_mode_weightedmean_tokens", ""},
	{"pooling_mode_lasttoken", ""}}

// writeSentence makes a model's directory one of sentence-transformers: the encoder, then a pooling.
func writeSentence(dir, pooling string, width, maxSeqLength int) error {
	type module struct {
		Index int    `json:"idx"`
		Name  string `json:"name"`
		Path  string `json:"path"`
		Type  string `json:"type"`
	}
	modes := map[string]any{"word_embedding_dimension": width, "include_prompt": true}
	for _, k := range poolingKeys {
		modes[k.key] = k.pooling == pooling
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, poolingFile)), 0o777); err != nil {
		return err
	}
	return errors.Join(
		disk.WriteJSON(filepath.Join(dir, "modules.json"), []module{{0, "0", "", "sentence_transformers.models.Transformer"},
			{1, "1", filepath.Dir(poolingFile), "sentence_transformers.models.Pooling"}}),
		disk.WriteJSON(filepath.Join(dir, "sentence_bert_config.json"), map[string]any{"max_seq_length": maxSeqLength, "do_lower_case": false}),
		disk.WriteJSON(filepath.Join(dir, poolingFile), modes))
}

// savedPooling is how a model's directory, or a run's, says that vectors are pooled; "": it does not say.
func savedPooling(path string) (string, error) {
	for _, dir := range []string{run.Dir(path).Model(), path} {
		file := filepath.Join(dir, poolingFile)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		text, err := disk.ReadFile(file, 1<<20)
		if err != nil {
			return "", err
		}
		var modes map[string]any
		if err := json.Unmarshal(text, &modes); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		pooling := ""
		for _, k := range poolingKeys {
			if modes[k.key] == true {
				if k.pooling == "" || pooling != "" {
					return "", fmt.Errorf("%s: %s: another pooling than mean, cls or max alone: choose one with `Pooling`", file, k.key)
				}
				pooling = k.pooling
			}
		}
		return pooling, nil
	}
	return "", nil
}
