package dataset

import "slices"

func equal(a, b []int) bool { return slices.Equal(a, b) }
