package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
	"albert/internal/run"
)

// NotRecorded stands where no file proves anything.
const NotRecorded = "not recorded"

// Fact is a value as it stands in a file.
type Fact struct {
	File  string `json:"file"`  // within the run directory, or absolute
	Field string `json:"field"` // names and numbers of elements, with dots between
	Value string `json:"value"` // a string, or another value's JSON
}

// files are the files of a run, or of a model, that were read.
type files struct {
	dir  string
	base string // before the names of files in facts: the directory where there are several runs
	read map[string]any
	log  *runLog // nil: there is none
	dev  jsonobject.Fields
}

// openFiles gives the files of a run; a model directory of a run stands for the run.
func openFiles(dir string) *files {
	if up := filepath.Dir(filepath.Clean(dir)); filepath.Base(filepath.Clean(dir)) == "model" && run.Dir(up).Is() {
		dir = up
	}
	return &files{dir: dir, read: map[string]any{}}
}

// load reads a file of JSON, nil where there is none.
func (f *files) load(name string) any {
	v, ok := f.read[name]
	if !ok {
		if text, err := disk.ReadFile(filepath.Join(f.dir, name), 1<<28); err == nil {
			d := json.NewDecoder(bytes.NewReader(text))
			d.UseNumber()
			if d.Decode(&v) != nil {
				v = nil
			}
		}
		f.read[name] = v
	}
	return v
}

// value follows names and numbers of elements into a file of JSON.
func (f *files) value(name string, path ...string) any {
	v := f.load(name)
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// facts give a value of a file where there is one: a string that is not empty, a finite number, a boolean, or a list or object that is not empty.
func (f *files) facts(name string, path ...string) []Fact {
	fact := Fact{File: filepath.Join(f.base, name), Field: strings.Join(path, ".")}
	switch v := f.value(name, path...).(type) {
	case string:
		fact.Value = v
		if x, err := strconv.ParseFloat(v, 64); v == "" || v == run.Unknown || err == nil && (math.IsNaN(x) || math.IsInf(x, 0)) {
			return nil
		}
	case json.Number:
		fact.Value = v.String()
	case bool:
		fact.Value = strconv.FormatBool(v)
	case []any:
		var list []Fact
		for i := range v {
			list = append(list, f.facts(name, append(slices.Clone(path), strconv.Itoa(i))...)...)
		}
		return list
	default:
		return nil
	}
	return []Fact{fact}
}

// names are the fields of an object in a file, sorted.
func (f *files) names(name string, path ...string) (list []string) {
	object, _ := f.value(name, path...).(map[string]any)
	for n := range object {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// about gives what the starts say of program and machine, each value once.
func (f *files) about(fields ...string) (list []Fact) {
	starts, _ := f.value(run.ManifestFile, "starts").([]any)
	for _, field := range fields {
		for i := range starts {
			for _, x := range f.facts(run.ManifestFile, "starts", strconv.Itoa(i), "about", field) {
				if !slices.ContainsFunc(list, func(y Fact) bool { return y.Value == x.Value && strings.HasSuffix(y.Field, "."+field) }) {
					list = append(list, x)
				}
			}
		}
	}
	return list
}

// seconds are how long the starts ran.
func (f *files) seconds() (list []Fact) {
	for i := range lengthOf(f.value(run.ManifestFile, "starts")) {
		list = append(list, f.facts(run.ManifestFile, "starts", strconv.Itoa(i), "seconds")...)
	}
	return list
}

// metrics are the final numbers of a run: those of its result, else of its last evaluation.
func (f *files) metrics() (list []Fact) {
	for _, file := range []string{"model/eval.json", "eval.json"} {
		for _, name := range f.names(file) {
			for _, x := range f.facts(file, name) {
				if isNumber(x.Value) {
					list = append(list, x)
				}
			}
		}
	}
	if len(list) > 0 || f.log == nil || len(f.log.dev) == 0 {
		return list
	}
	row := f.log.dev[len(f.log.dev)-1]
	at := "step " + text(row.Get("step")) + " dev "
	for _, x := range row {
		if value := text(x.Value); !slices.Contains([]string{"step", "split"}, x.Name) && isNumber(value) {
			list = append(list, Fact{File: filepath.Join(f.base, "log.jsonl"), Field: at + x.Name, Value: value})
		}
	}
	return list
}

func isNumber(value string) bool {
	x, err := strconv.ParseFloat(value, 64)
	return err == nil && !math.IsNaN(x) && !math.IsInf(x, 0)
}

// text is a value of the log.
func text(v any) string {
	raw, _ := v.(json.RawMessage)
	return string(raw)
}

// places are where the data of a run lay.
func (f *files) places() (list []string) {
	for _, flag := range []string{"data", "train", "dev", "test"} {
		for _, x := range f.facts(run.ManifestFile, "sources", "given", flag) {
			list = append(list, x.Value)
		}
		for i := range lengthOf(f.value(run.ManifestFile, "sources", "files", flag)) {
			for _, x := range f.facts(run.ManifestFile, "sources", "files", flag, strconv.Itoa(i), "path") {
				list = append(list, x.Value)
			}
		}
	}
	return list
}

func lengthOf(v any) int {
	list, _ := v.([]any)
	return len(list)
}

// licences are the files that stand beside the data, or in its directory, and say how it may be used: their first line.
func (f *files) licences() (list []Fact) {
	for _, place := range f.places() {
		dirs := []string{filepath.Dir(place)}
		if st, err := os.Stat(place); err == nil && st.IsDir() {
			dirs = append(dirs, place)
		}
		for _, dir := range dirs {
			entries, err := os.ReadDir(dir)
			if err != nil {
				continue
			}
			for _, e := range entries {
				name := strings.ToUpper(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())))
				path := filepath.Join(dir, e.Name())
				known := slices.ContainsFunc(list, func(x Fact) bool { return x.File == path })
				if e.IsDir() || known || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING"}, name) {
					continue
				}
				content, err := disk.ReadFile(path, 1<<20)
				if err != nil {
					continue
				}
				if line, _, _ := strings.Cut(strings.TrimSpace(string(content)), "\n"); line != "" {
					list = append(list, Fact{File: path, Field: "first line", Value: strings.TrimSpace(line)})
				}
			}
		}
	}
	return list
}

// evidence is facts as a text.
func evidence(facts []Fact) string {
	if len(facts) == 0 {
		return NotRecorded
	}
	var b strings.Builder
	file := ""
	for i, x := range facts {
		if i > 0 {
			b.WriteString("; ")
		}
		if x.File != file {
			fmt.Fprintf(&b, "%s: ", x.File)
			file = x.File
		}
		fmt.Fprintf(&b, "%s %s", x.Field, x.Value)
	}
	return b.String()
}
