package proof

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/formats"
	"albert/internal/run"
)

// Card is what a run, several of one setting, or a model can prove for reviewers.
type Card struct {
	Runs      []string    `json:"runs"`
	Variables []Entry     `json:"variables"`
	Checklist []Entry     `json:"checklist"`
	Results   []Statistic `json:"results"`
}

// Entry is a variable, or an item of a checklist, with what is known of it.
type Entry struct {
	Checklist string `json:"checklist,omitempty"`
	Item      string `json:"item,omitempty"`
	Name      string `json:"name"`
	Result    string `json:"result"`   // Yes, No, a value, or [NotRecorded]
	Evidence  string `json:"evidence"` // Facts as a text, or what was given
	Facts     []Fact `json:"facts,omitempty"`
}

// Given is a variable's result that no file proves, and that was given.
type Given struct{ Name, Text string }

// RequestError is an error of what was asked, not of a file.
type RequestError struct{ Problem string }

func (e *RequestError) Error() string { return e.Problem }

// NewCard fills in a card from the files of runs of one setting, or of a model, and from what is given.
func NewCard(paths []string, given []Given) (*Card, error) {
	runs, err := openRuns(paths)
	if err != nil && len(paths) == 1 && !run.Dir(paths[0]).Is() {
		runs, err = openModel(paths[0], err)
	}
	if err != nil {
		return nil, err
	}
	c := &Card{}
	for _, r := range runs {
		c.Runs = append(c.Runs, string(r.dir))
		if r == runs[0] {
			continue
		}
		if list := runs[0].differences(r); len(list) > 0 {
			return nil, &RequestError{fmt.Sprintf("%s and %s are not of one setting: %s is %s and %s; albert compare shows them side by side",
				runs[0].dir, r.dir, list[0].Name, list[0].Was, list[0].Is)}
		}
	}
	c.Results = statistics(runs)
	c.fill(runs[0].files, runs[1:])
	return c, c.set(given)
}

// openModel opens a model that is no run; that of a run stands for the run. noRun is why it is none.
func openModel(path string, noRun error) ([]*one, error) {
	f := openFiles(path)
	if run.Dir(f.dir).Is() {
		return openRuns([]string{f.dir})
	}
	if _, err := formats.ReadConfig(path); err != nil {
		return nil, fmt.Errorf("%w, and no model", noRun)
	}
	return []*one{{dir: run.Dir(path), files: f}}, nil
}

// fill fills in what the files of a run prove, and of others of the same setting what is their own.
func (c *Card) fill(f *files, others []*one) {
	concat := slices.Concat[[]Fact]
	manifest := func(path ...string) []Fact { return f.facts(run.ManifestFile, path...) }
	licences, program := f.licences(), f.about("version", "commit", "go")
	hashes := concat(manifest("data", "train"), manifest("data", "dev"), manifest("data", "test"))
	splits := hashes
	for _, split := range []string{"train", "dev"} {
		for _, field := range []string{"documents", "sentences", "pieces"} {
			splits = append(splits, f.facts("data/"+split+"/shards.json", field)...)
		}
	}
	var settings []Fact
	seconds := f.seconds()
	for _, name := range f.names(run.ManifestFile, "settings") {
		settings = append(settings, manifest("settings", name)...)
	}
	for _, name := range f.names(run.ManifestFile, "settings", "config") {
		settings = append(settings, manifest("settings", "config", name)...)
	}
	if len(settings) == 0 { // a model's shape is all that it says
		for _, name := range f.names(run.ConfigFile) {
			settings = append(settings, f.facts(run.ConfigFile, name)...)
		}
	}
	hardware := f.about("cpu", "cpus", "platform", "kernels")
	plan := func(names ...string) (list []Fact) {
		for _, name := range names {
			list = append(list, f.facts("plan.json", name)...)
		}
		return list
	}
	isRun := len(manifest("numerics")) > 0
	experiment, setup := "", ""
	var steps []Fact
	if f.log != nil && f.log.last > 0 {
		experiment = "Experimental"
		steps = []Fact{{File: filepath.Join(f.base, "log.jsonl"), Field: "last step", Value: fmt.Sprint(f.log.last)}}
	}
	if isRun {
		setup = "Yes"
	}
	division := ""
	if len(manifest("data", "train")) > 0 {
		division = "No"
		if len(manifest("data", "dev")) > 0 {
			division = "Yes"
		}
	}
	seeds := manifest("settings", "seed")
	for _, r := range others {
		seeds = append(seeds, r.files.facts(run.ManifestFile, "settings", "seed")...)
		seconds = append(seconds, r.files.seconds()...)
	}
	again := concat(program, manifest("numerics"), seeds, hashes)
	c.Variables = []Entry{
		{Name: "Research Type", Result: experiment, Facts: steps},
		{Name: "Researcher Affiliation"},
		{Name: "Pseudocode"},
		{Name: "Open Source Code", Facts: f.about("version", "commit")},
		{Name: "Open Datasets", Result: values(licences), Facts: concat(licences, hashes)},
		{Name: "Dataset Splits", Result: division, Facts: splits},
		{Name: "Hardware Specification", Result: values(hardware), Facts: concat(hardware, plan("memory_available"))},
		{Name: "Software Dependencies", Result: values(program), Facts: concat(program, manifest("numerics"))},
		{Name: "Experiment Setup", Result: setup, Facts: settings},
	}
	bars, all := "", []Fact{}
	for _, s := range c.Results {
		bars = cmp.Or(map[bool]string{true: "Yes", false: "No"}[s.SD != nil], bars)
		all = append(all, s.Values...)
	}
	cost := concat(hardware, seconds, plan("memory_needed", "flops_per_step"))
	c.Checklist = []Entry{
		{Checklist: "NeurIPS", Item: "4", Name: "Experimental result reproducibility", Result: setup, Facts: again},
		{Checklist: "NeurIPS", Item: "5", Name: "Open access to data and code", Facts: concat(f.about("version", "commit"), licences)},
		{Checklist: "NeurIPS", Item: "6", Name: "Experimental setting/details", Result: setup, Facts: concat(splits, settings)},
		{Checklist: "NeurIPS", Item: "7", Name: "Experiment statistical significance", Result: bars, Facts: all},
		{Checklist: "NeurIPS", Item: "8", Name: "Experiments compute resources", Result: yes(seconds), Facts: cost},
		{Checklist: "NeurIPS", Item: "12", Name: "Licenses for existing assets", Result: yes(licences), Facts: licences},
		{Checklist: "ARR", Item: "B2", Name: "License or terms of artifacts", Result: yes(licences), Facts: licences},
		{Checklist: "ARR", Item: "B6", Name: "Statistics of the data and its splits", Result: division, Facts: splits},
		{Checklist: "ARR", Item: "C1", Name: "Parameters, computational budget, infrastructure", Result: yes(seconds),
			Facts: concat(plan("parameters"), cost)},
		{Checklist: "ARR", Item: "C2", Name: "Experimental setup and hyperparameters", Result: setup, Facts: settings},
		{Checklist: "ARR", Item: "C3", Name: "Descriptive statistics of results", Result: bars, Facts: all},
		{Checklist: "ARR", Item: "C4", Name: "Parameters and versions of packages", Result: yes(program), Facts: program},
	}
	for _, list := range [][]Entry{c.Variables, c.Checklist} {
		for i := range list {
			list[i].Result, list[i].Evidence = cmp.Or(list[i].Result, NotRecorded), evidence(list[i].Facts)
		}
	}
}

