package proof

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/finetune"
	"albert/internal/engine/cpu/kernel"
	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
	"albert/internal/files/safetensors"
	"albert/internal/files/stream"
	"albert/internal/learn/train"
	"albert/internal/run"
	"albert/pretrain"
)

// VerifyOptions say how much of a run is done again.
type VerifyOptions struct {
	Steps        int  // at most; from 1
	All          bool // every step
	OtherProgram bool // also those of a run of another version or commit
	run.Common        // of it Threads and Quiet
	Messages     io.Writer
}

// Verdict is what doing steps of a run again has shown.
type Verdict struct {
	Run             string      `json:"run"`
	Same            bool        `json:"same"`
	From            int         `json:"from"` // the step after which it began; 0: with the first weights
	To              int         `json:"to"`
	Steps           int         `json:"steps"`
	FirstDifference *Difference `json:"first_difference"`
	Compared        []string    `json:"compared"`
	WeightsSHA256   string      `json:"weights_sha256"`        // after the last step that was done again
	Explanation     string      `json:"explanation,omitempty"` // what may explain a difference
	Notes           []string    `json:"notes,omitempty"`       // what could not be judged
	Runs            []*Verdict  `json:"runs,omitempty"`        // of several seeds
}

// Difference is the first value that is another one.
type Difference struct {
	Step   int             `json:"step"`
	Field  string          `json:"field"`
	Tensor string          `json:"tensor,omitempty"`
	Stored json.RawMessage `json:"stored"`
	Again  json.RawMessage `json:"again"`
}

func (d *Difference) Error() string {
	field := d.Field
	if d.Tensor != "" {
		field += " (" + d.Tensor + ")"
	}
	return fmt.Sprintf("step %d: %s is %s, again %s", d.Step, field, cmp.Or(string(d.Stored), "null"), cmp.Or(string(d.Again), "null"))
}

// Verify does steps of a run again, in a directory of its own, and compares them with what the run has stored: each step's row of the log, and
// weights and moments of the checkpoints. The error says why it cannot be judged.
func Verify(ctx context.Context, path string, o VerifyOptions) (*Verdict, error) {
	list, err := Runs(path)
	if err != nil {
		return nil, err
	}
	if d := run.Dir(filepath.Clean(path)); list[0] == d {
		return verify(ctx, d, o)
	}
	v := &Verdict{Run: path, Same: true}
	for _, d := range list {
		one, err := verify(ctx, d, o)
		if err != nil {
			return nil, err
		}
		if v.Runs = append(v.Runs, one); v.Same {
			v.From, v.To, v.FirstDifference, v.Compared = one.From, one.To, one.FirstDifference, one.Compared
			v.WeightsSHA256, v.Explanation, v.Same = one.WeightsSHA256, one.Explanation, one.Same
		}
		v.Steps += one.Steps
		v.Notes = append(v.Notes, one.Notes...)
	}
	if v.Same {
		v.FirstDifference = takenOver(run.Dir(path), list)
		if v.Same = v.FirstDifference == nil; !v.Same {
			v.Explanation = "the result is that of none of the runs"
		}
	}
	return v, nil
}

// verification is one run that is verified.
type verification struct {
	dir      run.Dir
	o        *VerifyOptions
	manifest *run.Manifest
	log      *runLog
	steps    []int // of the checkpoints
	damaged  map[int]*Difference
	found    []*Difference // at most one of each kind
	verdict  Verdict
}

func verify(ctx context.Context, d run.Dir, o VerifyOptions) (*Verdict, error) {
	v := &verification{dir: d, o: &o, damaged: map[int]*Difference{}, verdict: Verdict{Run: string(d), Compared: []string{"loss", "grad_norm"}}}
	if err := v.read(); err != nil {
		return nil, err
	}
	if err := v.choose(); err != nil {
		return nil, err
	}
	about, err := v.program()
	if err != nil {
		return nil, err
	}
	if err := v.again(ctx); err != nil {
		return nil, err
	}
	if v.manifest.Finished {
		if err := v.model(); err != nil {
			return nil, err
		}
	}
	for _, step := range v.steps { // one that was compared is named by what differs
		v.note(v.damaged[step])
	}
	v.note(v.log.wrong)
	slices.SortStableFunc(v.found, func(a, b *Difference) int { return cmp.Compare(a.Step, b.Step) })
	r := &v.verdict
	if r.Same = len(v.found) == 0; !r.Same {
		r.FirstDifference, r.Explanation = v.found[0], about
	}
	return r, nil
}

func (v *verification) note(d *Difference) {
	if d != nil {
		v.found = append(v.found, d)
	}
}

