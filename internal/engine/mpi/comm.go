//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// job is the World of an MPI library. One goroutine, on a thread of its own, makes all calls: MPI_THREAD_FUNNELED is what every library has.
type job struct {
	*library
	rank, size int
	threads    int
	wake       int // an eventfd

	mutex    sync.Mutex
	queue    []*part
	sleeping bool
	closed   bool

	// of the goroutine alone
	active  []*part
	handles []byte // the MPI_Request of each active part
}

// part is an MPI operation: a message has one for each GiB.
type part struct {
	*request
	do   func(handle uintptr) int32 // starts it; handle is the address of its MPI_Request
	size int                        // bytes to receive, -1: none
	now  bool                       // ends with do
}

// request is a message on its way.
type request struct {
	parts  int // that are not done
	err    error
	done   chan struct{}
	pinner runtime.Pinner
}

// joined is the job of this process.
var joined *job

func open(l launcher, file string) (World, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	j := &job{wake: wake}
	opened := make(chan error)
	go func() {
		runtime.LockOSThread()
		unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // sleeps as short as they are asked for
		err := j.join(l, file)
		opened <- err
		if err == nil {
			j.run()
		}
		select {} // the library's thread stays
	}()
	if err := <-opened; err != nil {
		return nil, err
	}
	j.threads = share(l.local)
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) // for this goroutine, which must not wait until one that computes is preempted
	return j, nil
}

// join starts the library, in the thread that will call it.
func (j *job) join(l launcher, file string) (err error) {
	if j.library, err = load(l, file); err != nil {
		if l.ranks == l.local { // on one machine all ranks look for the same files
			err = CommonError{err}
		}
		return err
	}
	hint := fmt.Sprintf("%s (%s) is not the library of %s, which started %d ranks: name that by --mpi FILE or ALBERT_MPI", j.file, j.version, l.name, l.ranks)
	if own := familyOf(j.version); own != anyFamily && l.family != anyFamily && own != l.family {
		return errors.New(hint)
	}
	if j.rank, j.size, err = j.start(); err != nil {
		return err
	}
	onSignalStack()
	joined = j
	if l.ranks > 0 && j.size != l.ranks {
		if j.size == 1 {
			call(j.finalize)
			j.closed = true
		}
		return fmt.Errorf("%s; it sees %d", hint, j.size)
	}
	return nil
}

// share is the number of processors for each of so many processes on this machine: those that this one may run on, of which launchers give some
// processes one each and others a socket together, but no more than its share of those that the launcher may run on.
func share(processes int) int {
	own := runtime.GOMAXPROCS(0)
	all := own // a container's quota
	var set unix.CPUSet
	if own == runtime.NumCPU() && unix.SchedGetaffinity(os.Getppid(), &set) == nil {
		all = max(own, set.Count())
	}
	return max(1, min(own, all/max(1, processes)))
}

// Threads is the number of threads to compute with beside the other ranks on this machine, 0 if no job has been joined. GOMAXPROCS is one more than
// before Open.
func Threads() int {
	if joined == nil {
		return 0
	}
	return joined.threads
}

func (j *job) Rank() int { return j.rank }
func (j *job) Size() int { return j.size }

func (j *job) Send(to, tag int, data []byte) Request {
	return j.message(data, false, func(at, count, handle uintptr) int32 {
		return call(j.isend, at, count, j.bytes, uintptr(to), uintptr(tag), j.world, handle)
	})
}

func (j *job) Receive(from, tag int, data []byte) Request {
	return j.message(data, true, func(at, count, handle uintptr) int32 {
		return call(j.irecv, at, count, j.bytes, uintptr(from), uintptr(tag), j.world, handle)
	})
}

// largestPart is in bytes: MPI counts in int.
var largestPart = 1 << 30

func (j *job) message(data []byte, receive bool, start func(at, count, handle uintptr) int32) Request {
	r := &request{done: make(chan struct{})}
	var parts []*part
	for {
		piece := data[:min(len(data), largestPart)]
		p := &part{request: r, size: -1}
		if receive {
			p.size = len(piece)
		}
		var at uintptr
		if len(piece) > 0 {
			r.pinner.Pin(&piece[0])
			at = uintptr(unsafe.Pointer(&piece[0]))
		}
		p.do = func(handle uintptr) int32 { return start(at, uintptr(len(piece)), handle) }
		parts = append(parts, p)
		if data = data[len(piece):]; len(data) == 0 {
			break
		}
	}
	r.parts = len(parts)
	j.post(parts...)
	return r
}