func yes(facts []Fact) string {
	if len(facts) > 0 {
		return "Yes"
	}
	return ""
}

// values are those of facts, each once.
func values(facts []Fact) string {
	var list []string
	for _, x := range facts {
		text := x.Value
		if name := x.Field[strings.LastIndexByte(x.Field, '.')+1:]; name != "first line" {
			text = name + " " + text
		}
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return strings.Join(list, ", ")
}

// set takes what was given, by the name of a variable, or by a checklist and its item ("NeurIPS 8").
func (c *Card) set(given []Given) error {
	for _, g := range given {
		found := false
		for _, list := range [][]Entry{c.Variables, c.Checklist} {
			for i := range list {
				e := &list[i]
				if !strings.EqualFold(strings.TrimSpace(g.Name), strings.TrimSpace(e.Checklist+" "+cmp.Or(e.Item, e.Name))) {
					continue
				}
				e.Result, found = g.Text, true
				for _, word := range []string{"Yes", "No"} { // "yes, at https://..."
					rest, ok := strings.CutPrefix(strings.ToLower(g.Text), strings.ToLower(word))
					if ok && (rest == "" || strings.ContainsAny(rest[:1], " ,.;:")) {
						e.Result = word
					}
				}
				text := "given: " + g.Text
				if len(e.Facts) > 0 {
					text += "; " + e.Evidence
				}
				e.Evidence = text
			}
		}
		if !found {
			var names []string
			for _, e := range c.Variables {
				names = append(names, e.Name)
			}
			return &RequestError{fmt.Sprintf("%q is no variable: want %s, or an item as NeurIPS 8 or ARR C1", g.Name, strings.Join(names, ", "))}
		}
	}
	return nil
}

// Markdown is the card as a page.
func (c *Card) Markdown() string {
	var b strings.Builder
	name := filepath.Base(c.Runs[0])
	if len(c.Runs) > 1 {
		name = fmt.Sprintf("%d runs of one setting", len(c.Runs))
	}
	fmt.Fprintf(&b, "# Reproducibility card: %s\n\nWhat the files of the run prove; \"given\" is what a person said, and the rest is not recorded.\n\n",
		run.Cell(name))
	rows := [][]string{{"variable", "result", "evidence"}}
	for _, e := range c.Variables {
		rows = append(rows, []string{e.Name, e.Result, e.Evidence})
	}
	b.WriteString(run.Table(rows) + "\n## Results\n\n")
	rows = [][]string{{"metric", "mean", "standard deviation", "n", "values"}}
	for _, s := range c.Results {
		sd, list := NotRecorded, []string{}
		if s.SD != nil {
			sd = fmt.Sprint(*s.SD)
		}
		for _, x := range s.Values {
			list = append(list, x.Value)
		}
		rows = append(rows, []string{s.Metric, fmt.Sprint(s.Mean), sd, fmt.Sprint(s.N), strings.Join(list, ", ")})
	}
	if len(rows) == 1 {
		b.WriteString(NotRecorded + "\n")
	} else {
		b.WriteString(run.Table(rows))
	}
	b.WriteString("\n## Checklists\n\n")
	rows = [][]string{{"checklist", "item", "question", "result", "evidence"}}
	for _, e := range c.Checklist {
		rows = append(rows, []string{e.Checklist, e.Item, e.Name, e.Result, e.Evidence})
	}
	return b.String() + run.Table(rows)
}
