package pretrain

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime/debug"

	"albert/internal/learn/train"
	"albert/internal/run"
	"albert/internal/text/corpus"
)

// Again is for this module's own programs: it does steps of a run again, as a says, and gives the weights_sha256 after the last. The text is
// that of the run's shards. An error that is not one of a's functions says why the steps cannot be done again.
func Again(ctx context.Context, a *train.Rerun, common Common) (hash string, err error) {
	defer debug.SetGCPercent(debug.SetGCPercent(train.GCPercent))
	j := &job{Config: Defaults()}
	if err := run.Restore(&j.Config, a.Manifest.Settings, "config", "tokenizer", "cleanup", "train", "dev"); err != nil {
		return "", err
	}
	j.Output, j.Threads, j.Patience, j.MaxTime = string(a.Dir), common.Threads, 0, 0
	j.Config.Config, j.Tokenizer = a.Run.Config(), string(a.Run)
	if given := a.Given("init"); len(given) > 0 {
		j.Init = given[0]
	}
	for split, to := range map[string]*[]string{"train": &j.Train, "dev": &j.Dev} {
		var place string
		if raw, ok := a.Manifest.Settings.Get(split).(json.RawMessage); !ok || json.Unmarshal(raw, &place) != nil {
			return "", fmt.Errorf("%s says no place of the shards of %s", run.ManifestFile, split)
		}
		*to = nil
		if place == "" {
			continue
		}
		if !filepath.IsAbs(place) {
			place = filepath.Join(string(a.Run), place)
		}
		if !corpus.IsShards(place) {
			return "", fmt.Errorf("%s: the run's shards are gone", place)
		}
		*to = []string{place}
	}
	if j.tokenizer, _, err = j.openTokenizer(); err != nil {
		return "", err
	}
	if j.model, err = j.modelConfig(0); err != nil {
		return "", err
	}
	defer j.close()
	config, err := j.open(ctx)
	if err != nil {
		return "", err
	}
	if err := a.Same(config, "train", "dev", "init", "patience"); err != nil {
		return "", err
	}
	config.Messages, config.Quiet = a.Messages, common.Quiet
	err = train.Again(ctx, *config, j.weights.Params, j.learner, a)
	return j.weights.Hash(), err
}
