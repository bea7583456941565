package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"albert/internal/files/disk"
	"albert/internal/files/stream"
)

// The names of what is in checkpoints/.
const (
	checkpointsDir = "checkpoints"
	checkpointStep = "step-%06d"
	damagedSuffix  = ".damaged"
	bestLink       = "best"
)

// checkpointManifest is manifest.json of a checkpoint.
type checkpointManifest struct {
	Files map[string]fileHash `json:"files"`
}

type fileHash struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// File is a file of a checkpoint to be written.
type File struct {
	Name  string
	Write func(w io.Writer) error
}

// Bytes is a File that holds data.
func Bytes(name string, data []byte) File {
	return File{name, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(data))
		return err
	}}
}

func (d Dir) checkpoints() string { return d.join(checkpointsDir) }

// CheckpointName is the name of a step's checkpoint, without its directory.
func CheckpointName(step int) string { return fmt.Sprintf(checkpointStep, step) }

// Checkpoint is the path of a step's checkpoint.
func (d Dir) Checkpoint(step int) string { return filepath.Join(d.checkpoints(), CheckpointName(step)) }

// Checkpoints lists the steps that there are checkpoints of, ascending. They need not be whole; those that were put aside as damaged and
// those that are being written do not count.
func (d Dir) Checkpoints() ([]int, error) {
	entries, err := os.ReadDir(d.checkpoints())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		var step int
		if _, err := fmt.Sscanf(e.Name(), "step-%d", &step); err == nil && e.IsDir() && e.Name() == CheckpointName(step) {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	return steps, nil
}

// Newest gives the newest checkpoint that is whole, "" if there is none. The hashes of its files are verified.
func (d Dir) Newest() (path string, err error) {
	steps, err := d.Checkpoints()
	if err != nil {
		return "", err
	}
	for _, step := range slices.Backward(steps) {
		if path := d.Checkpoint(step); Verify(path) == nil {
			return path, nil
		}
	}
	return "", nil
}

// Verify checks every file of a checkpoint against the hashes in its manifest.
func Verify(checkpoint string) error {
	text, err := disk.ReadFile(filepath.Join(checkpoint, ManifestFile), 1<<30)
	if err != nil {
		return err
	}
	var m checkpointManifest
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("%s: %w", ManifestFile, err)
	}
	for _, name := range []string{WeightsFile, StateFile} {
		if _, ok := m.Files[name]; !ok {
			return fmt.Errorf("%s does not name %s", ManifestFile, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		want := m.Files[name]
		if name != filepath.Base(name) {
			return fmt.Errorf("%s names %q, which is no file of the checkpoint", ManifestFile, name)
		}
		f, err := stream.HashFile(filepath.Join(checkpoint, name))
		switch {
		case err != nil:
			return err
		case f.Bytes != want.Bytes:
			return fmt.Errorf("%s has %d bytes, not %d", name, f.Bytes, want.Bytes)
		case f.SHA256 != want.SHA256:
			return fmt.Errorf("%s has changed since it was written (sha256)", name)
		}
	}
	return nil
}

// WriteCheckpoint writes a step's checkpoint, whole or not at all, of about so many bytes. If it fails nothing of it is left, and the older
// ones are as they were. at is told of each stage before it begins, and its error ends the writing.
func (d Dir) WriteCheckpoint(step int, size int64, files []File, at func(stage string) error) error {
	if err := disk.MkdirAll(d.checkpoints()); err != nil {
		return err
	}
	if free := disk.Free(d.checkpoints()); free >= 0 && free < size {
		return fmt.Errorf("a checkpoint needs %s, the disk has %s", SizeText(size), SizeText(free))
	}
	return disk.Directory(d.Checkpoint(step), func(dir string) error {
		m := checkpointManifest{Files: map[string]fileHash{}}
		for _, f := range files {
			if err := at("write " + f.Name); err != nil {
				return err
			}
			h, err := writeFile(filepath.Join(dir, f.Name), f.Write)
			if err != nil {
				return err
			}
			m.Files[f.Name] = h
		}
		text, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return err
		}
		if _, err := writeFile(filepath.Join(dir, ManifestFile), Bytes("", append(text, '\n')).Write); err != nil {
			return err
		}
		return at("rename")
	})
}

// writeFile writes and syncs a new file, and finds its hash.
func writeFile(path string, write func(w io.Writer) error) (fileHash, error) {
	f, err := disk.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return fileHash{}, err
	}
	defer f.Close()
	sum := stream.NewSum()
	if err := write(io.MultiWriter(f, sum)); err != nil {
		return fileHash{}, err
	}
	if err := f.Sync(); err != nil {
		return fileHash{}, err
	}
	h := sum.File(path)
	return fileHash{h.Bytes, h.SHA256}, f.Close()
}

// PutAside gives a damaged checkpoint another name, under which nobody takes it for one.
func (d Dir) PutAside(step int) (name string, err error) {
	aside := d.Checkpoint(step) + damagedSuffix
	if err := disk.RemoveAll(aside); err != nil {
		return "", err
	}
	return filepath.Base(aside), disk.Rename(d.Checkpoint(step), aside)
}

// Prune points checkpoints/best to the checkpoint of the best step, if that is there, and removes all but it and the newest ones.
func (d Dir) Prune(best, keep int) error {
	steps, err := d.Checkpoints()
	if err != nil {
		return err
	}
	err = d.linkBest(best, slices.Contains(steps, best))
	for _, step := range steps[:max(0, len(steps)-keep)] {
		if step == best {
			continue
		}
		// Renamed first, so that a crash on the way leaves no half one under its name.
		tmp := filepath.Join(d.checkpoints(), disk.Aside+CheckpointName(step))
		e := disk.Rename(d.Checkpoint(step), tmp)
		if e == nil {
			e = disk.RemoveAll(tmp)
		}
		err = OneLine(err, e)
	}
	return err
}

// linkBest makes checkpoints/best a symbolic link to the checkpoint of a step, or removes it where there is none.
func (d Dir) linkBest(step int, there bool) error {
	path := filepath.Join(d.checkpoints(), bestLink)
	if !there {
		if err := disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if to, err := os.Readlink(path); err == nil && to == CheckpointName(step) {
		return nil
	}
	tmp := filepath.Join(d.checkpoints(), disk.Aside+bestLink)
	if err := disk.RemoveAll(tmp); err != nil {
		return err
	}
	if err := disk.Symlink(CheckpointName(step), tmp); err != nil {
		return err
	}
	return disk.Rename(tmp, path)
}

// Best is the checkpoint that checkpoints/best links to.
func (d Dir) Best() string { return filepath.Join(d.checkpoints(), bestLink) }
