//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// world is the job that a launcher started this test program in: mpirun -n K mpi.test -test.run TestJob (bench/ranks.sh).
var world World

func TestMain(m *testing.M) {
	var err error
	if world, err = Open("auto"); err != nil {
		fmt.Fprintln(os.Stderr, "mpi.test:", err)
		Exit(2)
	}
	status := m.Run()
	if world != nil && status == 0 {
		if err := world.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "mpi.test:", err)
			status = 1
		}
	}
	Exit(status)
}

func inJob(t *testing.T) (rank, size int) {
	if world == nil {
		t.Skip("no launcher started this")
	}
	return world.Rank(), world.Size()
}

func wait(t *testing.T, requests ...Request) {
	t.Helper()
	for _, r := range requests {
		if err := r.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// barrier returns when all ranks have called it.
func barrier(t *testing.T) {
	requests := []Request{world.Send(0, maxTag, nil), world.Receive(0, maxTag-1, nil)}
	if world.Rank() == 0 {
		for from := range world.Size() {
			wait(t, world.Receive(from, maxTag, nil))
		}
		for to := range world.Size() {
			requests = append(requests, world.Send(to, maxTag-1, nil))
		}
	}
	wait(t, requests...)
}

// SIGUSR1, of which MPICH has a handler, comes to Go's, whatever a thread does at the time.
func TestJobSignal(t *testing.T) {
	inJob(t)
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	defer signal.Stop(got)
	busy := make(chan bool)
	for range runtime.NumCPU() {
		go func() {
			for {
				select {
				case <-busy:
					return
				default:
				}
			}
		}()
	}
	for range 100 {
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		<-got
	}
	close(busy)
}

// A nil dereference is a panic that can be recovered from, whichever handlers of signals the library has set.
func TestJobNilDereference(t *testing.T) {
	rank, _ := inJob(t)
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			var p *int
			*p = rank
		}()
	}
	if joined != nil {
		t.Log(joined.version, joined.file)
	}
}

func TestJobPingPong(t *testing.T) {
	rank, size := inJob(t)
	if size < 2 {
		t.Skip("one rank")
	}
	for _, bytes := range []int{8, 1 << 10, 64 << 10, 1 << 20, 47 << 20} {
		rounds := max(3, min(1000, (64<<20)/bytes))
		data := make([]byte, bytes)
		barrier(t)
		start := time.Now()
		for range rounds {
			switch rank {
			case 0:
				wait(t, world.Send(1, 1, data))
				wait(t, world.Receive(1, 1, data))
			case 1:
				wait(t, world.Receive(0, 1, data))
				wait(t, world.Send(0, 1, data))
			}
		}
		if took := time.Since(start) / time.Duration(2*rounds); rank == 0 {
			t.Logf("%9d bytes: %8.1f us, %6.2f GB/s", bytes, float64(took.Nanoseconds())/1e3, float64(bytes)/float64(took.Nanoseconds()))
		}
	}
}

// Each rank sends to each a message under each of many tags, in another order than that in which they are received.
func TestJobManyTags(t *testing.T) {
	rank, size := inJob(t)
	const tags = 64
	random := rand.New(rand.NewPCG(1, uint64(rank)))
	length := func(from, to, tag int) int { return (from*7919 + to*104729 + tag*1299709) % 100_000 }
	content := func(from, to, tag int) []byte {
		data := make([]byte, length(from, to, tag))
		rand.NewChaCha8([32]byte{byte(from), byte(to), byte(tag)}).Read(data)
		return data
	}
	var requests []Request
	for _, i := range random.Perm(size * tags) {
		to, tag := i/tags, i%tags
		requests = append(requests, world.Send(to, tag, content(rank, to, tag)))
	}
	got := make([][]byte, size*tags)
	for _, i := range random.Perm(size * tags) {
		from, tag := i/tags, i%tags
		got[i] = make([]byte, length(from, rank, tag))
		requests = append(requests, world.Receive(from, tag, got[i]))
	}
	wait(t, requests...)
	for i, data := range got {
		if !bytes.Equal(data, content(i/tags, rank, i%tags)) {
			t.Fatalf("rank %d: another message from %d with tag %d", rank, i/tags, i%tags)
		}
	}
}

