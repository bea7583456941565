package jsonobject_test

import (
	"encoding/json"
	"fmt"
	"math"

	"albert/internal/files/jsonobject"
)

func Example() {
	row := jsonobject.Fields{{Name: "step", Value: 3}, {Name: "loss", Value: math.NaN()}}
	text, err := json.Marshal(row)
	fmt.Printf("%s %v\n", text, err)
	err = json.Unmarshal([]byte(`{"b": 1, "a": 2}`), &row)
	fmt.Printf("%s %v\n", row, err)
	// Output:
	// {"step":3,"loss":null} <nil>
	// [{b 1} {a 2}] <nil>
}
