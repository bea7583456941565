//go:build !darwin && !freebsd && !linux && !windows

package disk

// Free is -1: here it is not known how much can still be written.
func Free(string) int64 { return -1 }
