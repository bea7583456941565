package kernel

import "syscall"

// permitAMX asks Linux for the use of tiles, which a process must, once, on any thread.
func permitAMX() bool {
	const archReqXCompPerm, tileData = 0x1023, 18
	_, _, e := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archReqXCompPerm, tileData, 0)
	return e == 0
}
