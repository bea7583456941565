package finetune

import (
	"albert/internal/learn/metric"
	"albert/internal/model"
	"albert/internal/text/dataset"
)

// Preset is a task's settings.
type Preset struct {
	LearningRate  float64
	BatchSize     int
	Dropout       float32 // in the encoder, hidden and attention
	Steps, Warmup int
	MaxSeqLength  int
}

// presets are the paper's Table 14.
var presets = map[string]Preset{
	"cola":   {1e-5, 16, 0, 5336, 320, 512},
	"stsb":   {2e-5, 16, 0, 3598, 214, 512},
	"sst2":   {1e-5, 32, 0, 20935, 1256, 512},
	"mnli":   {3e-5, 128, 0, 10000, 1000, 512},
	"qnli":   {1e-5, 32, 0, 33112, 1986, 512},
	"qqp":    {5e-5, 128, 0.1, 14000, 1000, 512},
	"rte":    {3e-5, 32, 0.1, 800, 200, 512},
	"mrpc":   {2e-5, 32, 0, 800, 200, 512},
	"wnli":   {2e-5, 16, 0.1, 2000, 250, 512},
	"squad1": {5e-5, 48, 0, 3649, 365, 384},
	"squad2": {3e-5, 48, 0, 8144, 814, 512},
	"race":   {2e-5, 32, 0.1, 12000, 1000, 512},
}

// PresetOf is a task's settings by the paper's Table 14. Data of one's own has three epochs of it at 2e-5 in batches of 32 with a tenth
// of warm-up. v2's models, which were trained without dropout, have RACE's exception: 1e-5 and no dropout, since they diverge
// otherwise (the released README).
func PresetOf(task string, examples int, v2 bool) Preset {
	if task == "mnli-mm" {
		task = "mnli"
	}
	p, ok := presets[task]
	if !ok {
		steps := max(1, 3*examples/32)
		p = Preset{2e-5, 32, 0, steps, steps / 10, 512}
	}
	if task == "race" && v2 {
		p.LearningRate, p.Dropout = 1e-5, 0
	}
	return p
}

// bestMetric is the metric that chooses the best step: the task's first, but accuracy where tags name no entities.
func bestMetric(t dataset.Task, labels []string) string {
	if t.Kind == model.Tag && !metric.EntityTags(labels) {
		return "overall_accuracy"
	}
	return metric.Names(t.Name)[0]
}
