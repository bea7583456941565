package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/engine/numeric"
	"albert/internal/files/disk"
	"albert/internal/files/jsonobject"
	"albert/internal/files/stream"
)

// Manifest is manifest.json of a run directory: what was asked and what it ran on.
type Manifest struct {
	Numerics int  `json:"numerics"`
	Finished bool `json:"finished"`
	// StoppedEarly is why a finished run did fewer steps than were asked for.
	StoppedEarly string            `json:"stopped_early,omitempty"`
	Settings     jsonobject.Fields `json:"settings"` // every resolved setting
	Data         jsonobject.Fields `json:"data"`     // hashes of what is learned from
	Sources      *Sources          `json:"sources,omitempty"`
	Starts       []Start           `json:"starts"`
}

// Sources say where what a run was begun with lay, so that it can be found again. Older manifests have none.
type Sources struct {
	// Given are the files and directories that were given, by the names of their flags; absolute.
	Given map[string][]string `json:"given,omitempty"`
	// Model is the weights_sha256 of the model that the run started from; "": it started from random weights.
	Model string `json:"model,omitempty"`
	// Files are those of labelled data that were read, by split. Shards keep such a list themselves.
	Files map[string][]stream.File `json:"files,omitempty"`
}

// Give notes the paths that a flag gave, if any.
func (s *Sources) Give(flag string, paths ...string) error {
	for _, path := range paths {
		if path == "" {
			continue
		}
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if s.Given == nil {
			s.Given = map[string][]string{}
		}
		s.Given[flag] = append(s.Given[flag], abs)
	}
	return nil
}

// Read notes the files that a split was read from.
func (s *Sources) Read(split string, files []stream.File) error {
	for _, f := range files {
		abs, err := filepath.Abs(f.Path)
		if err != nil {
			return err
		}
		if s.Files == nil {
			s.Files = map[string][]stream.File{}
		}
		s.Files[split] = append(s.Files[split], stream.File{Path: abs, Bytes: f.Bytes, SHA256: f.SHA256})
	}
	return nil
}

// Start is one start of the program on a run.
type Start struct {
	Began    string            `json:"began"`   // RFC 3339
	Seconds  float64           `json:"seconds"` // how long it ran
	FromStep int               `json:"from_step"`
	ToStep   int               `json:"to_step"`
	Settings jsonobject.Fields `json:"settings"` // those that a resume may change
	About    jsonobject.Fields `json:"about"`    // versions, hardware
}

// Changed are the settings or data of a run that are not those that it was begun with, which a resume must not change.
type Changed struct {
	Dir     Dir
	Changes []Change
}

// Change is a setting that was changed. The values are JSON; "not set" where there is none.
type Change struct{ Name, Was, Is string }

func (e *Changed) Error() string {
	list := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		list[i] = fmt.Sprintf("%s was %s, is %s", c.Name, c.Was, c.Is)
	}
	return fmt.Sprintf("%s was begun with other settings: %s; give the same ones to resume it, or another `Output`", e.Dir,
		strings.Join(list, "; "))
}

// OtherNumerics is the error of going on with what was made by a program whose bits are other ones.
type OtherNumerics struct {
	Path string
	Made int // with these numerics
}

func (e *OtherNumerics) Error() string {
	return fmt.Sprintf("%s was made with numerics %d, this program has %d: going on would not give the same bits; use the program that "+
		"began it, or another output directory", e.Path, e.Made, numeric.Version)
}

// CheckNumerics is an [OtherNumerics] where a path was not made with this program's numerics.
func CheckNumerics(path string, made int) error {
	if made != numeric.Version {
		return &OtherNumerics{path, made}
	}
	return nil
}

// ReadManifest reads the manifest of a run.
func (d Dir) ReadManifest() (m *Manifest, err error) {
	m = new(Manifest)
	return m, readJSON(d.join(ManifestFile), m)
}

// Open reads the manifest of a run that goes on and compares it with what is asked now, or makes one for a new run. The error is a
// [Changed] or [OtherNumerics] where it must not go on. Settings named in changeable may differ.
func (d Dir) Open(settings, data jsonobject.Fields, changeable []string) (m *Manifest, fresh bool, err error) {
	m, err = d.ReadManifest()
	if errors.Is(err, fs.ErrNotExist) {
		if list, err := d.Checkpoints(); err == nil && len(list) > 0 {
			return nil, false, fmt.Errorf("%s holds checkpoints but no %s: which settings they were made with is not known", d, ManifestFile)
		}
		return &Manifest{Numerics: numeric.Version, Settings: settings, Data: data}, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if err := CheckNumerics(string(d), m.Numerics); err != nil {
		return nil, false, err
	}
	if list := append(Changes(m.Settings, settings, changeable), Changes(m.Data, data, nil)...); len(list) > 0 {
		return nil, false, &Changed{d, list}
	}
	m.Settings, m.Data = settings, data
	return m, false, nil
}

const notSet = "not set"

// zero tells whether a value in JSON is that of a setting that nobody gave; fp32 is the precision of all runs before there was a choice.
func zero(text string) bool {
	return slices.Contains([]string{`""`, "0", "false", "null", "[]", `"fp32"`}, text)
}

// Changes lists the settings that differ between two sets, but for those that may.
func Changes(old, now jsonobject.Fields, changeable []string) (list []Change) {
	text := func(f jsonobject.Fields, name string) string {
		for _, x := range f {
			if x.Name == name {
				b, err := json.Marshal(x.Value)
				if err != nil {
					return err.Error()
				}
				return string(b)
			}
		}
		return notSet
	}
	seen := slices.Clone(changeable)
	for _, x := range append(slices.Clone(now), old...) {
		if slices.Contains(seen, x.Name) {
			continue
		}
		seen = append(seen, x.Name)
		a, b := text(old, x.Name), text(now, x.Name)
		if a == notSet && zero(b) || b == notSet && zero(a) { // written by a program that has no such setting
			continue
		}
		if a != b {
			list = append(list, Change{x.Name, a, b})
		}
	}
	return list
}

// Write puts the manifest into the run directory, whole or not at all.
func (m *Manifest) Write(d Dir) error { return disk.WriteJSON(d.join(ManifestFile), m) }

// SecondsPerStep is how long a step took, by the last start that finished any.
func (m *Manifest) SecondsPerStep() (float64, bool) {
	for _, s := range slices.Backward(m.Starts) {
		if s.ToStep > s.FromStep && s.Seconds > 0 {
			return s.Seconds / float64(s.ToStep-s.FromStep), true
		}
	}
	return 0, false
}
