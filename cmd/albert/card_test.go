package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"albert/internal/proof"
)

// cardOf calls albert card --json.
func cardOf(t *testing.T, args ...string) (c proof.Card) {
	t.Helper()
	if err := json.Unmarshal([]byte(must(t, append([]string{"card", "--json"}, args...)...)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// stands tells whether a fact is in its file: at the place that it names where that is JSON.
func stands(t *testing.T, dir string, x proof.Fact) bool {
	t.Helper()
	path := x.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	text := read(t, path)
	if filepath.Ext(path) != ".json" {
		return strings.Contains(string(text), x.Value)
	}
	var v any = json.RawMessage(text)
	for _, p := range append(strings.Split(x.Field, "."), "") {
		raw := v.(json.RawMessage)
		var object map[string]json.RawMessage
		var list []json.RawMessage
		switch {
		case p == "":
			var s string
			if json.Unmarshal(raw, &s) == nil {
				return s == x.Value
			}
			return string(raw) == x.Value
		case json.Unmarshal(raw, &object) == nil:
			v = object[p]
		case json.Unmarshal(raw, &list) == nil:
			i, err := strconv.Atoi(p)
			if err != nil || i >= len(list) {
				return false
			}
			v = list[i]
		}
	}
	return false
}

var nine = []string{"Research Type", "Researcher Affiliation", "Pseudocode", "Open Source Code", "Open Datasets", "Dataset Splits", "Hardware Specification",
	"Software Dependencies", "Experiment Setup"}

// checkCard holds a card to its form: the nine variables in order, every fact in the run's files, "not recorded" without one, tables that parse.
func checkCard(t *testing.T, c proof.Card, dir string, args ...string) {
	t.Helper()
	var names []string
	facts := 0
	for _, e := range slices.Concat(c.Variables, c.Checklist) {
		if e.Checklist == "" {
			names = append(names, e.Name)
		}
		if len(e.Facts) == 0 && !strings.HasPrefix(e.Evidence, "given: ") && (e.Result != proof.NotRecorded || e.Evidence != proof.NotRecorded) {
			t.Errorf("%s: %s, %s, without a fact", e.Name, e.Result, e.Evidence)
		}
		for _, x := range e.Facts {
			if facts++; !stands(t, dir, x) || x.Value == "" {
				t.Errorf("%s: %+v does not stand there", e.Name, x)
			}
		}
	}
	if !slices.Equal(names, nine) {
		t.Errorf("the variables are %q", names)
	}
	file := filepath.Join(t.TempDir(), "cards", "card.md")
	must(t, append([]string{"card", "--output", file}, args...)...)
	page := string(read(t, file))
	columns, tables := 0, 0
	for i, line := range strings.Split(page, "\n") {
		n := len(regexp.MustCompile(`(^|[^\\])(\\\\)*\|`).FindAllString(line, -1))
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns == 0:
			columns = n
			tables++
		case n != columns:
			t.Errorf("line %d has %d columns, its table %d: %s", i+1, n-1, columns-1, line)
		}
	}
	if tables < 2 || facts == 0 != (len(c.Results) == 0) {
		t.Errorf("%d tables, %d facts:\n%s", tables, facts, page)
	}
}

// A card says what the files of a run prove, with licences and what is given, and nothing else.
func TestCard(t *testing.T) {
	_, in := workplace(t)
	put(t, in("LICENSE.txt"), []byte("\n  Project Gutenberg | License\nmore\n"))
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "4")...)
	set := []string{in("run"), "--set", "Pseudocode=yes: algorithm 1 | of\nthe paper", "--set", "arr c4=None, all is in one binary"}
	c := cardOf(t, set...)
	checkCard(t, c, in("run"), set...)
	result := map[string]string{}
	for _, e := range slices.Concat(c.Variables, c.Checklist) {
		result[strings.TrimSpace(e.Checklist+" "+e.Item+" "+e.Name)] = e.Result
	}
	for name, want := range map[string]string{"Research Type": "Experimental", "Researcher Affiliation": "not recorded", "Pseudocode": "Yes", "Open Source Code": "not recorded",
		"Open Datasets": "Project Gutenberg | License", "Dataset Splits": "Yes", "Experiment Setup": "Yes", "NeurIPS 7 Experiment statistical significance": "No",
		"ARR C4 Parameters and versions of packages": "None, all is in one binary"} {
		if result[name] != want {
			t.Errorf("%s is %q, want %q", name, result[name], want)
		}
	}
	if !strings.Contains(result["Software Dependencies"], "go go1.") || !strings.Contains(result["Hardware Specification"], "cpus ") {
		t.Errorf("%q", result)
	}
	if m := cardOf(t, in("run/model")); len(m.Results) == 0 {
		t.Error("the model of a run has no card of the run")
	}
	if err := os.CopyFS(in("model"), os.DirFS(in("run/model"))); err != nil {
		t.Fatal(err)
	}
	for _, e := range cardOf(t, in("model")).Variables {
		if e.Result != proof.NotRecorded {
			t.Errorf("a model proves %s %s", e.Name, e.Result)
		}
	}

	replace(t, in("run/manifest.json"), `"cpus": `, `"others": `)
	replace(t, in("run/manifest.json"), `"platform": "`, `"platform": "NaN", "was": "`)
	replace(t, in("run/manifest.json"), `"mask-rate": 0.15`, `"mask-rate": null`)
	c = cardOf(t, in("run"))
	checkCard(t, c, in("run"), in("run"))
	for _, e := range c.Variables {
		for _, x := range e.Facts {
			if strings.Contains(x.Field, "cpus") || strings.Contains(x.Field, "platform") || strings.Contains(x.Field, "mask-rate") {
				t.Errorf("%+v is not recorded", x)
			}
		}
	}
}

