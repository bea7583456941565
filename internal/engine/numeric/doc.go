// Package numeric holds the arithmetic whose bits must not depend on the machine: functions, sums and random numbers that give the
// same result on every processor, compiler setting and number of threads.
//
// Go fuses x*y + z on some targets, and the standard library's Exp and Log differ by architecture. Code whose result reaches
// weights, examples or a trained tokenizer uses this package instead, and writes float32(x*y) + z.
package numeric

// Version names the bits of everything the program computes. It is raised whenever any of them may change; runs are not resumed
// across it.
const Version = 2
