package disk

import "golang.org/x/sys/windows"

// Free is how many bytes can still be written in a directory; -1 if that is not known.
func Free(dir string) int64 {
	var free uint64
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil || windows.GetDiskFreeSpaceEx(path, &free, nil, nil) != nil {
		return -1
	}
	return int64(free)
}
