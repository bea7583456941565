package main

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
)

// version says which kernels serve, and why where plain Go does.
func TestVersionSaysWhichKernelsServe(t *testing.T) {
	t.Setenv("ALBERT_CPU", "")
	var v versionInfo
	if err := json.Unmarshal([]byte(must(t, "version", "--json")), &v); err != nil || v.Kernel != v.Kernels[len(v.Kernels)-1] {
		t.Errorf("%v: %+v", err, v)
	}
	if out := must(t, "version"); !strings.HasPrefix(out, "albert ") || !strings.Contains(out, "\nkernels: ") || !strings.Contains(out, v.Kernel) {
		t.Error(out)
	}
	t.Setenv("ALBERT_CPU", "generic")
	if err := json.Unmarshal([]byte(must(t, "version", "--json")), &v); err != nil || v.Kernel != "generic" {
		t.Errorf("%v: %+v", err, v)
	}
	if out := must(t, "version"); !strings.Contains(out, "kernels: plain Go (generic)") || runtime.GOARCH == "amd64" && len(v.Kernels) > 1 && !strings.Contains(out, "as ALBERT_CPU asks") {
		t.Error(out)
	}
	t.Setenv("ALBERT_CPU", "abacus")
	if status, _, errs := call(t, "version"); status != 2 || !strings.Contains(errs, `ALBERT_CPU: unknown instruction set "abacus"`) {
		t.Errorf("%d: %s", status, errs)
	}
	for want, v := range map[string]versionInfo{
		"avx2": {Kernels: []string{"generic", "avx2"}, Kernel: "avx2"},
		"plain Go (generic); there are no faster ones for darwin/arm64 yet, the results are the same bits": {Platform: "darwin/arm64", Kernels: []string{"generic"}, Kernel: "generic"},
		"plain Go (generic); this CPU has neither AVX2 nor AVX-512, for which there are faster ones":       {Platform: "linux/amd64", Kernels: []string{"generic"}, Kernel: "generic"},
	} {
		if got := v.kernels(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
