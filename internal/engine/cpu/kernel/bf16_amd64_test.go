package kernel

import "github.com/klauspost/cpuid/v2"

// instructionRules are those of the instructions of bf16 that this CPU has.
func instructionRules() (list []bf16Set) {
	if cpuid.CPU.Supports(cpuid.AVX512BF16) {
		list = append(list, dotRule)
		if sets[len(sets)-1].Name == "amx" && cpuid.CPU.Supports(cpuid.AMXBF16) {
			list = append(list, amxRule)
		}
	}
	return list
}
