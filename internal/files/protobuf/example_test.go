package protobuf_test

import (
	"fmt"

	"albert/internal/files/protobuf"
)

func Example() {
	message := protobuf.AppendBytes(protobuf.AppendVarint(nil, 3, 7), 4, "text")
	number := uint64(0)
	err := protobuf.Read(message, func(f protobuf.Field) error {
		if f.Number == 3 {
			number = f.Value
		}
		return nil
	})
	fmt.Println(number, err)
	// Output: 7 <nil>
}