// post hands parts to the goroutine that calls the library.
func (j *job) post(parts ...*part) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.queue = append(j.queue, parts...)
	if j.sleeping {
		j.sleeping = false
		unix.Write(j.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// run starts what is posted and asks for what is done. A call makes a library move messages, so that it must be asked often while they move
// and need not be while they do not: after time t without a sign of that it sleeps t/8, at most three milliseconds.
func (j *job) run() {
	const long = 6 * time.Microsecond // of a processor, for a call that moves nothing and is not the first after a sleep
	last, again := time.Now(), false
	for {
		for _, p := range j.take() {
			j.begin(p)
			last = time.Now()
		}
		if len(j.active) == 0 {
			j.sleep(-1)
			continue
		}
		before := threadTime()
		done := j.test()
		slow := threadTime()-before > long
		now := time.Now()
		if done || slow && again {
			last = now
		}
		if again = done || slow; again {
			continue
		}
		if t := min(now.Sub(last)/8, 3*time.Millisecond); t > 2*time.Microsecond {
			j.sleep(t)
		}
	}
}

// threadTime is what this thread has used of processors.
func threadTime() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

func (j *job) take() []*part {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	taken := j.queue
	j.queue = nil
	return taken
}

// sleep sleeps that long, or until something is posted, for which a negative time waits.
func (j *job) sleep(d time.Duration) {
	j.mutex.Lock()
	j.sleeping = len(j.queue) == 0
	sleeping := j.sleeping
	j.mutex.Unlock()
	if !sleeping {
		return
	}
	polled := []unix.PollFd{{Fd: int32(j.wake), Events: unix.POLLIN}}
	if d < 0 {
		unix.Poll(polled, -1)
	} else {
		limit := unix.NsecToTimespec(int64(d))
		unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&polled[0])), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	}
	j.mutex.Lock()
	j.sleeping = false
	j.mutex.Unlock()
	var count [8]byte
	unix.Read(j.wake, count[:])
}

// begin starts an operation.
func (j *job) begin(p *part) {
	n := len(j.handles)
	j.handles = append(j.handles, make([]byte, j.handle)...)
	result := p.do(uintptr(unsafe.Pointer(&j.handles[n])))
	if result == 0 && !p.now {
		j.active = append(j.active, p)
		return
	}
	j.handles = j.handles[:n]
	p.finish(j.check(result))
}

// test ends an operation that is done, and tells whether there was one.
func (j *job) test() bool {
	m := j.memory
	m.flag, m.index = 0, -1
	result := call(j.testany, uintptr(len(j.active)), j.at(&j.handles[0]), uintptr(unsafe.Pointer(&m.index)), uintptr(unsafe.Pointer(&m.flag)), j.at(&m.status[0]))
	i := int(m.index)
	if i < 0 || i >= len(j.active) {
		if result != 0 { // of no single message
			err := j.check(result)
			for _, p := range j.active {
				p.finish(err)
			}
			j.active, j.handles = nil, nil
		}
		return result != 0
	}
	if m.flag == 0 && result == 0 {
		return false
	}
	p := j.active[i]
	err := j.check(result)
	if err == nil && p.size >= 0 {
		if err = j.check(call(j.getCount, j.at(&m.status[0]), j.bytes, j.number())); err == nil && int(m.number) != p.size {
			err = fmt.Errorf("a message of %d bytes where %d were expected", m.number, p.size)
		}
	}
	last := len(j.active) - 1
	j.active[i] = j.active[last]
	j.active[last] = nil
	copy(j.handles[i*j.handle:(i+1)*j.handle], j.handles[last*j.handle:])
	j.active, j.handles = j.active[:last], j.handles[:last*j.handle]
	p.finish(err)
	return true
}

// finish ends one part of a message.
func (r *request) finish(err error) {
	if r.err == nil {
		r.err = err
	}
	if r.parts--; r.parts == 0 {
		r.pinner.Unpin()
		close(r.done)
	}
}

func (r *request) Wait() error {
	<-r.done
	return r.err
}

func (r *request) Done() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// do makes a call in the library's thread and waits for its end, or for that of the operation that it starts.
func (j *job) do(now bool, f func(handle uintptr) int32) error {
	r := &request{parts: 1, done: make(chan struct{})}
	j.post(&part{request: r, do: f, size: -1, now: now})
	return r.Wait()
}

// Abort first gives the launcher the time to show what was written to standard error.
func (j *job) Abort(status int) {
	time.Sleep(300 * time.Millisecond)
	time.AfterFunc(3*time.Second, func() { os.Exit(status) }) // the library hangs
	j.do(true, func(uintptr) int32 { return call(j.abort, j.world, uintptr(status)) })
	os.Exit(status)
}

// Close waits for all ranks in the way that messages are waited for: MPI_Finalize would use all of a processor.
func (j *job) Close() error {
	if err := j.do(false, func(handle uintptr) int32 { return call(j.ibarrier, j.world, handle) }); err != nil {
		return err
	}
	err := j.do(true, func(uintptr) int32 {
		if len(j.active) > 0 {
			return 0
		}
		j.closed = true
		return call(j.finalize)
	})
	if err == nil && !j.closed {
		return errors.New("MPI: a rank closed with messages on their way")
	}
	return err
}

// Exit ends the process with that status, as an MPI library wants it to end: through libc's exit after MPI_Finalize (MPICH otherwise may
// report a killed rank), and with all other ranks if the job has not been closed.
func Exit(status int) {
	if joined != nil {
		if !joined.closed {
			joined.Abort(status)
		}
		if exit, err := purego.Dlsym(purego.RTLD_DEFAULT, "exit"); err == nil {
			call(exit, uintptr(status))
		}
	}
	os.Exit(status)
}
