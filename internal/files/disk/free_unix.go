//go:build darwin || freebsd || linux

package disk

import "golang.org/x/sys/unix"

// Free is how many bytes can still be written in a directory; -1 if that is not known.
func Free(dir string) int64 {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return -1
	}
	return int64(s.Bavail) * int64(s.Bsize)
}