// Several seeds have means and standard deviations; settings are told apart; the plot has a curve a run.
func TestCompareAndCardOfSeveralRuns(t *testing.T) {
	_, in := workplace(t)
	must(t, pretrainArgs(in, "base", "--train", in("train.txt"), "--steps", "1")...)
	var rows strings.Builder
	for i := range 40 {
		fmt.Fprintf(&rows, `{"text": "%s %d", "label": "%c"}`+"\n", []string{"the reader opens", "a writer copies"}[i%2], i, 'a'+i%3%2)
	}
	put(t, in("rows.jsonl"), []byte(rows.String()))
	for name, rate := range map[string]string{"low": "0.0001", "high": "0.01"} {
		must(t, "finetune", in("base"), "--task", "classify", "--train", in("rows.jsonl"), "--dev", in("rows.jsonl"), "--output", in(name), "--steps", "4", "--batch-size", "8",
			"--max-seq-length", "32", "--runs", "5", "--learning-rate", rate, "--quiet")
	}
	var c proof.Comparison
	if err := json.Unmarshal([]byte(must(t, "compare", in("low"), in("high"), "--json", "--output", in("out"))), &c); err != nil {
		t.Fatal(err)
	}
	var differ []string
	for _, d := range c.Differ {
		differ = append(differ, d.Name)
	}
	if !slices.Equal(differ, []string{"learning-rate", "seed"}) || len(c.Runs) != 10 || len(c.Settings) != 2 {
		t.Fatalf("%+v", c)
	}
	card := cardOf(t, in("low"))
	checkCard(t, card, "", in("low"))
	for k, name := range []string{"low", "high"} {
		var values []float64
		for n := range 5 {
			var scores map[string]any
			if err := json.Unmarshal(read(t, in(fmt.Sprintf("%s/run-%d/model/eval.json", name, n+1))), &scores); err != nil {
				t.Fatal(err)
			}
			values = append(values, scores["accuracy"].(float64))
		}
		// By the sum of the squares of all differences, which needs no mean.
		sum, squares := 0.0, 0.0
		for i, a := range values {
			sum += a
			for _, b := range values[:i] {
				squares += (a - b) * (a - b)
			}
		}
		mean, sd := sum/5, math.Sqrt(squares/5/4)
		all := c.Settings[k].Metrics
		if name == "low" {
			all = append(slices.Clone(all), card.Results...)
		}
		for _, m := range all {
			if m.Metric == "accuracy" && (m.N != 5 || m.SD == nil || math.Abs(m.Mean-mean) > 1e-12 || math.Abs(*m.SD-sd) > 1e-12 || len(m.Values) != 5) {
				t.Errorf("%s: %+v, want %v and %v", name, m, mean, sd)
			}
		}
		if all[0].Metric != "accuracy" {
			t.Errorf("the metrics are %+v", all)
		}
	}
	plot := read(t, in("out/compare.svg"))
	if err := xml.Unmarshal(plot, new(struct{})); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		for _, name := range []string{"low", "high"} {
			if label := fmt.Sprintf(">%s/run-%d<", name, n+1); !strings.Contains(string(plot), label) {
				t.Errorf("the plot does not name %s", label)
			}
		}
	}

	newer := in("newer")
	if err := os.CopyFS(newer, os.DirFS(in("base"))); err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(newer, "manifest.json"), `"version": "`+thisVersion+`"`, `"version": "0.10.0"`)
	for _, bad := range []struct {
		args []string
		says string
	}{
		{[]string{"compare", in("low"), in("base")}, "of classify, " + in("base") + " of pretraining"},
		{[]string{"compare", in("base")}, "give at least two"},
		{[]string{"compare", in("base"), in("nothing")}, "no such directory"},
		{[]string{"compare", in("base"), newer}, "albert 0.10.0 did this run, this is " + thisVersion},
		{[]string{"card", newer}, "albert 0.10.0 did this run, this is " + thisVersion},
		{[]string{"verify", newer}, "its version is 0.10.0"},
		{[]string{"card", in("tok.model")}, "no run directory"},
		{[]string{"card", in("low"), in("high")}, "not of one setting: learning-rate is 0.0001 and 0.01"},
		{[]string{"card", in("low"), "--set", "Colour=blue"}, `"Colour" is no variable`},
	} {
		if status, out, errs := call(t, bad.args...); status == 0 || out != "" || !strings.Contains(errs, bad.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: status %d, %s%s", bad.args, status, out, errs)
		}
	}
}
