package stream_test

import (
	"fmt"
	"io"
	"strings"

	"albert/internal/files/stream"
)

// A file that another program made, read line by line.
func Example() {
	text, err := stream.Reader(strings.NewReader("\ufeffone\ntwo"))
	if err != nil {
		fmt.Println(err)
		return
	}
	lines := stream.NewLines(text)
	for {
		line, err := lines.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d: %s\n", lines.Number, line)
	}
	// Output:
	// 1: one
	// 2: two
}
