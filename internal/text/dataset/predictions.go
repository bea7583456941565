package dataset

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
)

// WriteSubmission writes predictions in the form of GLUE's leaderboard: a line "index\tprediction", then a line for each example, in
// order, in dir under the task's official name. predictions are labels in words or, for STS-B, numbers.
func WriteSubmission(dir string, s *Set, predictions []string) (path string, err error) {
	if s.Task.Submission == "" {
		return "", fmt.Errorf("task %s is not one of GLUE's", s.Task.Name)
	}
	path = filepath.Join(dir, s.Task.Submission)
	return path, WriteTable(path, s, predictions)
}

// WriteTable writes predictions for any data in the form of [WriteSubmission].
func WriteTable(path string, s *Set, predictions []string) error {
	if len(predictions) != len(s.Examples) {
		return fmt.Errorf("%d predictions for %d examples", len(predictions), len(s.Examples))
	}
	return disk.Atomically(path, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		b.WriteString("index\tprediction\n")
		for i := range s.Examples {
			id := s.Examples[i].ID
			if strings.ContainsAny(predictions[i], "\t\r\n") {
				return fmt.Errorf("the prediction %q has a tab or a line break in it", short(predictions[i]))
			}
			if strings.ContainsAny(id, "\t\r\n") {
				return fmt.Errorf("%s: the id %q has a tab or a line break in it", s.Examples[i].Place(), short(id))
			}
			fmt.Fprintf(b, "%s\t%s\n", id, predictions[i])
		}
		return b.Flush()
	})
}

// ZipSubmissions packs the files of [WriteSubmission] that lie in dir into one, as the leaderboard takes them. The bytes depend on the
// files alone. found is how many there are, missing are the official files that are not there: the leaderboard wants all.
func ZipSubmissions(path, dir string) (found int, missing []string, err error) {
	err = disk.Atomically(path, func(w io.Writer) error {
		z := zip.NewWriter(w)
		for _, t := range tasks {
			if t.Submission == "" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, t.Submission))
			if os.IsNotExist(err) {
				missing = append(missing, t.Submission)
				continue
			}
			if err != nil {
				return err
			}
			f, err := z.Create(t.Submission)
			if err != nil {
				return err
			}
			if _, err := f.Write(text); err != nil {
				return err
			}
			found++
		}
		if found == 0 {
			return fmt.Errorf("%s: no predictions of GLUE's tasks there", dir)
		}
		return z.Close()
	})
	return found, missing, err
}

// Candidate is an answer that was considered, with the names of the released code.
type Candidate struct {
	Text         string  `json:"text"`
	Probability  float64 `json:"probability"`
	StartLogProb float64 `json:"start_log_prob"`
	EndLogProb   float64 `json:"end_log_prob"`
}

// WriteAnswers writes SQuAD's predictions.json: an object of each question's id and answer, "" for none, in the order of the examples.
func WriteAnswers(path string, s *Set, answers []string) error {
	return writeObject(path, s, len(answers), func(i int) any { return answers[i] })
}

// WriteNBest writes nbest_predictions.json: each question's candidates, best first.
func WriteNBest(path string, s *Set, nbest [][]Candidate) error {
	for i, candidates := range nbest {
		for _, c := range candidates {
			for _, v := range []float64{c.Probability, c.StartLogProb, c.EndLogProb} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					return fmt.Errorf("example %d: %v cannot be written as JSON", i, v)
				}
			}
		}
	}
	return writeObject(path, s, len(nbest), func(i int) any {
		if nbest[i] == nil {
			return []Candidate{}
		}
		return nbest[i]
	})
}

// WriteNullOdds writes null_odds.json: each question's odds of having no answer.
func WriteNullOdds(path string, s *Set, odds []float64) error {
	for i, v := range odds {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("example %d: %v cannot be written as JSON", i, v)
		}
	}
	return writeObject(path, s, len(odds), func(i int) any { return odds[i] })
}

// WriteChoices writes what was chosen, indices from 0: an object of each question's id and the choice's letter, as RACE's answers are.
// The id of RACE's nth question about a passage, from 0, is the passage's with "-n" after it.
func WriteChoices(path string, s *Set, choices []int) error {
	for i, c := range choices {
		if c < 0 || c >= 26 {
			return fmt.Errorf("example %d: choice %d has no letter", i, c)
		}
	}
	return writeObject(path, s, len(choices), func(i int) any { return string(rune('A' + choices[i])) })
}

