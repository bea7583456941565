// Package mpi lets several processes, the ranks of an MPI job, train one model together. The library is opened at run time, without cgo,
// in a build with the tag mpi; [Loopback] is a job of goroutines, for tests.
//
// What is here moves bytes between ranks and nothing else: sums are the callers', whose order does not depend on the number of ranks.
package mpi

// World is this process's view of the ranks of a job. Its methods may be called from any goroutine.
type World interface {
	Rank() int // of this process, from 0
	Size() int // of the job, at least 1
	// Send starts to send data to another rank, Receive to receive exactly len(data) bytes from one. Messages of one sender and tag arrive in
	// the order in which they were sent. data belongs to the message until the request is done.
	Send(to, tag int, data []byte) Request
	Receive(from, tag int, data []byte) Request
	// Abort ends all ranks with that exit status. It does not return.
	Abort(status int)
	// Close ends this rank's part in the job, after all of its requests; all ranks must call it.
	Close() error
}

// Request is a message on its way.
type Request interface {
	// Wait returns when the message has been sent or received, with the error that kept it from that.
	Wait() error
	// Done tells whether Wait would return at once.
	Done() bool
}

// maxTag is the largest tag that every MPI library takes.
const maxTag = 32767