// read reads what the run has stored, and checks the files of its checkpoints.
func (v *verification) read() (err error) {
	if v.manifest, err = v.dir.ReadManifest(); err != nil {
		return err
	}
	if err := run.CheckNumerics(v.dir.Manifest(), v.manifest.Numerics); err != nil {
		return err
	}
	if v.steps, err = v.dir.Checkpoints(); err != nil {
		return err
	}
	if len(v.steps) == 0 {
		return fmt.Errorf("%s: the run has no checkpoint yet: there is nothing to compare with", v.dir)
	}
	if v.log, err = readLog(v.dir); err != nil {
		return err
	}
	newest := v.steps[len(v.steps)-1]
	if v.log.last < newest {
		v.log.note(missing(v.log.last + 1))
	}
	for _, step := range v.steps {
		damage := run.Verify(v.dir.Checkpoint(step))
		var broken *json.SyntaxError
		if errors.As(damage, &broken) {
			return fmt.Errorf("%s: %w", v.dir.Checkpoint(step), damage)
		}
		if damage != nil {
			v.damaged[step] = &Difference{Step: step, Field: "checkpoint", Stored: quoted(damage.Error()), Again: json.RawMessage("null")}
		}
	}
	return nil
}

// choose chooses the steps that are done again.
func (v *verification) choose() error {
	r := &v.verdict
	starts := []int{0}
	for _, step := range v.steps {
		if v.damaged[step] == nil {
			starts = append(starts, step)
		}
	}
	newest := v.steps[len(v.steps)-1]
	if v.o.All {
		r.To, r.Steps = newest, newest
		return nil
	}
	for _, to := range slices.Backward(v.steps) {
		for _, from := range starts {
			if from < to && to-from <= v.o.Steps {
				r.From, r.To, r.Steps = from, to, to-from
				return nil
			}
		}
	}
	for _, from := range slices.Backward(starts) { // no two lie so near: the log alone is compared
		if to := min(from+v.o.Steps, v.log.last); to > from {
			r.From, r.To, r.Steps = from, to, to-from
			r.Notes = append(r.Notes, fmt.Sprintf("%s: no two checkpoints lie within %d steps: weights and moments are not compared; "+
				"more `Steps`, or `All`, reach them", v.dir, v.o.Steps))
			return nil
		}
	}
	return fmt.Errorf("%s: the log has no step", v.dir.Log())
}

// program refuses steps that another program did, and says what may explain a difference.
func (v *verification) program() (explanation string, err error) {
	now := run.About()
	if k, err := kernel.Select(os.Getenv("ALBERT_CPU")); err == nil {
		now = append(now, jsonobject.Field{Name: "kernels", Value: k.Name})
	}
	var list []string
	for _, s := range v.manifest.Starts {
		if s.FromStep >= v.verdict.To || s.ToStep <= v.verdict.From {
			continue
		}
		for _, x := range now {
			var was string
			raw, ok := s.About.Get(x.Name).(json.RawMessage)
			is := fmt.Sprint(x.Value)
			if !ok {
				continue
			}
			if json.Unmarshal(raw, &was) != nil {
				was = string(raw)
			}
			if was == is || was == run.Unknown {
				continue
			}
			if !v.o.OtherProgram && (x.Name == "version" || x.Name == "commit") {
				return "", fmt.Errorf("%s: another program did these steps: its %s is %s, this one's %s; numerics %d are the same: "+
					"`OtherProgram` compares all the same", v.dir.Manifest(), x.Name, was, is, v.manifest.Numerics)
			}
			if text := fmt.Sprintf("%s was %s, is %s", x.Name, was, is); !slices.Contains(list, text) {
				list = append(list, text)
			}
		}
	}
	if len(list) > 0 {
		return strings.Join(list, "; "), nil
	}
	return "program, numerics, data and kernels are those of the run: a file was changed since, or the machine erred", nil
}

// again does the steps again.
func (v *verification) again(ctx context.Context) error {
	tmp, remove, err := disk.Temporary("albert-verify-")
	if err != nil {
		return err
	}
	defer remove()
	r := &v.verdict
	a := &train.Rerun{Run: v.dir, Manifest: v.manifest, Dir: run.Dir(tmp), Messages: v.o.Messages, From: r.From, To: r.To, Row: v.row, Tensors: v.tensors}
	for _, step := range v.steps {
		if step > r.From && step <= r.To {
			a.Stored = append(a.Stored, step)
		}
	}
	if len(a.Stored) > 0 {
		r.Compared = append(r.Compared, "weights", "moments")
	}
	do := pretrain.Again
	if v.manifest.Settings.Get("task") != nil {
		do = finetune.Again
	}
	hash, err := do(ctx, a, v.o.Common)
	var difference *Difference
	switch {
	case errors.As(err, &difference):
		v.note(difference)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: interrupted: nothing is judged", v.dir)
	case err != nil:
		return err
	}
	r.WeightsSHA256 = hash
	return nil
}

