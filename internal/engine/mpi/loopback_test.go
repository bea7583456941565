package mpi

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Messages of one sender and tag arrive in order, whatever is between them and however they are delayed.
func TestLoopbackKeepsOrder(t *testing.T) {
	for _, options := range [][]LoopbackOption{nil, {Delay(1)}, {Delay(2)}} {
		const ranks, tags, messages = 4, 3, 20
		each(Loopback(ranks, options...), func(w World) {
			var requests []Request
			var got [][]byte
			for m := range messages {
				for peer := range ranks {
					for tag := range tags {
						if peer == w.Rank() {
							continue
						}
						data := make([]byte, 8)
						binary.LittleEndian.PutUint64(data, uint64(w.Rank()<<16|tag<<8|m))
						requests = append(requests, w.Send(peer, tag, data))
						in := make([]byte, 8)
						got = append(got, in)
						requests = append(requests, w.Receive(peer, tag, in))
					}
				}
			}
			for _, r := range requests {
				if err := r.Wait(); err != nil || !r.Done() {
					t.Error(err, r.Done())
				}
			}
			for m := range messages {
				for peer := range ranks {
					for tag := range tags {
						if peer == w.Rank() {
							continue
						}
						if v := binary.LittleEndian.Uint64(got[0]); v != uint64(peer<<16|tag<<8|m) {
							t.Errorf("message %d of rank %d with tag %d is %x", m, peer, tag, v)
						}
						got = got[1:]
					}
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Abort is seen by who waits, and ends the goroutine that called it.
func TestLoopbackAborts(t *testing.T) {
	said := ""
	each(Loopback(3, OnAbort(func(rank, status int) { said = fmt.Sprint(rank, status) })), func(w World) {
		if w.Rank() == 1 {
			w.Abort(7)
			t.Error("Abort returned")
		}
		if err := w.Receive(1, 0, make([]byte, 1)).Wait(); err == nil || !strings.Contains(err.Error(), "rank 1 ended the job with status 7") {
			t.Error(err)
		}
		if err := w.Close(); err == nil {
			t.Error("closed without an error")
		}
	})
	if said != "1 7" {
		t.Error(said)
	}
}

// A message of another length, and one that nobody receives, are errors.
func TestLoopbackChecks(t *testing.T) {
	each(Loopback(2), func(w World) {
		if w.Rank() == 0 {
			if err := w.Receive(1, 0, make([]byte, 3)).Wait(); err == nil {
				t.Error("3 bytes received of 4")
			}
		} else {
			w.Send(0, 0, make([]byte, 4))
			w.Send(0, 1, nil)
		}
		if err := w.Close(); err == nil {
			t.Error("closed with a message on its way")
		}
	})
}

func each(worlds []World, f func(World)) {
	var group sync.WaitGroup
	for _, w := range worlds {
		group.Go(func() { f(w) })
	}
	group.Wait()
}
