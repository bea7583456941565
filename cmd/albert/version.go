package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"

	"albert/internal/engine/cpu/kernel"
	"albert/internal/engine/numeric"
	"albert/internal/run"
)

// VersionCmd says what this binary is.
type VersionCmd struct {
	JSON bool `name:"json" negatable:"" help:"Give one JSON object."`
	allFlags
}

type versionInfo struct {
	Version  string   `json:"version"`
	Commit   string   `json:"commit"`
	Go       string   `json:"go"`
	Numerics int      `json:"numerics"` // raised whenever any bit of a result may change
	Platform string   `json:"platform"`
	Kernels  []string `json:"kernels"`
}

func currentVersion() versionInfo {
	return versionInfo{Version: run.Version, Commit: run.Commit(), Go: runtime.Version(), Numerics: numeric.Version,
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Kernels: kernel.Available()}
}

// Run prints the version.
func (c *VersionCmd) Run() error {
	v := currentVersion()
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(v)
	}
	_, err := fmt.Printf("albert %s (commit %s, numerics %d, %s, %s)\n", v.Version, v.Commit, v.Numerics, v.Go, v.Platform)
	return err
}
