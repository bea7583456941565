package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"

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
	Kernels  []string `json:"kernels"` // that this CPU runs
	Kernel   string   `json:"kernel"`  // that serve: generic is plain Go
	BF16     string   `json:"bf16"`    // the rule that --precision bf16 becomes with them: tile or dot
}

func currentVersion() (versionInfo, error) {
	v := versionInfo{Version: run.Version, Commit: run.Commit(), Go: runtime.Version(), Numerics: numeric.Version,
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Kernels: kernel.Available()}
	k, err := kernel.Select(os.Getenv("ALBERT_CPU"))
	if err != nil {
		return v, usageError{fmt.Errorf("ALBERT_CPU: %w", err)}
	}
	v.Kernel, v.BF16 = k.Name, k.BestRule().String()
	return v, nil
}

// kernels says in words which kernels serve, and why plain Go does where it does.
func (v *versionInfo) kernels() string {
	const plain = "generic"
	why := ""
	switch {
	case v.Kernel != v.Kernels[len(v.Kernels)-1]:
		why = fmt.Sprintf(" as ALBERT_CPU asks; this CPU runs %s", strings.Join(v.Kernels, ", "))
	case v.Kernel != plain:
	case strings.HasSuffix(v.Platform, "/amd64"):
		why = "; this CPU has neither AVX2 nor AVX-512, for which there are faster ones"
	default:
		why = "; there are no faster ones for " + v.Platform + " yet, the results are the same bits"
	}
	if v.Kernel == plain {
		return "plain Go (generic)" + why
	}
	return v.Kernel + why
}

// Run prints the version.
func (c *VersionCmd) Run() error {
	v, err := currentVersion()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(v)
	}
	_, err = fmt.Printf("albert %s (commit %s, numerics %d, %s, %s)\nkernels: %s\n", v.Version, v.Commit, v.Numerics, v.Go, v.Platform, v.kernels())
	return err
}
