package train

import (
	"bufio"
	"fmt"
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
		available = numberOf(string(text), "MemAvailable:") << 10
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
	var all, pages int64
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		_, _ = fmt.Sscan(string(text), &all, &pages) // 0 of anything else
	}
	return pages * int64(os.Getpagesize())
}

// numberOf reads the number after a name, at the beginning of a line such as "MemAvailable:  123 kB"; 0 if it is not there.
func numberOf(text, name string) (n int64) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			_, _ = fmt.Sscan(rest, &n)
		}
	}
	return n
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
			max, limited := readNumber(path.Join(dir, limit))
			used, known := readNumber(path.Join(dir, usage))
			if !limited || !known {
				continue
			}
			if stat, err := os.ReadFile(path.Join(dir, "memory.stat")); err == nil {
				used -= numberOf(string(stat), cache) // cached files make way
			}
			if !ok || max-used < left {
				left, ok = max-used, true
			}
		}
	}
	return left, ok
}

// readNumber reads the number in a group's file. It is not ok where there is none: no limit is "max", in version 1 a huge number.
func readNumber(path string) (n int64, ok bool) {
	text, err := os.ReadFile(path)
	if err == nil {
		n, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	}
	return n, err == nil && n < 1<<60
}
