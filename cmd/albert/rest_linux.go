package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetProgram unmaps the pages of the program's own file that were read so far, most of them for starting and opening. They stay in the
// system's cache, as long as it has room, and those that are needed come back from there. What fails is left as it is.
func forgetProgram() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var from, to uintptr // of the mapping whose lines are read, if it is one of the program that is only read
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		var a, b uintptr
		var may string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &a, &b, &may); n == 3 {
			from, to = 0, 0
			if strings.HasSuffix(line, " "+self) && !strings.Contains(may, "w") {
				from, to = a, b
			}
		}
		// Pages of its own are not as in the file: those of a relocated program, or with a debugger's breakpoints.
		if from < to && strings.HasPrefix(line, "Anonymous:") && strings.Fields(line)[1] == "0" {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}
