package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const startTime = 5 * time.Minute // in which a server must answer

// server is a process that answers at url.
type server struct {
	name, url, log string // log: the file of what it says
	process        *exec.Cmd
	ended          chan struct{} // closed when it has ended
	err            error         // how
	took           time.Duration // until it was ready
}

// start runs a server and waits until GET /health is 200. {port} in an argument stands for a free port.
func (o *options) start(name string, argv ...string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], "{port}", port)
	}
	out, err := os.CreateTemp(o.tmp, "log-")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s := &server{name: name, url: "http://127.0.0.1:" + port, log: out.Name(), process: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	s.process.Stdout, s.process.Stderr = out, out
	began := time.Now()
	if err := s.process.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		s.err = s.process.Wait()
		close(s.ended)
	}()
	for ; time.Since(began) < startTime; time.Sleep(2 * time.Millisecond) {
		select {
		case <-s.ended:
			return nil, fmt.Errorf("%s ended: %w: %s", name, cmpErr(s.err), s.tail())
		default:
		}
		if status, _, err := get(s.url + "/health"); err == nil && status == 200 {
			s.took = time.Since(began)
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("%s does not answer after %v: %s", name, startTime, s.tail())
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("status 0")
	}
	return err
}

// tail is the end of what it said.
func (s *server) tail() string {
	text, _ := os.ReadFile(s.log)
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

// albertServe runs albert serve of the models (NAME=PATH, with commas between) and flags.
func (o *options) albertServe(models, precision string, flags ...string) (*server, error) {
	argv := append([]string{o.albert, "serve"}, strings.Split(models, ",")...)
	argv = append(argv, "--port", "{port}", "--threads", strconv.Itoa(o.threads), "--precision", precision)
	return o.start("albert", append(argv, flags...)...)
}

// base is the served model of base's size, with vectors as answers.
func (o *options) base() string { return "m=" + filepath.Join(o.models, "base") }

// stop ends it, by force if it must be.
func (s *server) stop() {
	_ = s.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		_ = s.process.Process.Kill()
		<-s.ended
	}
}

// alive tells whether it has not ended.
func (s *server) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// rss is its resident memory in MB.
func (s *server) rss() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1e3
		}
	}
	return 0
}

// watch notes its resident memory every tenth of a second until the function that it gives is called, which gives them.
func (s *server) watch() func() []float64 {
	stop, done := make(chan struct{}), make(chan []float64)
	go func() {
		var list []float64
		for {
			select {
			case <-stop:
				done <- append(list, s.rss())
				return
			case <-time.After(100 * time.Millisecond):
				list = append(list, s.rss())
			}
		}
	}()
	return func() []float64 {
		close(stop)
		return <-done
	}
}

var plain = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

// get asks by a connection of its own.
func get(url string) (int, string, error) {
	w, err := plain.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(w.Body)
	return w.StatusCode, string(text), err
}

// counted is the sum of one of the server's metrics over the lines whose labels hold a text.
func (s *server) counted(name, label string) (sum float64, err error) {
	_, text, err := get(s.url + "/metrics")
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, label) {
			f := strings.Fields(line)
			x, err := strconv.ParseFloat(f[len(f)-1], 64)
			if err != nil {
				return 0, err
			}
			sum += x
		}
	}
	return sum, err
}

// clock is which time this machine was busy, in seconds over all cores, and which of it a process and those that it waited for.
type clock struct{ busy, all, ours float64 }

const ticks = 100 // a second, in /proc

func readClock(pid int) (c clock) {
	stat, _ := os.ReadFile("/proc/stat")
	in := bufio.NewScanner(strings.NewReader(string(stat)))
	in.Scan()
	for i, f := range strings.Fields(in.Text()) {
		x, _ := strconv.ParseFloat(f, 64)
		if c.all += x / ticks; i != 4 && i != 5 {
			c.busy += x / ticks
		}
	}
	own, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(own), ") ")
	for i, f := range strings.Fields(rest) {
		if i >= 11 && i <= 14 { // utime, stime, and those of children
			x, _ := strconv.ParseFloat(f, 64)
			c.ours += x / ticks
		}
	}
	return c
}

// others is the part of the machine that other processes took since before.
func (c clock) others(before clock) float64 {
	return max(0, c.busy-before.busy-(c.ours-before.ours)) / max(c.all-before.all, 1e-9)
}

func cpuName() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(text), "model name")
	name, _, _ := strings.Cut(strings.TrimLeft(rest, "\t: "), "\n")
	return name
}
