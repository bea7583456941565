package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
)

func never(string) error { return nil }

// write makes a checkpoint whose tensors are some text.
func write(t *testing.T, d Dir, step int) {
	t.Helper()
	files := []File{Bytes(WeightsFile, []byte{byte(step), 1, 2}), Bytes(StateFile, []byte("{}"))}
	if err := d.WriteCheckpoint(step, 0, files, never); err != nil {
		t.Fatal(err)
	}
}

// The newest whole checkpoint is that of the highest number, whatever the path and whatever stands beside it.
func TestNewestWhole(t *testing.T) {
	for _, name := range []string{"run", "a[1]", "b*?", `c\`} {
		d := Dir(filepath.Join(t.TempDir(), name))
		if path, err := d.Newest(); err != nil || path != "" {
			t.Errorf("%q, %v before there is one", path, err)
		}
		for _, step := range []int{7, 999_999, 1_000_000} {
			write(t, d, step)
		}
		for _, other := range []string{"step-2000000.damaged", disk.Aside + "step-3000000", "step-4", "step-", "notes"} {
			if err := os.CopyFS(filepath.Join(d.checkpoints(), other), os.DirFS(d.Checkpoint(7))); err != nil {
				t.Fatal(err)
			}
		}
		want := func(step int) {
			t.Helper()
			if path, err := d.Newest(); err != nil || path != d.Checkpoint(step) {
				t.Errorf("newest %q, %v; want step %d", path, err, step)
			}
			if at, err := Find(string(d)); err != nil || at.Weights != filepath.Join(d.Checkpoint(step), WeightsFile) || at.Dir != string(d) {
				t.Errorf("%+v, %v; want step %d", at, err, step)
			}
		}
		want(1_000_000)
		if err := os.WriteFile(filepath.Join(d.Checkpoint(1_000_000), WeightsFile), []byte{1, 2, 3}, 0o666); err != nil {
			t.Fatal(err)
		}
		want(999_999) // the hash of the other's tensors is not that in its manifest
		if aside, err := d.PutAside(999_999); err != nil || aside != "step-999999.damaged" {
			t.Errorf("%q, %v", aside, err)
		}
		want(7)
		if err := os.Remove(filepath.Join(d.Checkpoint(7), ManifestFile)); err != nil {
			t.Fatal(err)
		}
		if at, err := Find(string(d)); err == nil || !strings.Contains(err.Error(), "without a checkpoint that is whole") {
			t.Errorf("%+v, %v", at, err)
		}
		if err := d.WriteModel(func(dir string) error { return os.WriteFile(filepath.Join(dir, ConfigFile), nil, 0o666) }); err != nil {
			t.Fatal(err)
		}
		if at, err := Find(string(d)); err != nil || at != (Location{d.Model(), d.Model()}) {
			t.Errorf("%+v, %v; want the result", at, err)
		}
	}
}

// A checkpoint that cannot be written leaves nothing, whatever the stage.
func TestFailedCheckpoint(t *testing.T) {
	for _, stage := range []string{"write " + WeightsFile, "write " + StateFile, "rename"} {
		d := Dir(t.TempDir())
		write(t, d, 1)
		err := d.WriteCheckpoint(2, 0, []File{Bytes(WeightsFile, nil), Bytes(StateFile, nil)}, func(s string) error {
			if s == stage {
				return syscall.ENOSPC
			}
			return nil
		})
		entries, e := os.ReadDir(d.checkpoints())
		if !errors.Is(err, syscall.ENOSPC) || e != nil || len(entries) != 1 {
			t.Errorf("%s: %v, %v, %v", stage, err, entries, e)
		}
	}
	d := Dir(t.TempDir())
	if err := d.WriteCheckpoint(1, 1<<62, nil, never); err == nil || !strings.Contains(err.Error(), "a checkpoint needs 4611686018 GB") {
		t.Errorf("%v", err)
	}
	bad := errors.New("bad")
	if err := d.WriteCheckpoint(1, 0, []File{{"x", func(io.Writer) error { return bad }}}, never); !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
}

// What Prune keeps and what Sweep removes.
func TestPruneAndSweep(t *testing.T) {
	d := Dir(t.TempDir())
	for step := range 6 {
		write(t, d, step)
	}
	if err := d.Prune(2, 2); err != nil {
		t.Fatal(err)
	}
	if steps, err := d.Checkpoints(); err != nil || !slices.Equal(steps, []int{2, 4, 5}) {
		t.Errorf("%v, %v", steps, err)
	}
	if to, err := os.Readlink(d.Best()); err != nil || to != CheckpointName(2) {
		t.Errorf("best is %q, %v", to, err)
	}
	if err := d.Prune(0, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(d.Best()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to no checkpoint: %v", err)
	}
	kept := []string{"notes", ".own", ".config.jsonl"}
	for _, name := range append(slices.Clone(kept), ".tmp-model", ".config.json.123", ".manifest.json.1", ".plan.json.9", "checkpoints/.tmp-step-000009", "checkpoints/.tmp-best") {
		if err := os.WriteFile(d.join(name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Sweep(ConfigFile); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(string(d))
	if err != nil || len(entries) != len(kept)+1 {
		t.Errorf("%v, %v", entries, err)
	}
	if steps, err := d.Checkpoints(); err != nil || !slices.Equal(steps, []int{5}) {
		t.Errorf("%v, %v", steps, err)
	}
}

// A run goes on with the same settings and data only; the errors are told apart by their types.
func TestOpen(t *testing.T) {
	d := Dir(t.TempDir())
	settings := jsonobject.Fields{{Name: "rate", Value: 0.1}, {Name: "threads", Value: 1}}
	data := jsonobject.Fields{{Name: "train", Value: "abc"}}
	m, fresh, err := d.Open(settings, data, nil)
	if err != nil || !fresh {
		t.Fatal(err, fresh)
	}
	if err := m.Write(d); err != nil {
		t.Fatal(err)
	}
	other := jsonobject.Fields{{Name: "rate", Value: 0.2}, {Name: "threads", Value: 2}, {Name: "new", Value: "x"}}
	_, _, err = d.Open(other, jsonobject.Fields{{Name: "train", Value: "abd"}}, []string{"threads"})
	var changed *Changed
	if !errors.As(err, &changed) || len(changed.Changes) != 3 || !strings.Contains(err.Error(), `rate was 0.1, is 0.2; new was not set, is "x"; train was "abc", is "abd"`) {
		t.Errorf("%v", err)
	}
	if _, fresh, err := d.Open(settings, data, nil); err != nil || fresh {
		t.Errorf("the same settings: %v", err)
	}
	m.Numerics += 7
	if err := m.Write(d); err != nil {
		t.Fatal(err)
	}
	var numerics *OtherNumerics
	if _, _, err := d.Open(settings, data, nil); !errors.As(err, &numerics) || numerics.Made != m.Numerics {
		t.Errorf("%v", err)
	}
}

// One process holds a directory at a time.
func TestLock(t *testing.T) {
	d := Dir(t.TempDir())
	unlock, err := d.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lock(); err == nil || !strings.Contains(err.Error(), "is in use by another process") {
		t.Errorf("%v", err)
	}
	unlock()
	if unlock, err = d.Lock(); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestCard(t *testing.T) {
	dir := t.TempDir()
	c := Card{Tags: []string{"albert"}, Text: "What it is.", Settings: jsonobject.Fields{{Name: "steps", Value: 3}}, Hash: "abc"}
	if err := c.Write("runs/rte/", dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, cardFile))
	want := "---\nlibrary_name: transformers\ntags:\n- albert\n---\n\n# rte\n\nWhat it is.\n\n| setting | value |\n|---|---|\n| steps | 3 |\n\nweights_sha256: `abc`\n"
	if err != nil || !bytes.Equal(got, []byte(want)) {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// A number outside its interval, or a text that is not listed, is refused by its field's name.
func TestCheck(t *testing.T) {
	type record struct {
		Count  int
		Share  float64  `range:"[0,1)"`
		Length int      `range:"0 or [8,)"`
		Words  *int     `range:"[1,16]"`
		Any    *float64 `range:"-"`
		Kind   string   `enum:"a,b,"`
	}
	zero, many, low := 0, 17, math.Inf(-1)
	for want, r := range map[string]record{
		"": {0, 0, 0, nil, &low, ""}, "Count -1: want at least 0": {Count: -1}, "Share 1: want at least 0, below 1": {Share: 1},
		"Share NaN: want a finite number": {Share: math.NaN()}, "Length 7: want at least 8": {Length: 7},
		"Words 0: want 1 to 16": {Words: &zero}, "Words 17: want 1 to 16": {Words: &many}, "Kind c: want one of a, b": {Kind: "c"},
	} {
		err := Check(&r)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Fields named in backquotes become flags, and nothing else does.
func TestFlags(t *testing.T) {
	const text = "try `LearningRate` 5e-06 and `NGram` 2, not `albert fill`, in data/Train of `Model"
	if got, want := Flags(text), "try --learning-rate 5e-06 and --ngram 2, not `albert fill`, in data/Train of `Model"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A record is what its settings in a manifest say.
func TestRestore(t *testing.T) {
	type record struct {
		Rate    float64
		Dropout *float32
		Names   []string
		Other   string `resume:"-"`
		Common
	}
	dropout := float32(0.1)
	want := record{Rate: 0.3, Dropout: &dropout, Names: []string{"a,b"}, Common: Common{Seed: 1<<64 - 1, MaxTime: 90 * time.Second, Quiet: true, Optimizer: "lamb", WeightDecay: 0.01}}
	text, err := json.Marshal(Settings(&want, nil))
	if err != nil {
		t.Fatal(err)
	}
	var settings jsonobject.Fields
	if err := json.Unmarshal(append(bytes.TrimSuffix(text, []byte("}")), `,"unknown":1,"other":"x"}`...), &settings); err != nil {
		t.Fatal(err)
	}
	var got record
	if err := Restore(&got, settings); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	settings[0].Value = json.RawMessage(`"x"`)
	if err := Restore(&got, settings); err == nil || !strings.Contains(err.Error(), "manifest.json: setting rate: ") {
		t.Errorf("%v", err)
	}
	if err := Restore(&got, settings, "rate"); err != nil {
		t.Error(err)
	}
}

// A cell of a table in Markdown is on one line and holds no border.
func TestTable(t *testing.T) {
	want := "| a | b |\n|---|---|\n| x\\|y | \\\\\\| \\<b> z |\n"
	if got := Table([][]string{{"a", "b"}, {"x|y", "\\| <b>\nz"}}); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
