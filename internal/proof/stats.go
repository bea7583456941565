package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"albert/internal/engine/numeric"
	"albert/internal/files/jsonobject"
	"albert/internal/run"
)

// Statistic is a metric over runs of one setting.
type Statistic struct {
	Metric string   `json:"metric"`
	Mean   float64  `json:"mean"`
	SD     *float64 `json:"standard_deviation"` // of a sample; null of one run
	N      int      `json:"n"`
	Values []Fact   `json:"values"` // as they stand in the runs' files
}

// statistic gives mean and standard deviation of values.
func statistic(metric string, values []Fact) Statistic {
	s := Statistic{Metric: metric, N: len(values), Values: values}
	var list []float64
	for _, x := range values {
		v, err := strconv.ParseFloat(x.Value, 64)
		if err != nil {
			v = math.NaN() // metrics lists numbers only
		}
		list = append(list, v)
		s.Mean += v / float64(len(values))
	}
	if len(list) > 1 {
		squares := 0.0
		for _, v := range list {
			squares += float64((v - s.Mean) * (v - s.Mean))
		}
		sd := math.Sqrt(squares / float64(len(list)-1))
		s.SD = &sd
	}
	return s
}

// statistics are those of all metrics of runs, which have the names of the first run that has them.
func statistics(runs []*one) (list []Statistic) {
	var names []string
	values := map[string][]Fact{}
	for _, r := range runs {
		for _, x := range r.files.metrics() {
			name := x.Field
			if _, metric, ok := strings.Cut(name, " dev "); ok {
				name = metric
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			values[name] = append(values[name], x)
		}
	}
	for _, name := range names {
		if !counts(name) {
			list = append(list, statistic(name, values[name]))
		}
	}
	return list
}

// counts tells what is counted of the data rather than measured.
func counts(name string) bool {
	return strings.HasSuffix(name, "_count") || slices.Contains([]string{"examples", "tokens", "total", "HasAns_total", "NoAns_total"}, name)
}

// one is a run that is shown with others.
type one struct {
	dir      run.Dir
	manifest *run.Manifest
	files    *files
}

// openRuns opens runs, those of several seeds each for itself.
func openRuns(paths []string) (list []*one, err error) {
	for _, path := range paths {
		dirs, err := Runs(path)
		if err != nil {
			return nil, err
		}
		for _, d := range dirs {
			r := &one{dir: d, files: openFiles(string(d))}
			if r.manifest, err = d.ReadManifest(); err != nil {
				return nil, err
			}
			if err := r.newer(); err != nil {
				return nil, err
			}
			if r.files.log, err = readLog(d); err != nil && !errors.Is(err, fs.ErrNotExist) { // a plan has none
				return nil, err
			}
			list = append(list, r)
		}
	}
	for _, r := range list {
		if len(list) > 1 {
			r.files.base = string(r.dir)
		}
	}
	return list, nil
}

// newer gives an error for a run that a newer program did.
func (r *one) newer() error {
	if r.manifest.Numerics > numeric.Version {
		return run.CheckNumerics(r.dir.Manifest(), r.manifest.Numerics)
	}
	parts := func(version string) (n [3]int) {
		_, _ = fmt.Sscanf(version, "%d.%d.%d", &n[0], &n[1], &n[2])
		return n
	}
	newer := func(a, b [3]int) bool { return slices.Compare(a[:], b[:]) > 0 }
	for _, s := range r.manifest.Starts {
		if v := setting(s.About, "version", ""); newer(parts(v), parts(run.Version)) {
			return fmt.Errorf("%s: albert %s did this run, this is %s: use the newer program", r.dir.Manifest(), v, run.Version)
		}
	}
	return nil
}

// task is what the run learns.
func (r *one) task() string { return setting(r.manifest.Settings, "task", "pretraining") }

// setting is a setting as text; none where there is none.
func setting(settings jsonobject.Fields, name, none string) string {
	raw, ok := settings.Get(name).(json.RawMessage)
	if !ok {
		return none
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// ofSeed are settings in which runs of one setting differ: the seed, the hash of a model whose new head it makes, and what reaches no bit.
var ofSeed = []string{"seed", "model", "runs", "threads", "quiet", "micro-batch-size", "max-time", "save-every", "keep", "stop-if-stuck"}

// differences lists the settings in which a run is another one than this, data and the model that it began with among them.
func (r *one) differences(other *one) []run.Change {
	list := append(run.Changes(r.manifest.Settings, other.manifest.Settings, ofSeed), run.Changes(r.manifest.Data, other.manifest.Data, nil)...)
	model := func(r *one) string {
		if r.manifest.Sources == nil {
			return ""
		}
		return r.manifest.Sources.Model
	}
	if a, b := model(r), model(other); a != b && a != "" && b != "" {
		list = append(list, run.Change{Name: "model", Was: a, Is: b})
	}
	return list
}
