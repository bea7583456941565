// Package proof answers what a run can prove of itself: [Verify] does its steps again and compares the bits, [NewCard] fills in what reviewers
// ask for from the run's own files, [Compare] puts runs side by side. Nothing in a run's directory is written.
//
//	verdict, err := proof.Verify(ctx, "run", proof.VerifyOptions{Steps: 100})
//	if err == nil && !verdict.Same {
//		fmt.Println(verdict.FirstDifference)
//	}
package proof

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"albert/internal/run"
)

// Runs lists the run directories that a path means: itself, or those of several seeds in it.
func Runs(path string) ([]run.Dir, error) {
	d := run.Dir(filepath.Clean(path))
	if d.Is() {
		return []run.Dir{d}, nil
	}
	var list []run.Dir
	for n := 1; d.Seed(n).Is(); n++ {
		list = append(list, d.Seed(n))
	}
	if len(list) > 0 {
		return list, nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such directory", path)
	}
	return nil, fmt.Errorf("%s: no run directory: it holds no %s", path, run.ManifestFile)
}
