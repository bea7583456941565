package disk_test

import (
	"fmt"
	"os"
	"path/filepath"

	"albert/internal/files/disk"
)

func Example() {
	dir, err := os.MkdirTemp("", "albert-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "result.json")
	if err := disk.WriteFile(path, []byte(`{"loss": 1.5}`)); err != nil {
		fmt.Println(err)
		return
	}
	text, err := disk.ReadFile(path, 1<<20)
	fmt.Printf("%s %v\n", text, err)
	// Output: {"loss": 1.5} <nil>
}
