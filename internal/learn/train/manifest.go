package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"albert/internal/files/disk"

	"albert/internal/engine/numeric"
)

// Changeable are the settings that may differ when a run is resumed, by the names of their flags: none of them reaches a bit of the
// result.
var Changeable = []string{"threads", "micro-batch-size", "save-every", "keep", "max-time", "quiet", "stop-if-stuck"}

// manifestFile is the name of the run's manifest in its directory.
const manifestFile = "manifest.json"

// Manifest is manifest.json of a run directory: what was asked and what it ran on.
type Manifest struct {
	Numerics int     `json:"numerics"`
	Finished bool    `json:"finished"`
	Settings Fields  `json:"settings"` // every resolved setting
	Data     Fields  `json:"data"`     // hashes of what is learned from
	Starts   []Start `json:"starts"`
}

// Start is one start of the program on a run.
type Start struct {
	Began    string  `json:"began"`   // RFC 3339
	Seconds  float64 `json:"seconds"` // how long it ran
	FromStep int     `json:"from_step"`
	ToStep   int     `json:"to_step"`
	Settings Fields  `json:"settings"` // the changeable ones
	About    Fields  `json:"about"`    // versions, hardware
}

// UnmarshalJSON reads an object, keeping the order of its fields; values are kept as they stand.
func (f *Fields) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t == nil {
		*f = nil
		return nil
	}
	if t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	*f = nil
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		*f = append(*f, Field{name.(string), value})
	}
	return nil
}

// ReadManifest reads the manifest of a run directory.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, manifestFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// openManifest reads the manifest of a run that goes on and compares it with what is asked now, or makes one for a new run.
func openManifest(c *Config) (m *Manifest, fresh bool, err error) {
	m, err = ReadManifest(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		if list, err := listCheckpoints(c.Dir); err == nil && len(list) > 0 {
			return nil, false, fmt.Errorf("%s holds checkpoints but no %s: it cannot be told what they are of", c.Dir, manifestFile)
		}
		return &Manifest{Numerics: numeric.Version, Settings: c.Settings, Data: c.Data}, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if m.Numerics != numeric.Version {
		return nil, false, fmt.Errorf("%s was made with numerics %d, this program has %d: its bits would not go on; use the program that "+
			"began it, or another output directory", c.Dir, m.Numerics, numeric.Version)
	}
	changed := append(changes(m.Settings, c.Settings), changes(m.Data, c.Data)...)
	if len(changed) > 0 {
		return nil, false, fmt.Errorf("%s was begun with other settings: %s; give the same ones to resume it, or another output directory",
			c.Dir, strings.Join(changed, "; "))
	}
	m.Settings, m.Data = c.Settings, c.Data
	return m, false, nil
}

// changes names what differs between two sets of settings, apart from what may.
func changes(old, now Fields) []string {
	text := func(f Fields, name string) string {
		for _, x := range f {
			if x.Name == name {
				b, err := json.Marshal(x.Value)
				if err != nil {
					return err.Error()
				}
				return string(b)
			}
		}
		return "not set"
	}
	var list []string
	seen := map[string]bool{}
	for _, x := range append(slices.Clone(now), old...) {
		if seen[x.Name] || slices.Contains(Changeable, x.Name) {
			continue
		}
		seen[x.Name] = true
		if a, b := text(old, x.Name), text(now, x.Name); a != b {
			list = append(list, fmt.Sprintf("%s was %s, is %s", x.Name, a, b))
		}
	}
	return list
}

// write puts the manifest into the run directory, whole or not at all.
func (m *Manifest) write(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, manifestFile), append(text, '\n'))
}
