package finetune

import (
	"errors"
	"os"
	"strings"

	"albert/internal/text/dataset"
)

// splits say where train, dev and test set lie: a folder (the task's own, GLUE's root), or files.
type splits struct {
	Dir              string
	Train, Dev, Test []string
	Options          dataset.Options
}

// load reads a split; nil without an error where a split that need not be there is not.
func (d *splits) load(t dataset.Task, split dataset.Split, o dataset.Options) (*dataset.Set, error) {
	files := map[dataset.Split][]string{dataset.Train: d.Train, dataset.Dev: d.Dev, dataset.Test: d.Test}[split]
	if len(files) > 0 {
		return dataset.Read(t, split, files, o)
	}
	if d.Dir == "" {
		return nil, nil
	}
	if split == dataset.Test { // no folder needs one
		if found, err := dataset.Files(t, d.Dir, split); err != nil || len(found) == 0 {
			return nil, nil
		}
	}
	set, err := dataset.Load(t, d.Dir, split, o)
	if split == dataset.Test && errors.Is(err, dataset.ErrNoSplit) { // nor does an archive
		return nil, nil
	}
	return set, err
}

// oneFile takes a folder that is a file as the training data, but for RACE's archive, which holds every split.
func (c *job) oneFile() {
	d := &c.Data
	info, err := os.Stat(d.Dir)
	if err != nil || info.IsDir() || c.Task.Name == "race" && !strings.HasSuffix(d.Dir, ".txt") {
		return
	}
	if d.Train = append(d.Train, d.Dir); len(d.Dev) == 0 {
		c.message("warning: without `Dev` the dev set is %s, the training data: what is measured on it says nothing of other data", d.Dir)
		d.Dev = d.Train
	}
	d.Dir = ""
}

// hashes are the files that a set was read from.
func hashes(s *dataset.Set) string {
	var list []string
	for _, f := range s.Files {
		list = append(list, f.SHA256)
	}
	return strings.Join(list, ",")
}
