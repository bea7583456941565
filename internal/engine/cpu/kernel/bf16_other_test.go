//go:build !amd64

package kernel

func instructionRules() []bf16Set { return nil }

func twinRules(int) [2]bf16Set { return genericRules }