// ofMachine are fields of a row that are not of its step.
var ofMachine = []string{"tokens_per_second", "data_notes"}

// row compares a step's row with the one in the log.
func (v *verification) row(again train.Fields) error {
	text, err := json.Marshal(again)
	if err != nil {
		return err
	}
	var now jsonobject.Fields
	if err := json.Unmarshal(text, &now); err != nil {
		return err
	}
	var step int
	if err := json.Unmarshal(now.Get("step").(json.RawMessage), &step); err != nil {
		return err
	}
	line, ok := v.log.steps[step]
	if !ok {
		return missing(step)
	}
	var stored jsonobject.Fields
	if err := json.Unmarshal(line, &stored); err != nil {
		return err
	}
	for i, x := range slices.Concat(jsonobject.Fields{{Name: "loss"}, {Name: "grad_norm"}}, stored) {
		was, _ := stored.Get(x.Name).(json.RawMessage)
		is, known := now.Get(x.Name).(json.RawMessage)
		if i > 1 && (!known || slices.Contains(ofMachine, x.Name)) { // an older program's row may have other fields
			continue
		}
		if !bytes.Equal(was, is) {
			return &Difference{Step: step, Field: x.Name, Stored: was, Again: is}
		}
	}
	return nil
}

// tensors compares weights and moments with those of a checkpoint.
func (v *verification) tensors(step int, weights, moments []safetensors.Tensor) error {
	path := filepath.Join(v.dir.Checkpoint(step), run.WeightsFile)
	f, err := safetensors.Open(path)
	if err != nil {
		return &Difference{Step: step, Field: run.WeightsFile, Stored: quoted(err.Error())}
	}
	defer f.Close()
	for _, x := range []struct {
		field string
		list  []safetensors.Tensor
	}{{"weights", weights}, {"moments", moments}} {
		if d := differs(f, step, x.field, x.list); d != nil {
			return d
		}
	}
	return nil
}

// differs compares tensors with those of a file; nil: they are the same.
func differs(stored *safetensors.File, step int, field string, list []safetensors.Tensor) error {
	first, was, is := "", sha256.New(), sha256.New()
	for _, t := range list {
		old, err := stored.Tensor(t.Name)
		if first == "" && (err != nil || old.DType != t.DType || !slices.Equal(old.Shape, t.Shape) || !bytes.Equal(old.Data, t.Data)) {
			first = t.Name
		}
		was.Write(old.Data)
		is.Write(t.Data)
	}
	if first == "" {
		return nil
	}
	sum := func(b []byte) json.RawMessage { return quoted(hex.EncodeToString(b)) }
	return &Difference{Step: step, Field: field, Tensor: first, Stored: sum(was.Sum(nil)), Again: sum(is.Sum(nil))}
}

// model compares the result with the checkpoint that it was written from.
func (v *verification) model() error {
	step := v.steps[len(v.steps)-1]
	if v.manifest.Settings.Get("task") != nil {
		best, err := train.BestStep(v.dir)
		if err != nil {
			return err
		}
		step = cmp.Or(best, step)
	}
	path := filepath.Join(v.dir.Model(), run.WeightsFile)
	f, err := safetensors.Open(path)
	if err != nil {
		v.note(&Difference{Step: step, Field: "model", Stored: quoted(err.Error())})
		return nil
	}
	defer f.Close()
	from, err := safetensors.Open(filepath.Join(v.dir.Checkpoint(step), run.WeightsFile))
	if err != nil || v.damaged[step] != nil {
		return nil
	}
	defer from.Close()
	var list []safetensors.Tensor
	for _, name := range f.Names() {
		t, err := from.Tensor(name)
		if err != nil {
			return err
		}
		list = append(list, t)
	}
	if d := differs(f, step, "model", list); d != nil {
		return v.noted(d)
	}
	return nil
}

func (v *verification) noted(err error) error {
	var d *Difference
	if errors.As(err, &d) {
		v.note(d)
		return nil
	}
	return err
}

// takenOver compares the result of several runs with theirs; nil: it is that of one of them.
func takenOver(parent run.Dir, list []run.Dir) *Difference {
	result, err := stream.HashFile(filepath.Join(parent.Model(), run.WeightsFile))
	if err != nil {
		return nil // not finished
	}
	for _, d := range list {
		if one, err := stream.HashFile(filepath.Join(d.Model(), run.WeightsFile)); err == nil && one.SHA256 == result.SHA256 {
			return nil
		}
	}
	return &Difference{Field: "model", Stored: quoted(result.SHA256)}
}
