//go:build !amd64

package cpu

// pause stands where a waiting loop has nothing to say to the core.
func pause() {}
