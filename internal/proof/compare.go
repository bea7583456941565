package proof

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
	"albert/internal/learn/figure"
	"albert/internal/run"
)

// Comparison is runs side by side.
type Comparison struct {
	Task     string     `json:"task"`
	Runs     []Compared `json:"runs"`
	Differ   []Differs  `json:"differ"`
	Settings []Setting  `json:"settings"`
	Plot     string     `json:"plot,omitempty"`
}

// Compared is a run, and the number of its setting, from 1.
type Compared struct {
	Run     string `json:"run"`
	Setting int    `json:"setting"`
	Seed    string `json:"seed"`
	Steps   int    `json:"steps"` // done
}

// Differs is a setting that is not the same in all runs, with the value of each, as text.
type Differs struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Setting is runs that differ in their seed alone.
type Setting struct {
	Runs    []string    `json:"runs"`
	Metrics []Statistic `json:"metrics"`
}

// Compare puts runs of one task side by side. A directory of several seeds means each of them.
func Compare(paths []string) (*Comparison, error) {
	runs, err := openRuns(paths)
	if err != nil {
		return nil, err
	}
	if len(runs) < 2 {
		return nil, &RequestError{fmt.Sprintf("%s is one run: give at least two", paths[0])}
	}
	c := &Comparison{Task: runs[0].task(), Differ: differing(runs)}
	var groups [][]*one
	for _, r := range runs {
		if r.task() != c.Task {
			return nil, &RequestError{fmt.Sprintf("%s is of %s, %s of %s: their results cannot be compared", runs[0].dir, c.Task, r.dir, r.task())}
		}
		k := slices.IndexFunc(groups, func(g []*one) bool { return len(g[0].differences(r)) == 0 })
		if k < 0 {
			k, groups = len(groups), append(groups, nil)
		}
		groups[k] = append(groups[k], r)
		last := 0
		if r.files.log != nil {
			last = r.files.log.last
		}
		c.Runs = append(c.Runs, Compared{Run: string(r.dir), Setting: k + 1, Seed: setting(r.manifest.Settings, "seed", NotRecorded), Steps: last})
	}
	for _, g := range groups {
		s := Setting{Metrics: statistics(g)}
		for _, r := range g {
			s.Runs = append(s.Runs, string(r.dir))
		}
		c.Settings = append(c.Settings, s)
	}
	return c, nil
}

// differing lists the settings that are not the same in all runs, those of the model's configuration one by one, and the data's hashes.
func differing(runs []*one) (list []Differs) {
	var names []string
	all := make([]map[string]string, len(runs))
	for i, r := range runs {
		all[i] = map[string]string{}
		add := func(prefix string, settings jsonobject.Fields) {
			for _, x := range settings {
				name := prefix + x.Name
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
				all[i][name] = setting(settings, x.Name, NotRecorded)
			}
		}
		settings := slices.Clone(r.manifest.Settings)
		var config jsonobject.Fields
		if raw, ok := settings.Get("config").(json.RawMessage); ok && json.Unmarshal(raw, &config) == nil {
			settings = slices.DeleteFunc(settings, func(x jsonobject.Field) bool { return x.Name == "config" })
		}
		if s := r.manifest.Sources; s != nil && s.Model != "" { // the setting's hash is also of the new head, which the seed makes
			settings = slices.DeleteFunc(settings, func(x jsonobject.Field) bool { return x.Name == "model" })
			raw, _ := json.Marshal(s.Model) // a string can be written
			settings = append(settings, jsonobject.Field{Name: "model", Value: json.RawMessage(raw)})
		}
		add("", settings)
		add("config.", config)
		add("data.", r.manifest.Data)
	}
	for _, name := range names {
		d := Differs{Name: name}
		same := true
		for _, values := range all {
			v, ok := values[name]
			if !ok {
				v = NotRecorded
			}
			d.Values = append(d.Values, v)
			same = same && v == d.Values[0]
		}
		if !same {
			list = append(list, d)
		}
	}
	return list
}

// Write writes compare.svg, the losses of all runs in one plot, and compare.json into a directory.
func (c *Comparison) Write(dir string) error {
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	c.Plot = filepath.Join(dir, "compare.svg")
	var runs []figure.Run
	common := filepath.Dir(c.Runs[0].Run) + string(filepath.Separator) // left out of the names
	for _, r := range c.Runs {
		for common != "" && !strings.HasPrefix(r.Run, common) {
			common = common[:strings.LastIndexByte(common[:len(common)-1], filepath.Separator)+1]
		}
	}
	for _, r := range c.Runs {
		runs = append(runs, figure.Run{Name: strings.TrimPrefix(r.Run, common), Dir: r.Run, Group: r.Setting})
	}
	if err := figure.Losses(c.Plot, runs); err != nil {
		return err
	}
	return disk.WriteJSON(filepath.Join(dir, "compare.json"), c)
}

// Markdown is the comparison as tables.
func (c *Comparison) Markdown() string {
	rows := [][]string{{"run", "setting", "seed", "steps"}}
	for _, r := range c.Runs {
		rows = append(rows, []string{r.Run, fmt.Sprint(r.Setting), r.Seed, fmt.Sprint(r.Steps)})
	}
	text := run.Table(rows)
	rows = [][]string{{"what differs"}}
	for _, r := range c.Runs {
		rows[0] = append(rows[0], r.Run)
	}
	for _, d := range c.Differ {
		rows = append(rows, append([]string{d.Name}, d.Values...))
	}
	text += "\n" + run.Table(rows)
	rows = [][]string{{"metric", "setting", "mean", "standard deviation", "n"}}
	for i, s := range c.Settings {
		for _, m := range s.Metrics {
			sd := ""
			if m.SD != nil {
				sd = fmt.Sprintf("%.4g", *m.SD)
			}
			rows = append(rows, []string{m.Metric, fmt.Sprint(i + 1), fmt.Sprintf("%.6g", m.Mean), sd, fmt.Sprint(m.N)})
		}
	}
	return text + "\n" + run.Table(rows)
}