// Messages of one sender and tag keep their order, and one that is larger than a part arrives whole.
func TestJobParts(t *testing.T) {
	rank, size := inJob(t)
	before := largestPart
	defer func() { barrier(t); largestPart = before }()
	largestPart = 1 << 20
	if os.Getenv("MPI_TEST_LARGE") != "" {
		largestPart = before
	}
	n := 5*largestPart + 3
	if os.Getenv("MPI_TEST_LARGE") != "" {
		n = largestPart + 3
	}
	out, in := make([]byte, n), make([]byte, n)
	for i := 0; i+8 <= n; i += 4096 {
		binary.LittleEndian.PutUint64(out[i:], uint64(rank)<<40|uint64(i))
	}
	out[n-1] = byte(rank)
	var requests []Request
	var small [4][]byte
	for i := range small {
		if i == 2 {
			requests = append(requests, world.Send((rank+1)%size, 5, out), world.Receive((rank+size-1)%size, 5, in))
		}
		small[i] = make([]byte, 1)
		requests = append(requests, world.Send((rank+1)%size, 5, []byte{byte(i)}), world.Receive((rank+size-1)%size, 5, small[i]))
	}
	wait(t, requests...)
	for i, s := range small {
		if int(s[0]) != i {
			t.Errorf("message %d is %d", i, s[0])
		}
	}
	from := (rank + size - 1) % size
	for i := 0; i+8 <= n; i += 4096 {
		if got := binary.LittleEndian.Uint64(in[i:]); got != uint64(from)<<40|uint64(i) {
			t.Fatalf("byte %d: %x", i, got)
		}
	}
	if in[n-1] != byte(from) {
		t.Error("last byte", in[n-1])
	}
}

// A message of another length is an error of the one who receives it.
func TestJobLength(t *testing.T) {
	rank, size := inJob(t)
	if size < 2 {
		t.Skip("one rank")
	}
	switch rank {
	case 0:
		wait(t, world.Send(1, 7, make([]byte, 10)), world.Send(1, 8, make([]byte, 10)))
	case 1:
		for tag, n := range map[int]int{7: 11, 8: 9} {
			err := world.Receive(0, tag, make([]byte, n)).Wait()
			if err == nil {
				t.Errorf("%d bytes received of 10", n)
			}
			t.Log(err)
		}
	}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Waiting costs little time of processors.
func TestJobIdle(t *testing.T) {
	rank, size := inJob(t)
	barrier(t)
	data := make([]byte, 1)
	if rank == 0 {
		time.Sleep(2 * time.Second)
		for to := 1; to < size; to++ {
			wait(t, world.Send(to, 3, data))
		}
		return
	}
	start := processorTime()
	wait(t, world.Receive(0, 3, data))
	used := processorTime() - start
	t.Logf("rank %d: %v of 2 s", rank, used)
	if used > 200*time.Millisecond {
		t.Errorf("rank %d used %v while it waited for 2 s", rank, used)
	}
}

// Messages move while every processor computes.
func TestJobOverlap(t *testing.T) {
	rank, size := inJob(t)
	if size < 2 || rank > 1 {
		t.Skip("for two ranks")
	}
	compute := func(n int) time.Duration {
		start := time.Now()
		x := 1.0
		for range n {
			for range 1_000_000 {
				x = x*0.999999 + 1e-6
			}
		}
		runtime.KeepAlive(x)
		return time.Since(start)
	}
	peer := 1 - rank
	rendezvous := func() { wait(t, world.Send(peer, 9, nil), world.Receive(peer, 9, nil)) }
	const messages = 10
	out, in := make([]byte, 5<<20), make([][]byte, messages)
	for i := range in {
		in[i] = make([]byte, len(out))
	}
	exchange := func() (requests []Request) {
		for i := range in {
			requests = append(requests, world.Receive(peer, 10, in[i]), world.Send(peer, 10, out))
		}
		return requests
	}
	wait(t, exchange()...) // memory touched
	rendezvous()
	start := time.Now()
	wait(t, exchange()...)
	alone := time.Since(start)
	rendezvous()
	quiet := compute(300)
	rendezvous()
	start = time.Now()
	requests := exchange()
	arrived := make(chan time.Duration)
	go func() {
		for _, r := range requests {
			r.Wait()
		}
		arrived <- time.Since(start)
	}()
	busy := compute(300)
	t.Logf("rank %d: 50 MB each way alone %v, computing alone %v, both %v, arrived after %v", rank, alone, quiet, busy, <-arrived)
}

// A rank that aborts ends the others, which wait for it, and what it wrote before is seen.
func TestJobAbort(t *testing.T) {
	rank, _ := inJob(t)
	if os.Getenv("MPI_TEST_ABORT") == "" {
		t.Skip("ends the job")
	}
	if rank == 1 {
		fmt.Fprintln(os.Stderr, "rank 1 aborts")
		world.Abort(7)
	}
	wait(t, world.Receive(1, 0, make([]byte, 1)))
	t.Error("a message from a rank that sent none")
}
