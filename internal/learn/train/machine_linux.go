package train

import (
	"bufio"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
)

// availableMemory is how many bytes this process can have: what it has, and what the kernel calls available or a control group
// leaves, the smaller one. 0 if it is not known.
func availableMemory() int64 {
	available := int64(0)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		available = meminfo(string(text), "MemAvailable")
	}
	if left, ok := groupMemory("/sys/fs/cgroup", "/proc/self/cgroup"); ok && (available == 0 || left < available) {
		available = left
	}
	if available == 0 {
		return 0
	}
	return available + resident()
}

// resident is how much memory this process has.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// meminfo reads a line such as "MemAvailable:  123 kB" in bytes.
func meminfo(text, name string) int64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, err := strconv.ParseInt(f[0], 10, 64)
				if err == nil {
					return n << 10
				}
			}
		}
	}
	return 0
}

// groupMemory is what the process's control groups leave of their limits, versions 1 and 2.
func groupMemory(root, self string) (left int64, ok bool) {
	f, err := os.Open(self)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		part := strings.SplitN(s.Text(), ":", 3)
		if len(part) < 3 {
			continue
		}
		base, limit, usage, cache := root, "memory.max", "memory.current", "inactive_file"
		switch {
		case part[1] == "memory":
			base, limit, usage, cache = path.Join(root, "memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		case part[0] != "0":
			continue
		}
		// A container sees its own group at the root.
		for dir := path.Join(base, part[2]); strings.HasPrefix(dir, base); dir = path.Dir(dir) {
			max, err := readNumber(path.Join(dir, limit))
			if err != nil {
				continue
			}
			used, err := readNumber(path.Join(dir, usage))
			if err != nil {
				continue
			}
			if stat, err := os.ReadFile(path.Join(dir, "memory.stat")); err == nil {
				for line := range strings.Lines(string(stat)) { // cached files make way
					if f := strings.Fields(line); len(f) == 2 && f[0] == cache {
						if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
							used -= n
						}
					}
				}
			}
			if !ok || max-used < left {
				left, ok = max-used, true
			}
		}
	}
	return left, ok
}

// errNoLimit is what a group without a limit gives.
var errNoLimit = errors.New("no limit")

func readNumber(path string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	s := strings.TrimSpace(string(text))
	if s == "max" {
		return 0, errNoLimit
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, err
	}
	if n >= 1<<60 { // version 1 writes "no limit" as a huge number
		return 0, errNoLimit
	}
	return n, nil
}
