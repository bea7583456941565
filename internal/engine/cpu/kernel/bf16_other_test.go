//go:build !amd64

package kernel

func instructionRules() []bf16Set { return nil }

func twinRules(string) [2]bf16Set { return genericRules }
