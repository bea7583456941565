package figure

import (
	"albert/internal/run"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// RunPlots reads log.jsonl of a run directory and writes loss.svg (every loss, of the steps and of the evaluations), learning_rate.svg and
// dev.svg (what else the evaluations measured) beside it. A figure without a point is not written; those that are, are listed. Fields that
// are missing, null or no numbers are passed over, and so is an unfinished last line, as a running program leaves; any other line that is
// no JSON object is an error that names it.
func RunPlots(runDir string) (written []string, err error) {
	log, err := readLog(run.Dir(runDir).Log())
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name, title, y string
		curves         []curve
	}{
		{"loss.svg", "Loss", "loss", log.losses()},
		{"learning_rate.svg", "Learning rate", "learning rate", log.rate()},
		{"dev.svg", "Evaluations on the development set", "score", log.choose("dev ", isScore)},
	} {
		if len(f.curves) == 0 {
			continue
		}
		path := filepath.Join(runDir, f.name)
		if err := lines(path, f.title, "step", f.y, f.curves); err != nil {
			return written, err
		}
		written = append(written, path)
	}
	return written, nil
}

// logCurves are the numbers of a log over its steps, by name; those of evaluations have the split's name before them ("dev accuracy").
type logCurves map[string]*curve

// maxLine bounds a line of the log, maxCurves its different fields.
const maxLine, maxCurves = 64 << 20, 256

func readLog(path string) (logCurves, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	log := logCurves{}
	if err := log.read(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return log, nil
}

func (log logCurves) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	finished := true
	lines.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			finished = false
			return len(data), data, nil
		}
		return 0, nil, nil
	})
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var row map[string]any
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			if !finished {
				break
			}
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := log.add(row); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("longer than %d MiB", maxLine>>20)
		}
		return fmt.Errorf("line %d: %w", n+1, err)
	}
	return nil
}

// add takes the numbers of a row. Those inside an object, as of a task with two development sets, are named after both.
func (log logCurves) add(row map[string]any) error {
	step, ok := row["step"].(float64)
	if !ok {
		return nil
	}
	prefix := ""
	if split, ok := row["split"].(string); ok {
		prefix = split + " "
	}
	for name, value := range row {
		switch v := value.(type) {
		case float64:
			if name != "step" {
				if err := log.put(prefix+name, Point{step, v}); err != nil {
					return err
				}
			}
		case map[string]any:
			for inner, v := range v {
				if v, ok := v.(float64); ok {
					if err := log.put(prefix+name+" "+inner, Point{step, v}); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (log logCurves) put(name string, p Point) error {
	c := log[name]
	if c == nil {
		if len(log) == maxCurves {
			return fmt.Errorf("more than %d different fields", maxCurves)
		}
		c = &curve{name: name}
		log[name] = c
	}
	c.add(p)
	return nil
}

// choose gives the curves with a prefix whose names behind it are wanted, in order of their names.
func (log logCurves) choose(prefix string, wanted func(name string) bool) (chosen []curve) {
	for _, name := range slices.Sorted(maps.Keys(log)) {
		if rest, ok := strings.CutPrefix(name, prefix); ok && wanted(rest) && len(log[name].segments) > 0 {
			c := *log[name]
			c.name = rest
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// losses are those of the steps, the sum first, then those of the evaluations, which keep their prefix.
func (log logCurves) losses() []curve {
	sum := log.choose("", func(name string) bool { return name == "loss" })
	parts := log.choose("", func(name string) bool { return !strings.HasPrefix(name, "dev ") && name != "loss" && isLoss(name) })
	dev := log.choose("dev ", isLoss)
	for i := range dev {
		dev[i].name = "dev " + dev[i].name
	}
	return slices.Concat(sum, parts, dev)
}

func (log logCurves) rate() []curve {
	rate := log.choose("", func(name string) bool { return name == "learning_rate" })
	for i := range rate {
		rate[i].name = "learning rate"
	}
	return rate
}

func isLoss(name string) bool {
	return name == "loss" || strings.HasSuffix(name, "_loss") || strings.HasSuffix(name, " loss")
}

// isScore leaves out losses, and what is counted rather than measured.
func isScore(name string) bool {
	for _, suffix := range []string{"count", "total", "tokens", "examples", "seconds", "per_second", "_thresh", "learning_rate", "epoch"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return !isLoss(name)
}
