//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// onSignalStack makes the handlers of signals that a library has set run on the stack for signals. On that of a goroutine, which interrupts Go's
// threads find (MPICH has a handler of SIGUSR1, which calls Go's), the process would end: see package os/signal.
func onSignalStack() {
	const onStack = 0x08000000 // SA_ONSTACK
	for signal := uintptr(1); signal <= 64; signal++ {
		var action struct{ handler, flags, restorer, mask uintptr } // the kernel's
		if _, _, err := unix.RawSyscall6(unix.SYS_RT_SIGACTION, signal, 0, uintptr(unsafe.Pointer(&action)), 8, 0, 0); err != 0 || action.handler <= 1 || action.flags&onStack != 0 {
			continue // none, or SIG_DFL, SIG_IGN
		}
		action.flags |= onStack
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, signal, uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	}
}
