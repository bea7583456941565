package stream

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"
)

// utf16Of is a text in UTF-16.
func utf16Of(text string, order binary.AppendByteOrder) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// textAll reads a text in two ways: at once, and a byte at a time. Both give the same.
func textAll(t *testing.T, in string) (string, error) {
	t.Helper()
	read := func(r io.Reader) (string, error) {
		br, err := ReaderSize(r, 64)
		if err == nil {
			br, err = Text(br)
		}
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(br)
		return string(b), err
	}
	whole, err := read(strings.NewReader(in))
	bytewise, err2 := read(iotest.OneByteReader(strings.NewReader(in)))
	if whole != bytewise || (err == nil) != (err2 == nil) {
		t.Errorf("%.20q: %q, %v at once; %q, %v byte by byte", in, whole, err, bytewise, err2)
	}
	return whole, err
}

// However a text is written, its lines are the same.
func TestText(t *testing.T) {
	const text = "text,label\nGröße 😀 ä,1\n\nzwölf Boxkämpfer,0\n"
	for ends, with := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		written := strings.ReplaceAll(text, "\n", with)
		for encoding, in := range map[string]string{"UTF-8": written, "UTF-8 with mark": "\ufeff" + written,
			"UTF-16LE": utf16Of(written, binary.LittleEndian), "UTF-16BE": utf16Of(written, binary.BigEndian),
			"UTF-16LE with mark": utf16Of("\ufeff"+written, binary.LittleEndian), "UTF-16BE with mark": utf16Of("\ufeff"+written, binary.BigEndian),
			"packed": gzipped(utf16Of("\ufeff"+written, binary.BigEndian))} {
			want := strings.ReplaceAll(written, "\r", "\n")
			if ends == "CRLF" {
				want = written
			}
			if got, err := textAll(t, in); err != nil || got != want {
				t.Errorf("%s, %s: %q, %v", ends, encoding, got, err)
			}
		}
	}
	for in, want := range map[string]string{
		"": "", "a": "a", "\n": "\n", "\r": "\n", "a\r": "a\n", "a\r\n": "a\r\n", "10 %\r20 %\nb\rc\n": "10 %\r20 %\nb\rc\n",
		"a\x00": "a", "\xff\xfe": "", "a\r\rb": "a\n\nb", strings.Repeat("a\r", 99): strings.Repeat("a\n", 99),
		strings.Repeat("x", 99) + "\r\n\r\n": strings.Repeat("x", 99) + "\r\n\r\n",
	} {
		if got, err := textAll(t, in); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestTextRefused(t *testing.T) {
	for in, want := range map[string]string{
		utf16Of("ab", binary.LittleEndian) + "c": "UTF-16: the file ends in the middle of a character",
		"\xff\xfea\x00\x00\xd8":                  "UTF-16: half a character (byte 2)",
		"\xff\xfe\x00\xd8a\x00":                  "UTF-16: half a character (byte 0)",
		strings.Repeat("a\r", 99) + "b\n":        `the lines before end in "\r" alone, line 100 in "\n"`,
	} {
		if _, err := textAll(t, in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", in, err, want)
		}
	}
	if err := CheckUTF8("caf\xe9"); err == nil || !strings.Contains(err.Error(), "not UTF-8 (byte 3 is 0xe9; Latin-1?): convert the file: iconv -f latin1 -t utf-8") {
		t.Error(err)
	}
}

// A line that is typed is there when its end is.
func TestTextWaitsForNoMore(t *testing.T) {
	for _, line := range []string{"\n", "a\n", "10 %\r20 %\n"} {
		in, out := io.Pipe()
		defer out.Close()
		got := make(chan string)
		go func() {
			br, _ := Text(bufio.NewReader(in))
			text, _ := NewLines(br).Next()
			got <- string(text) + "\n"
		}()
		io.WriteString(out, line)
		select {
		case text := <-got:
			if text != line {
				t.Errorf("%q of %q", text, line)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q: waits for more", line)
		}
	}
}