// WriteLists writes several labels for each example, of tagging one for each word: an object of ids and lists.
func WriteLists(path string, s *Set, lists [][]string) error {
	return writeObject(path, s, len(lists), func(i int) any { return append([]string{}, lists[i]...) })
}

// ReadLists reads what [WriteLists] writes.
func ReadLists(path string) (map[string][]string, error) {
	out := map[string][]string{}
	r := &reader{set: &Set{}}
	return out, r.open(path, func(in *input) error {
		return readByID(in, out, "a list of labels")
	})
}

// writeObject writes an object with a value for each example's id, indented by four as the official scripts do.
func writeObject(path string, s *Set, n int, value func(i int) any) error {
	if n != len(s.Examples) {
		return fmt.Errorf("%d predictions for %d examples", n, len(s.Examples))
	}
	object := make(jsonobject.Fields, n)
	for i := range object {
		object[i] = jsonobject.Field{Name: s.Examples[i].ID, Value: value(i)}
	}
	return disk.Atomically(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "    ")
		return e.Encode(object)
	})
}

// ReadPredictions reads predictions by id: an object of strings, as [WriteAnswers] and [WriteChoices] write it, or lines of an id, a tab
// and a prediction under a header, as [WriteSubmission] does. The file's beginning tells which of the two it is.
func ReadPredictions(path string) (map[string]string, error) {
	out := map[string]string{}
	r := &reader{set: &Set{}}
	err := r.open(path, func(in *input) error {
		if bytes.HasPrefix(bytes.TrimLeft(in.head, " \t\r\n"), []byte("{")) {
			return readByID(in, out, "a string")
		}
		l := linesOf(in)
		for {
			line, err := l.next()
			if err != nil {
				return unlessEOF(err)
			}
			id, text, ok := strings.Cut(line, "\t")
			switch _, twice := out[id]; {
			case line == "" || l.Number == 1 && ok && id == "index":
				continue
			case !ok:
				return fmt.Errorf("%s: no tab between an index and a prediction", place(in.name, l.Number))
			case twice:
				return fmt.Errorf("%s: %q appears twice", place(in.name, l.Number), short(id))
			}
			out[id] = text
		}
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("%s: there are no predictions", path)
	}
	return out, err
}

// ReadNullOdds reads what [WriteNullOdds] writes.
func ReadNullOdds(path string) (map[string]float64, error) {
	out := map[string]float64{}
	r := &reader{set: &Set{}}
	err := r.open(path, func(in *input) error {
		return readObject(in, func(id string, line int, raw json.RawMessage) error {
			v, err := strconv.ParseFloat(string(raw), 64)
			if err != nil {
				return fmt.Errorf("%s: the value of %q is %s, not a number", place(in.name, line), short(id), jsonKind(raw))
			}
			out[id] = v
			return nil
		})
	})
	return out, err
}

// readByID reads an object of predictions by id into out. want says what a prediction has to be.
func readByID[T any](in *input, out map[string]T, want string) error {
	return readObject(in, func(id string, line int, raw json.RawMessage) error {
		var v *T
		if json.Unmarshal(raw, &v) != nil || v == nil {
			return fmt.Errorf("%s: the prediction of %q is %s, not %s", place(in.name, line), short(id), jsonKind(raw), want)
		}
		if _, ok := out[id]; ok {
			return fmt.Errorf("%s: %q appears twice", place(in.name, line), short(id))
		}
		out[id] = *v
		return nil
	})
}

// readObject calls each for every value of the one object that a file is.
func readObject(in *input, each func(id string, line int, raw json.RawMessage) error) error {
	j := newJSON(in)
	t, err := j.token()
	if err == io.EOF {
		return fmt.Errorf("%s: %w", in.name, errEmpty)
	}
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("%s: not an object", place(in.name, j.line()))
	}
	err = j.object(func(id string) error {
		raw, line, err := j.value()
		if err != nil {
			return err
		}
		return each(id, line, raw)
	})
	if err != nil {
		return err
	}
	if _, err := j.token(); err == nil {
		return fmt.Errorf("%s: something follows the object", place(in.name, j.line()))
	} else {
		return unlessEOF(err)
	}
}
