//go:build !linux

package train

func availableMemory() int64 { return 0 }
