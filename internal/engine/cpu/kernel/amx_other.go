//go:build amd64 && !linux

package kernel

// permitAMX: how other systems let a process use tiles is not known here.
func permitAMX() bool { return false }
