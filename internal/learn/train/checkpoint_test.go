package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"albert/internal/files/safetensors"
	"albert/internal/run"
)

// rehash makes a checkpoint's manifest fit its files.
func rehash(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, run.ManifestFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Files map[string]map[string]any `json:"files"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	for name := range m.Files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.Sum256(data)
		m.Files[name] = map[string]any{"bytes": len(data), "sha256": hex.EncodeToString(h[:])}
	}
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

func setFinished(t *testing.T, dir string, finished bool) {
	t.Helper()
	m, err := run.Dir(dir).ReadManifest()
	if err != nil {
		t.Fatal(err)
	}
	m.Finished = finished
	if err := m.Write(run.Dir(dir)); err != nil {
		t.Fatal(err)
	}
}

// stoppedRun is a run stopped in step 14, with checkpoints of steps 12 and 13, and 10 as its best.
func stoppedRun(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.onLeaf = func(step, _, _ int) {
		if step == 14 {
			cancel()
		}
	}
	if err := Run(ctx, c, s.params, s); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	steps, err := run.Dir(dir).Checkpoints()
	if err != nil || !slices.Equal(steps, []int{10, 12, 13}) {
		t.Fatalf("checkpoints %v, %v", steps, err)
	}
	return dir
}

// A damaged checkpoint is named and skipped, and the run goes on from the one before to the same bits.
func TestDamagedCheckpoints(t *testing.T) {
	stopped := stoppedRun(t)
	newest := filepath.Join("checkpoints", run.CheckpointName(13))
	damage := map[string]func(path string, data []byte) error{
		"truncated": func(path string, data []byte) error { return os.WriteFile(path, data[:len(data)*2/3], 0o666) },
		"empty":     func(path string, data []byte) error { return os.WriteFile(path, nil, 0o666) },
		"missing":   func(path string, data []byte) error { return os.Remove(path) },
		"longer":    func(path string, data []byte) error { return os.WriteFile(path, append(data, 'x'), 0o666) },
	}
	for i := range 12 {
		damage[fmt.Sprint("bit flipped ", i)] = func(path string, data []byte) error {
			data[len(data)*i/12] ^= 1 << (i % 8)
			return os.WriteFile(path, data, 0o666)
		}
	}
	for _, name := range []string{run.WeightsFile, run.StateFile, run.ManifestFile, "config.json"} {
		for what, f := range damage {
			dir := copyDir(t, stopped)
			path := filepath.Join(dir, newest, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := f(path, bytes.Clone(data)); err != nil {
				t.Fatal(err)
			}
			err = run.Verify(filepath.Join(dir, newest))
			if name == run.ManifestFile && err == nil {
				continue // a space became another character that JSON allows: the hashes hold
			}
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s %s: verified as %v", name, what, err)
			}
			if what != "truncated" && what != "bit flipped 7" {
				continue
			}
			c := testConfig(dir)
			said := messages(&c)
			s := newSquares(40, 30)
			if err := Run(t.Context(), c, s.params, s); err != nil {
				t.Fatal(err)
			}
			resultOf(t, dir, 20).mustEqual(t, uninterrupted(), name+" "+what)
			named := name
			if name == run.ManifestFile { // a hash in it is flipped
				named = ""
			}
			if !strings.Contains(said.String(), "step-000013 is damaged and skipped: "+named) || !strings.Contains(said.String(), "going on after step 12") {
				t.Errorf("%s %s: not named:\n%s", name, what, said)
			}
		}
	}
}

func TestAllCheckpointsDamaged(t *testing.T) {
	dir := stoppedRun(t)
	for _, step := range []int{10, 12, 13} {
		if err := os.Truncate(filepath.Join(run.Dir(dir).Checkpoint(step), run.WeightsFile), 100); err != nil {
			t.Fatal(err)
		}
	}
	c := testConfig(dir)
	s := newSquares(40, 30)
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "begun anew")
	if path, err := run.Dir(dir).Newest(); err != nil || filepath.Base(path) != "step-000020" {
		t.Errorf("newest %q, %v", path, err)
	}
}

func TestManifestMissing(t *testing.T) {
	dir := stoppedRun(t)
	if err := os.Remove(filepath.Join(dir, run.ManifestFile)); err != nil {
		t.Fatal(err)
	}
	s := newSquares(40, 30)
	if err := Run(t.Context(), testConfig(dir), s.params, s); err == nil || !strings.Contains(err.Error(), "no manifest.json") {
		t.Errorf("%v", err)
	}
}

// A checkpoint that is whole but does not fit the parameters is no damage: the run is refused, nothing is put aside.
func TestOtherModelIsRefused(t *testing.T) {
	dir := stoppedRun(t)
	s := newSquares(40, 31)
	err := Run(t.Context(), testConfig(dir), s.params, s)
	if err == nil || !strings.Contains(err.Error(), "tensor layer.weight has shape [1 30], not [1 31]") {
		t.Errorf("%v", err)
	}
	if steps, err := run.Dir(dir).Checkpoints(); err != nil || len(steps) != 3 {
		t.Errorf("checkpoints %v, %v", steps, err)
	}
}

// full fails every write of one kind, for some time, for lack of space.
func full(point string, from, to int) func(string) error {
	n := 0
	return func(p string) error {
		if !strings.HasPrefix(p, point) {
			return nil
		}
		if n++; n > from && n <= to {
			return &os.PathError{Op: "write", Path: p, Err: syscall.ENOSPC}
		}
		return nil
	}
}

// A disk that is full for a while costs checkpoints, not the run; nothing half-written is left and older ones stay.
func TestDiskFullForAWhile(t *testing.T) {
	for _, point := range []string{"write " + run.WeightsFile, "write " + run.StateFile, "rename", "log", "prune"} {
		t.Run(point, func(t *testing.T) {
			dir := t.TempDir()
			c := testConfig(dir)
			said := messages(&c)
			s := newSquares(40, 30)
			inject := full(point, 1, 4)
			first := ""
			err := start(t.Context(), &c, s.params, s, func(p string) error {
				err := inject(p)
				if err != nil && first == "" {
					if path, e := run.Dir(dir).Newest(); e == nil {
						first = path
					}
				}
				return err
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			if !strings.Contains(said.String(), "no space left on device") {
				t.Errorf("no warning:\n%s", said)
			}
			if point != "log" && first == "" {
				t.Error("the older checkpoint is gone")
			}
			resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "after a full disk")
			mustBeClean(t, dir)
		})
	}
}

func TestDiskFullAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	c.Finish = func(dir string) error { return os.WriteFile(filepath.Join(dir, "weights"), nil, 0o666) }
	err := start(t.Context(), &c, s.params, s, func(p string) error {
		if steps, _ := run.Dir(dir).Checkpoints(); len(steps) > 0 && (strings.HasPrefix(p, "write") || p == "model") {
			return syscall.ENOSPC
		}
		return nil
	})
	if err == nil || !errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if steps, err := run.Dir(dir).Checkpoints(); err != nil || !slices.Equal(steps, []int{4}) {
		t.Errorf("checkpoints %v, %v", steps, err)
	}
	if _, err := os.Stat(run.Dir(dir).Model()); err == nil {
		t.Error("half a model")
	}
	s = newSquares(40, 30)
	if err := Run(t.Context(), c, s.params, s); err != nil {
		t.Fatal(err)
	}
	resultOf(t, dir, 20).mustEqual(t, uninterrupted(), "with space again")
}

// A stop that cannot save is an error, not a stop.
func TestDiskFullAtAStop(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	s := newSquares(40, 30)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.onLeaf = func(step, _, _ int) {
		if step == 7 {
			cancel()
		}
	}
	err := start(ctx, &c, s.params, s, func(p string) error {
		if steps, _ := run.Dir(dir).Checkpoints(); len(steps) > 1 && strings.HasPrefix(p, "write") {
			return syscall.ENOSPC
		}
		return nil
	})
	if err == nil || errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), "newest checkpoint is of step 5") {
		t.Errorf("%v", err)
	}
}

// BenchmarkSave writes, and BenchmarkVerify checks, a checkpoint of base's size: 142 MB.
func BenchmarkSave(b *testing.B) {
	c := benchCheckpoints(b)
	b.SetBytes(c.size())
	for b.Loop() {
		if err := c.save(&state{Step: 1}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	c := benchCheckpoints(b)
	if err := c.save(&state{Step: 1}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(c.size())
	for b.Loop() {
		if err := run.Verify(c.dir.Checkpoint(1)); err != nil {
			b.Fatal(err)
		}
	}
}

func benchCheckpoints(b *testing.B) *checkpoints {
	s := newSquares(1, 11_813_810)
	n := s.params.Size()
	return &checkpoints{dir: run.Dir(b.TempDir()), params: s.params, m: make([]float32, n), v: make([]float32, n), keep: 1,
		tensors: func() []safetensors.Tensor {
			return []safetensors.Tensor{safetensors.Float32Tensor(s.w.Name, s.w.Shape, s.w.Data), safetensors.Float32Tensor(s.bias.Name, s.bias.Shape, s.bias.Data)}
		}, at: func(string) error { return nil }}
}
