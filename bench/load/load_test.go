package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A rate counts answers; one that is not 200 is an error.
func TestRate(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer s.Close()
	if x, err := rate(s.URL, [][]byte{[]byte("{}")}, 2, 50*time.Millisecond); err != nil || x <= 0 {
		t.Error(x, err)
	}
	status = http.StatusTooManyRequests
	if _, err := rate(s.URL, [][]byte{[]byte("{}")}, 2, time.Minute); err == nil {
		t.Error("429 counts as an answer")
	}
}

// A question is asked once, whatever becomes of its connection, and the next one is answered over another.
func TestAskedOnce(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 2:
			panic(http.ErrAbortHandler)
		case 3:
			w.Header().Set("Connection", "close")
		}
	}))
	defer s.Close()
	c := client()
	for i, want := range []int{200, 0, 200, 200} {
		if a := post(c, s.URL, nil); a.status != want || asked != i+1 {
			t.Errorf("question %d: %d %v, asked %d times", i+1, a.status, a.err, asked)
		}
	}
}

// Vectors come as numbers or in base64.
func TestVector(t *testing.T) {
	for _, text := range []string{`[1, 0.5]`, `"AACAPwAAAD8="`} {
		v, err := vector(fmt.Appendf(nil, `{"data": [{"embedding": %s}]}`, text))
		if err != nil || len(v) != 2 || v[0] != 1 || v[1] != 0.5 || cosine(v, v) < 1-1e-12 {
			t.Error(text, v, err)
		}
	}
}

// An answer that differs from another one to the same text is noticed.
func TestTally(t *testing.T) {
	x := &tally{by: map[int]int{}, answered: map[string]int{}, want: make([][]byte, 1)}
	for i, body := range []string{"a", "a", "b"} {
		x.note(answer{status: 200, body: []byte(body), trace: fmt.Sprint(i)})
	}
	if len(x.wrong) != 1 || len(x.answered) != 3 {
		t.Error(x)
	}
}
