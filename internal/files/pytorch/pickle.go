package pytorch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"albert/internal/files/safetensors"
)

// What a pickle builds here: nil, bool, int64, *big.Int (where int64 is too small), float64, string, []byte, tuple, *list, *dict,
// global (a name that is allowed to be called), and what builder makes of calls: view and *tensor. Nothing walks through values,
// so that one which contains itself does no harm.
type (
	tuple  []any
	list   struct{ items []any }
	dict   struct{ entries []entry }
	entry  struct{ key, value any }
	global string
)

// unpickler runs the operations of a pickle. The first error stays in err; operations after it change nothing that is used.
type unpickler struct {
	builder *builder
	data    []byte
	at      int
	stack   []any
	marks   []int // lengths of the stack
	memo    map[uint64]any
	err     error
}

// unpickle reads the pickle at the beginning of data and says how many bytes it takes.
func unpickle(data []byte, b *builder) (object any, size int, err error) {
	u := &unpickler{builder: b, data: data[:min(len(data), maxPickle)], memo: map[uint64]any{}}
	for ops := 0; ; ops++ {
		if ops == maxOps {
			return nil, 0, fmt.Errorf("a pickle of more than %d operations", maxOps)
		}
		at := u.at
		op := byte(u.uint(1))
		if u.err == nil && op == '.' {
			object = u.pop()
		} else if u.err == nil {
			u.step(op)
		}
		_, refused := u.err.(refusal)
		switch {
		case u.err == errEnd && len(data) > len(u.data):
			return nil, 0, fmt.Errorf("a pickle of more than %d bytes", maxPickle)
		case u.err == errEnd || refused:
			return nil, 0, u.err
		case u.err != nil:
			return nil, 0, fmt.Errorf("pickle, byte %d: %w", at, u.err)
		case op == '.':
			return object, u.at, nil
		}
		if len(u.stack) > maxStack {
			return nil, 0, fmt.Errorf("a pickle with more than %d values on its stack", maxStack)
		}
		if len(u.memo) > maxMemo {
			return nil, 0, fmt.Errorf("a pickle that remembers more than %d values", maxMemo)
		}
	}
}

var errEnd = errors.New("truncated: the pickle has no end")

// refusal is the error for a pickle that asks for something that is never done here.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(what string) error { return refusal("refuses to " + what + ": only tensors are read") }

// fail keeps the error if it is the first.
func (u *unpickler) fail(err error) {
	if u.err == nil {
		u.err = err
	}
}

func (u *unpickler) failf(format string, args ...any) { u.fail(fmt.Errorf(format, args...)) }

// take gives the next n bytes, nil if there are not so many.
func (u *unpickler) take(n uint64) []byte {
	if n > uint64(len(u.data)-u.at) {
		u.fail(errEnd)
		return nil
	}
	u.at += int(n)
	return u.data[u.at-int(n) : u.at]
}

// uint gives the little-endian number of the next n bytes.
func (u *unpickler) uint(n uint64) uint64 {
	var b [8]byte
	copy(b[:], u.take(n))
	return binary.LittleEndian.Uint64(b[:])
}

// line gives the text up to the next line feed.
func (u *unpickler) line() string {
	rest := u.data[u.at:]
	line, _, ok := bytes.Cut(rest[:min(len(rest), maxText)], []byte("\n"))
	if !ok {
		u.fail(errEnd)
		return ""
	}
	u.at += len(line) + 1
	return string(line)
}

// text gives the bytes of a string, whose number is in the next size bytes.
func (u *unpickler) text(size uint64) []byte {
	n := u.uint(size)
	if n > maxText {
		u.failf("a string of %d bytes, the limit is %d", n, maxText)
		return nil
	}
	return u.take(n)
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

// floor is the length of the stack at the last mark: nothing below it may be taken.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) pop() any {
	if v := u.popN(1); v != nil {
		return v[0]
	}
	return nil
}

func (u *unpickler) popN(n int) tuple {
	if len(u.stack)-u.floor() < n {
		u.failf("nothing is left on the stack")
		return nil
	}
	rest := len(u.stack) - n
	v := append(tuple{}, u.stack[rest:]...)
	u.stack = u.stack[:rest]
	return v
}

