//go:build !linux

package cpu

// threadUsage knows nothing here, so that no thread ever seems to have lost its core.
func threadUsage() usage { return usage{} }
