package dataset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/model"
)

// ErrNoSplit is wrapped by the error for an archive that lacks the split that was asked for.
var ErrNoSplit = errors.New("no such split")

// Load reads a split of a data set that lies in a folder: the task's own or, for GLUE's tasks, the one that holds all of them. data may
// also be a file: RACE's archive, or any file that [Read] takes.
//
// In a folder of the user's own data a split's files are those called train, dev (or validation, valid, val) and test, with any known ending or,
// after one of "-_.", any rest: train.tsv, dev.jsonl.gz, train-00000-of-00002.parquet, dev-v2.0.json.
func Load(task Task, data string, split Split, o Options) (*Set, error) {
	files, err := Files(task, data, split)
	if err != nil {
		return nil, err
	}
	return Read(task, split, files, o)
}

// Files finds the files that [Load] reads.
func Files(task Task, data string, split Split) ([]string, error) {
	st, err := os.Stat(data)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return []string{data}, nil
	}
	switch {
	case task.glue != nil:
		return glueFiles(task, data, split)
	case task.Name == "race":
		return raceFiles(task, data, split)
	}
	files, err := ownFiles(task, data, split)
	if err != nil && task.Kind == model.Embed { // GLUE's root
		if sts, e := glueFiles(Task{glue: &stsbForm}, data, split); e == nil {
			return sts, nil
		}
	}
	return files, err
}

// packing are the endings of packed files.
var packing = []string{"", ".gz", ".zst"}

func glueFiles(task Task, data string, split Split) ([]string, error) {
	g := task.glue
	if task.Name == "ax" && split != Test {
		return nil, fmt.Errorf("%s: GLUE's diagnostic set is a test set: it has no %s", data, split)
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		return nil, err
	}
	// A folder with the task's name comes first: a root may hold a train.tsv of something else.
	dir := data
	for _, e := range entries {
		path := filepath.Join(data, e.Name())
		if dir == data && isDir(path) && slices.ContainsFunc(g.folders, func(name string) bool { return strings.EqualFold(name, e.Name()) }) {
			dir = path
		}
	}
	for _, name := range g.names(split) {
		for _, p := range packing {
			if path := filepath.Join(dir, name+p); isFile(path) {
				return []string{path}, nil
			}
		}
	}
	what := "nor a folder " + g.folders[0]
	if dir != data {
		what = "which " + split.of(task) + " is read from"
	}
	hint := ""
	if task.Name == "mrpc" && split == Train && isFile(filepath.Join(dir, "msr_paraphrase_train.txt")) {
		hint = ": msr_paraphrase_train.txt holds the pairs of GLUE's dev set, too; name it with --train if that is meant"
	}
	return nil, fmt.Errorf("%s: no %s, %s%s", dir, strings.Join(g.names(split), " or "), what, hint)
}

// of names a task's split.
func (s Split) of(t Task) string { return fmt.Sprintf("the %s set of %s", s, t.Name) }

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func raceFiles(task Task, data string, split Split) ([]string, error) {
	for _, dir := range []string{filepath.Join(data, "RACE"), data} {
		if isDir(filepath.Join(dir, string(split))) {
			return []string{filepath.Join(dir, string(split))}, nil
		}
	}
	var archives []string
	entries, err := os.ReadDir(data)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		for _, suffix := range []string{".tar", ".tar.gz", ".tgz", ".tar.zst"} {
			if strings.HasSuffix(e.Name(), suffix) {
				archives = append(archives, filepath.Join(data, e.Name()))
			}
		}
	}
	switch len(archives) {
	case 0:
		if files, err := ownFiles(task, data, split); err == nil { // rows, as the hub has them
			return files, nil
		}
		return nil, fmt.Errorf("%s: neither a folder %s, as RACE has it, nor RACE's archive", data, split)
	case 1:
		return archives, nil
	}
	return nil, fmt.Errorf("%s: several archives: name one of them: %s", data, strings.Join(archives, ", "))
}

// splitNames are the beginnings of the names of files in folders of the user's own data.
var splitNames = map[Split][]string{Train: {"train", "training"}, Dev: {"dev", "validation", "valid", "val"}, Test: {"test"}}

// conllNames are CoNLL-2003's own.
var conllNames = map[Split]string{Train: "eng.train", Dev: "eng.testa", Test: "eng.testb"}

func ownFiles(task Task, data string, split Split) ([]string, error) {
	entries, err := os.ReadDir(data)
	if err != nil {
		return nil, err
	}
	if name := filepath.Join(data, conllNames[split]); task.Kind == model.Tag && isFile(name) {
		return []string{name}, nil
	}
	for _, name := range splitNames[split] {
		var files []string
		for _, e := range entries {
			rest, ok := strings.CutPrefix(e.Name(), name)
			if !ok || rest != "" && !strings.ContainsRune("-_.", rune(rest[0])) || !isFile(filepath.Join(data, e.Name())) {
				continue
			}
			if task.Kind == model.Answer && (strings.Contains(rest, "v1") && task.Impossible || strings.Contains(rest, "v2") && !task.Impossible) {
				continue
			}
			files = append(files, filepath.Join(data, e.Name()))
		}
		if len(files) == 0 {
			continue
		}
		slices.Sort(files)
		if len(files) > 1 && slices.ContainsFunc(files, func(f string) bool { return !strings.Contains(filepath.Base(f), "-of-") }) {
			return nil, fmt.Errorf("%s: several files could be %s: name those that are meant: %s", data, split.of(task), strings.Join(files, ", "))
		}
		return files, nil
	}
	return nil, fmt.Errorf("%s: no file %s.tsv, .csv, .jsonl, .parquet or the like for %s", data, splitNames[split][0], split.of(task))
}