// popMark gives the values above the last mark, and takes them and the mark away.
func (u *unpickler) popMark() tuple {
	if len(u.marks) == 0 {
		u.failf("no mark on the stack")
		return nil
	}
	v := u.popN(len(u.stack) - u.floor())
	u.marks = u.marks[:len(u.marks)-1]
	return v
}

// top gives the value that stays on top of the stack.
func (u *unpickler) top() any {
	v := u.pop()
	u.push(v)
	return v
}

// step runs one operation. Those of each group are in a function of its own, which tells whether it knows the operation.
func (u *unpickler) step(op byte) {
	if !u.value(op) && !u.container(op) && !u.object(op) {
		u.failf("operation 0x%02x, which no state dict needs", op)
	}
}

// value runs operations that push None, a truth value, a number, a string or bytes.
func (u *unpickler) value(op byte) bool {
	switch op {
	case 'N': // NONE
		u.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		u.push(op == 0x88)
	case 'I': // INT
		if s := u.line(); s == "00" || s == "01" {
			u.push(s == "01")
		} else {
			u.decimal(s)
		}
	case 'L': // LONG
		u.decimal(strings.TrimSuffix(u.line(), "L"))
	case 'J': // BININT
		u.push(int64(int32(u.uint(4))))
	case 'K': // BININT1
		u.push(int64(u.uint(1)))
	case 'M': // BININT2
		u.push(int64(u.uint(2)))
	case 0x8a: // LONG1
		u.long(u.uint(1))
	case 0x8b: // LONG4
		u.long(u.uint(4))
	case 'G': // BINFLOAT, the highest byte first
		u.push(math.Float64frombits(bits.ReverseBytes64(u.uint(8))))
	case 'X', 'T': // BINUNICODE, BINSTRING
		u.push(string(u.text(4)))
	case 0x8c, 'U': // SHORT_BINUNICODE, SHORT_BINSTRING
		u.push(string(u.text(1)))
	case 0x8d: // BINUNICODE8
		u.push(string(u.text(8)))
	case 'C': // SHORT_BINBYTES
		u.push(u.text(1))
	case 'B': // BINBYTES
		u.push(u.text(4))
	case 0x8e: // BINBYTES8
		u.push(u.text(8))
	default:
		return false
	}
	return true
}

// container runs operations that make tuples, lists and dicts, or fill them, and those that give no value.
func (u *unpickler) container(op byte) bool {
	switch op {
	case 0x80: // PROTO
		if v := u.uint(1); v > 5 {
			u.failf("pickle protocol %d, known are 0 to 5", v)
		}
	case 0x95: // FRAME
		if n := u.uint(8); n > uint64(len(u.data)-u.at) {
			u.fail(errEnd)
		}
	case '(': // MARK
		if u.marks = append(u.marks, len(u.stack)); len(u.marks) > maxMarks {
			u.failf("more than %d marks", maxMarks)
		}
	case '0': // POP
		if len(u.marks) > 0 && len(u.stack) == u.floor() {
			u.popMark()
		} else {
			u.pop()
		}
	case '1': // POP_MARK
		u.popMark()
	case ')': // EMPTY_TUPLE
		u.push(tuple(nil))
	case 't': // TUPLE
		u.push(u.popMark())
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		u.push(u.popN(int(op - 0x84)))
	case ']': // EMPTY_LIST
		u.push(&list{})
	case 'l': // LIST
		u.push(&list{items: u.popMark()})
	case 'a': // APPEND
		u.extend(u.popN(1))
	case 'e': // APPENDS
		u.extend(u.popMark())
	case '}': // EMPTY_DICT
		u.push(&dict{})
	case 'd': // DICT
		items := u.popMark()
		u.push(&dict{})
		u.set(items)
	case 's': // SETITEM
		u.set(u.popN(2))
	case 'u': // SETITEMS
		u.set(u.popMark())
	default:
		return false
	}
	return true
}

