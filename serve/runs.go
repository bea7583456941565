package serve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"albert/internal/files/disk"
	"albert/internal/files/stream"
	"albert/internal/learn/examples"
	"albert/internal/proof"
	"albert/internal/run"
	"albert/pretrain"
	"albert/tokenizer"
)

// servedRun is a run of training whose directory was given to be served.
type servedRun struct {
	Name  string `json:"name"`
	Model string `json:"model" doc:"under which the run's model is served"`
	dir   run.Dir
}

type runList struct {
	Runs []servedRun `json:"runs"`
}

// runInfo is what a run was asked to do.
type runInfo struct {
	servedRun
	Manifest json.RawMessage `json:"manifest" doc:"manifest.json; null as long as there is none"`
}

// runRows are rows of a run's log.
type runRows struct {
	From int64             `json:"from" doc:"the byte of log.jsonl at which they begin; 0 where the log is shorter than the offset that was asked for"`
	Next int64             `json:"next" doc:"the offset of the rows after them"`
	More bool              `json:"more" doc:"there are more now"`
	Rows []json.RawMessage `json:"rows"`
}

// stepExamples are the first examples that a step of pretraining learns from.
type stepExamples struct {
	Step     int           `json:"step"`
	Batch    int           `json:"batch" doc:"examples of the step"`
	Examples []stepExample `json:"examples"`
}

type stepExample struct {
	Example uint64        `json:"example"`
	Pieces  []string      `json:"pieces" doc:"as the model sees them"`
	Masked  []maskedPiece `json:"masked"`
	Label   *int8         `json:"sop_label" doc:"1: the segments are swapped (NSP: the second is random); null: no label"`
}

type maskedPiece struct {
	Position int32  `json:"position"`
	Piece    string `json:"piece" doc:"the original one"`
}

const (
	logBytes      = 1 << 20 // of an answer's rows, but that one row may be longer
	shownExamples = 8
)

func (s *Server) addRunRoutes(get func(path string, f family, summary string, out any, do func(q *request) error)) {
	get("/runs", ours, "The runs of training among what is served", runList{}, func(q *request) error {
		return q.json(runList{append([]servedRun{}, q.s.runs()...)})
	})
	get("/runs/{run}", ours, "What a run was asked to do", runInfo{}, ofRun((*request).runRoute))
	get("/runs/{run}/card", ours, "A run's reproducibility card, as of albert card --json", anyBody{}, ofRun((*request).cardRoute))
	get("/runs/{run}/log", ours, "Rows of a run's log, from a byte on", runRows{}, ofRun((*request).logRoute))
	s.routes[len(s.routes)-1].query = "offset"
	get("/runs/{run}/examples", ours, "The first examples that a step of pretraining learns from", stepExamples{}, ofRun((*request).examplesRoute))
	s.routes[len(s.routes)-1].query = "step"
}

// runs are the runs that are there now: those of several seeds each for itself.
func (s *Server) runs() (list []servedRun) {
	for _, e := range s.models {
		for _, d := range e.runs() {
			r := servedRun{Name: e.name, Model: e.name, dir: d}
			if seed, err := filepath.Rel(e.path, string(d)); err == nil && filepath.IsLocal(seed) && seed != "." {
				r.Name += "/" + seed
			}
			list = append(list, r)
		}
	}
	return list
}

// runs are those that the model's path means, as a run's directory or as the model directory in one.
func (e *entry) runs() []run.Dir {
	if e.fs != nil {
		return nil
	}
	if up := run.Dir(filepath.Dir(filepath.Clean(e.path))); up.Model() == filepath.Clean(e.path) && up.Is() {
		return []run.Dir{up}
	}
	list, err := proof.Runs(e.path)
	if err != nil {
		return nil // it is a model
	}
	return list
}

// unborn tells whether the path is that of a run which has no model yet.
func (e *entry) unborn() bool {
	if len(e.runs()) == 0 {
		return false
	}
	_, err := run.Find(e.path)
	return err != nil
}

