package kernel

import (
	"slices"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// Each CPU gets the sets that it can run, the best last: without AVX-512 that is AVX-VNNI's where there is one.
func TestSetsOfOtherCPUs(t *testing.T) {
	cpu, all := cpuid.CPU, sets
	defer func() { cpuid.CPU, sets = cpu, all }()
	x86 := []cpuid.FeatureID{cpuid.AVX, cpuid.AVX2, cpuid.FMA3, cpuid.BMI2}
	avx512 := append(slices.Clone(x86), cpuid.AVX512F, cpuid.AVX512DQ, cpuid.AVX512BW, cpuid.AVX512VL)
	for _, c := range []struct {
		has  []cpuid.FeatureID
		want []string
	}{
		{nil, []string{"generic"}},
		{x86, []string{"generic", "avx2"}},
		{append(slices.Clone(x86), cpuid.AVXVNNI), []string{"generic", "avx2", "avxvnni"}},
		{avx512, []string{"generic", "avx2", "avx512"}},
		{append(slices.Clone(avx512), cpuid.AVX512VNNI, cpuid.AVXVNNI), []string{"generic", "avx2", "avxvnni", "avx512"}},
	} {
		cpuid.CPU = cpuid.CPUInfo{}
		for _, f := range c.has {
			cpuid.CPU.Enable(f)
		}
		sets = []*Set{generic}
		addSets()
		if got := Available(); !slices.Equal(got, c.want) {
			t.Errorf("a CPU with %v has %v, want %v", c.has, got, c.want)
		}
		for _, s := range sets[1:] {
			if s.int8.panel == nil || s.rules[0].product == nil {
				t.Errorf("%s has no products of int8 or bf16", s.Name)
			}
		}
	}
}