// object runs operations that name what can be called, and call it: these are what the builder allows, all others are refused. It runs
// those, too, that remember the value on top of the stack, or push a remembered one.
func (u *unpickler) object(op byte) bool {
	switch op {
	case 'p': // PUT
		u.memo[u.index()] = u.top()
	case 'q': // BINPUT
		u.memo[u.uint(1)] = u.top()
	case 'r': // LONG_BINPUT
		u.memo[u.uint(4)] = u.top()
	case 0x94: // MEMOIZE
		u.memo[uint64(len(u.memo))] = u.top()
	case 'g': // GET
		u.recall(u.index())
	case 'h': // BINGET
		u.recall(u.uint(1))
	case 'j': // LONG_BINGET
		u.recall(u.uint(4))
	case 'c': // GLOBAL
		module := u.line()
		u.global(module, u.line())
	case 0x93: // STACK_GLOBAL
		name, isText := u.pop().(string)
		module, ok := u.pop().(string)
		if !ok || !isText {
			u.failf("the name of a global is not a string")
		}
		u.global(module, name)
	case 'R': // REDUCE
		args, ok := u.pop().(tuple)
		fn, callable := u.pop().(global)
		if !ok || !callable {
			u.failf("a call of something that cannot be called, or without a tuple of arguments")
		}
		u.made(func() (any, error) { return u.builder.call(fn, args) })
	case 'b': // BUILD: attributes of a dict, which are not needed
		_, plain := u.pop().(*dict)
		if _, ok := u.top().(*dict); !ok || !plain {
			u.fail(refuse("set the state of an object"))
		}
	case 'Q': // BINPERSID
		id := u.pop()
		u.made(func() (any, error) { return u.builder.persistent(id) })
	case 'i': // INST
		module := u.line()
		u.fail(refuse("call " + safetensors.Quote(module+"."+u.line())))
	case 'o', 0x81, 0x92: // OBJ, NEWOBJ, NEWOBJ_EX
		u.fail(refuse("make an object"))
	default:
		return false
	}
	return true
}

// made pushes what the builder makes, unless something failed before.
func (u *unpickler) made(make func() (any, error)) {
	if u.err == nil {
		v, err := make()
		u.push(v)
		u.fail(err)
	}
}

// decimal pushes the integer of a text.
func (u *unpickler) decimal(s string) {
	v, ok := new(big.Int).SetString(s[:min(len(s), 2*maxLong)], 10)
	if !ok || len(s) > 2*maxLong {
		u.failf("%s is not an integer", safetensors.Quote(s))
		return
	}
	u.integer(v)
}

// long pushes the integer of the next n bytes, two's complement.
func (u *unpickler) long(n uint64) {
	if n > maxLong {
		u.failf("an integer of %d bytes", n)
		return
	}
	b := slices.Clone(u.take(n))
	slices.Reverse(b)
	v := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	u.integer(v)
}

// integer pushes an integer, as int64 where it is one.
func (u *unpickler) integer(v *big.Int) {
	if v.IsInt64() {
		u.push(v.Int64())
	} else {
		u.push(v)
	}
}

// extend appends to the list on top of the stack.
func (u *unpickler) extend(items tuple) {
	if l, ok := u.top().(*list); ok {
		l.items = append(l.items, items...)
	} else {
		u.failf("items for something that is not a list")
	}
}

// set puts keys and values, in turn, into the dict on top of the stack.
func (u *unpickler) set(items tuple) {
	d, ok := u.top().(*dict)
	if !ok || len(items)%2 != 0 {
		u.failf("items for something that is not a dict, or a key without a value")
		return
	}
	for i := 0; i < len(items); i += 2 {
		d.entries = append(d.entries, entry{items[i], items[i+1]})
	}
}

// index reads the memo's index of a text operation.
func (u *unpickler) index() uint64 {
	v, err := strconv.ParseUint(u.line(), 10, 32)
	u.fail(err)
	return v
}

func (u *unpickler) recall(i uint64) {
	v, ok := u.memo[i]
	if !ok {
		u.failf("nothing is remembered as %d", i)
	}
	u.push(v)
}

// global pushes a name that may be called or is a type of storage; any other is refused.
func (u *unpickler) global(module, name string) {
	if u.err != nil {
		return
	}
	full := module + "." + name
	if !allowed(full) {
		u.fail(refuse("call " + safetensors.Quote(full)))
		return
	}
	u.push(global(full))
}
