package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"albert/internal/infer"
	"albert/internal/wire"

	"golang.org/x/sys/unix"
)

// onTerminal runs a command with stdout on a terminal of so many columns and gives what is shown, with the terminal's line ends made plain.
func onTerminal(t *testing.T, columns int, args ...string) (shown string, status int) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	defer master.Close()
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)}); err != nil {
		t.Fatal(err)
	}
	text := make(chan string)
	go func() {
		var b bytes.Buffer
		io.Copy(&b, master) // ends with an error when the other side is closed
		text <- strings.ReplaceAll(b.String(), "\r\n", "\n")
	}()
	old, oldErr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = slave, slave
	defer func() { os.Stdout, os.Stderr = old, oldErr }()
	status = runCommand(args)
	slave.Close()
	return <-text, status
}

// A person at a terminal sees short tables; a pipe, and who asks for it with --json, gets JSON; NO_COLOR is obeyed.
func TestTablesOnATerminal(t *testing.T) {
	_, in := workplace(t)
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	must(t, pretrainArgs(in, "run", "--train", in("train.txt"), "--steps", "1")...)
	csv := "text,label\n" + strings.Repeat("the reader opens the network,a\na client counts two numbers,b\n", 20)
	if err := os.WriteFile(in("own.csv"), []byte(csv), 0o666); err != nil {
		t.Fatal(err)
	}
	must(t, "finetune", in("run"), "--task", "classify", "--train", in("own.csv"), "--dev", in("own.csv"), "--output", in("tuned"), "--steps", "1", "--quiet")
	long := "漢字 " + strings.Repeat("the reader ", 30)
	for _, c := range []struct {
		args   []string
		status int
		want   []string // in this order
	}{
		{[]string{"fill", in("run"), "the [MASK]", "[MASK] [MASK]", "none"}, 1,
			[]string{"the [MASK]\n", "SCORE  TOKEN  TOKEN_STR  SEQUENCE\n  0.", "[MASK] [MASK]\n  [MASK] 1\n", "  [MASK] 2\n", "error line 3: no [MASK]"}},
		{[]string{"predict", in("tuned"), "the reader", "a client"}, 0, []string{"LABEL   SCORE  TEXT\n", "  the reader\n", "  a client\n"}},
		{[]string{"predict", in("tuned"), "--all", long}, 0, []string{"(cut) 漢字 the reader", "…\n  LABEL  SCORE\n  "}},
		{[]string{"predict", in("tuned"), `{"id": "x", "text": "a", "text_pair": "b"}`}, 0, []string{`"x": a | b`}},
		{[]string{"embed", in("run"), "the reader"}, 0, []string{"EMBEDDING", "TEXT\n", "the reader\n"}},
		{[]string{"embed", in("run"), "--pooling", "none", "the reader"}, 0, []string{" rows of 24 values  the reader\n"}},
		{[]string{"eval", in("tuned"), "--data", in("own.csv"), "--worst", "1", "--report"}, 0,
			[]string{"METRIC", "VALUE  NOTE\naccuracy", "0.5000", "precision", "GOLD"}},
		{[]string{"eval", in("run"), "--task", "pretrain", "--data", in("dev.txt")}, 0, []string{"METRIC", "mlm_loss"}},
	} {
		for _, colour := range []bool{true, false} {
			t.Setenv("NO_COLOR", map[bool]string{false: "1"}[colour])
			got, status := onTerminal(t, 60, c.args...)
			if status != c.status || strings.Contains(got, "\x1b[") != colour {
				t.Errorf("%q: status %d, colour %v:\n%s", c.args, status, colour, got)
			}
			rest := strings.NewReplacer("\x1b[0m", "", bold, "", dim, "", red, "").Replace(got)
			for _, line := range strings.Split(rest, "\n") {
				if n := len([]rune(line)); n > 60 && c.args[0] != "eval" && !strings.HasPrefix(line, "albert: ") {
					t.Errorf("%q: %d columns: %s", c.args, n, line)
				}
			}
			for _, w := range c.want {
				at := strings.Index(rest, w)
				if at < 0 {
					t.Errorf("%q: no %q in\n%s", c.args, w, got)
					break
				}
				rest = rest[at+len(w):]
			}
		}
		if c.status == 0 {
			args := append(c.args, "--json")
			if got, _ := onTerminal(t, 60, args...); got != must(t, args...) || !strings.ContainsAny(got[:1], "{[") {
				t.Errorf("%q --json on a terminal: %s", c.args, got)
			}
		}
	}
}

// What a text says does not reach the terminal as a command to it.
func TestTablesShowNoEscapeSequences(t *testing.T) {
	var b bytes.Buffer
	table := tableTo(&b, 40)
	it := &wire.Item{Question: infer.Question{Text: "a\x1b[2Jb\nc\u009b"}, File: "f\x1b"}
	for _, err := range []error{table.Write(it, infer.Label{Label: "l\x1b]0;x\a"}, false, nil), table.Write(it, []infer.Filling{{TokenStr: "\x1b["}}, false, nil),
		table.Write(it, nil, false, io.ErrUnexpectedEOF), table.Flush()} {
		if err != nil {
			t.Error(err)
		}
	}
	if got := b.String(); strings.ContainsAny(got, "\x1b\a\u009b") || strings.Count(got, "\n") != 6 {
		t.Errorf("%q", got)
	}
}