// ofRun calls do with the run that the route names.
func ofRun(do func(q *request, r servedRun) error) func(q *request) error {
	return func(q *request) error {
		name := q.r.PathValue("run")
		for _, r := range q.s.runs() {
			if r.Name == name {
				return do(q, r)
			}
		}
		return newProblem(kindNotFound, fmt.Sprintf("there is no run %q: /runs lists them", name))
	}
}

// number is the route's parameter.
func (q *request) number(otherwise int64) (int64, error) {
	text := q.r.URL.Query().Get(q.route.query)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid(q.route.query, fmt.Sprintf("%s=%s: want a whole number from 0 on", q.route.query, text))
	}
	return n, nil
}

func (q *request) runRoute(r servedRun) error {
	text, err := disk.ReadFile(r.dir.Manifest(), 16<<20)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !json.Valid(text) {
		text, err = nil, nil
	}
	if err != nil {
		return newProblem(kindNotFound, err.Error())
	}
	return q.json(runInfo{r, text})
}

// logRoute gives whole rows: the last line of a run that is under way may not have its end yet.
func (q *request) logRoute(r servedRun) error {
	from, err := q.number(0)
	if err != nil {
		return err
	}
	out := runRows{Rows: []json.RawMessage{}}
	f, err := os.Open(r.dir.Log())
	if errors.Is(err, fs.ErrNotExist) {
		return q.json(out)
	}
	if err != nil {
		return newProblem(kindNotFound, err.Error())
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil && from <= size { // a run that goes on cuts its log back to its checkpoint
		out.From = from
	}
	if _, err := f.Seek(out.From, io.SeekStart); err != nil {
		return newProblem(kindNotFound, err.Error())
	}
	out.Next = out.From
	for lines := stream.NewLines(f); ; {
		line, err := lines.Next()
		switch {
		case err == io.EOF || err == nil && !lines.Ended:
			return q.json(out)
		case err != nil && !errors.Is(err, stream.ErrLongLine):
			return newProblem(kindNotFound, err.Error())
		case out.Next-out.From > 0 && lines.End > logBytes:
			out.More = true
			return q.json(out)
		}
		if out.Next = out.From + lines.End; err == nil && len(line) > 0 && line[0] == '{' && json.Valid(line) {
			out.Rows = append(out.Rows, bytes.Clone(line))
		}
	}
}

// alone waits until no other request reads a whole run, so that many of them do not fill the memory.
func (q *request) alone() (done func(), err error) {
	select {
	case q.s.reading <- struct{}{}:
		return func() { <-q.s.reading }, nil
	case <-q.ctx.Done():
		return nil, context.Cause(q.ctx)
	}
}

func (q *request) cardRoute(r servedRun) error {
	done, err := q.alone()
	if err != nil {
		return err
	}
	defer done()
	card, err := proof.NewCard([]string{string(r.dir)}, nil)
	if err != nil {
		return newProblem(kindNotFound, err.Error())
	}
	return q.json(card)
}

func (q *request) examplesRoute(r servedRun) error {
	step, err := q.number(1)
	if err != nil {
		return err
	}
	done, err := q.alone()
	if err != nil {
		return err
	}
	defer done()
	out := stepExamples{Step: int(step), Examples: []stepExample{}}
	enough := errors.New("enough")
	err = pretrain.EachOfStep(string(r.dir), int(step), func(e *examples.Example, batch int, tok *tokenizer.Tokenizer) error {
		x := stepExample{Example: e.Index, Masked: []maskedPiece{}}
		for _, id := range e.InputIDs {
			x.Pieces = append(x.Pieces, tok.Piece(id))
		}
		for i, at := range e.MaskedPositions {
			x.Masked = append(x.Masked, maskedPiece{at, tok.Piece(e.MaskedIDs[i])})
		}
		if e.Label >= 0 {
			x.Label = &e.Label
		}
		out.Batch, out.Examples = batch, append(out.Examples, x)
		if len(out.Examples) == shownExamples {
			return enough
		}
		return context.Cause(q.ctx)
	})
	if err != nil && err != enough {
		return cmp.Or(context.Cause(q.ctx), error(newProblem(kindNotFound, err.Error())))
	}
	return q.json(out)
}
