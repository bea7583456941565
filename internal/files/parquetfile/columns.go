package parquetfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// Column reads one column of a row group, row by row. Other columns are not touched.
type Column struct {
	kind   parquet.Type
	pages  parquet.Pages
	page   parquet.Page
	in     parquet.ValueReader
	values [64]parquet.Value
	at, n  int // of those of values that are still to give
}

// OpenColumn begins to read a column, by its place among the columns of the schema. Close it.
func OpenColumn(group parquet.RowGroup, column int) *Column {
	chunk := group.ColumnChunks()[column]
	return &Column{kind: chunk.Type(), pages: chunk.Pages()}
}

// Close ends reading.
func (c *Column) Close() error {
	if c.page != nil {
		parquet.Release(c.page)
	}
	return c.pages.Close()
}

// Row gives the next row's value, or those of its list, each as [Value] has it. unreadable says why one is not read, which is no fault of the
// file; after err nothing more can be read.
func (c *Column) Row() (values []any, unreadable, err error) {
	err = Guard(func() error {
		for {
			if more, err := c.fill(); err != nil || !more {
				if err == nil && len(values) == 0 {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			v := c.values[c.at]
			if len(values) > 0 && v.RepetitionLevel() == 0 {
				return nil
			}
			c.at++
			x, err := Value(c.kind, v)
			if err != nil && unreadable == nil {
				unreadable = err
			}
			values = append(values, x)
		}
	})
	return values, unreadable, err
}

// fill reads on where no values are left; false: the column has ended.
func (c *Column) fill() (more bool, err error) {
	for c.at == c.n {
		if c.in != nil {
			n, err := c.in.ReadValues(c.values[:])
			c.at, c.n = 0, n
			if err != nil && !errors.Is(err, io.EOF) {
				return false, err
			}
			if err != nil {
				c.in = nil
			}
			continue
		}
		if c.page != nil {
			parquet.Release(c.page)
			c.page = nil
		}
		page, err := c.pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		c.page, c.in = page, page.Values()
	}
	return true, nil
}

// Value is a value as JSON would have it: nil, a bool, a json.Number or a string, dates and times in ISO 8601. Bytes that no type calls text are
// text if they are UTF-8; the caller checks that.
func Value(t parquet.Type, v parquet.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	logical := logicalOf(t)
	switch l := logical.(type) {
	case *format.DecimalType:
		return decimal(v, int(l.Scale))
	case *format.UUIDType:
		if b := v.ByteArray(); len(b) == 16 {
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
		}
	case *format.Float16Type:
		if b := v.ByteArray(); len(b) == 2 {
			return number(float16(uint16(b[0])|uint16(b[1])<<8), 32), nil
		}
	case *format.DateType:
		return time.Unix(int64(v.Int32())*24*60*60, 0).UTC().Format(time.DateOnly), nil
	case *format.TimestampType:
		return moment(v.Int64(), l.Unit).Format(time.RFC3339Nano), nil
	case *format.TimeType:
		n := v.Int64()
		if v.Kind() == parquet.Int32 {
			n = int64(v.Int32())
		}
		return moment(n, l.Unit).Format("15:04:05.999999999"), nil
	case *format.BsonType, *format.VariantType, *format.GeometryType, *format.GeographyType:
		return nil, fmt.Errorf("%v is neither text nor a number", logical)
	case *format.IntType:
		switch {
		case l.IsSigned:
		case v.Kind() == parquet.Int32:
			return json.Number(strconv.FormatUint(uint64(v.Uint32()), 10)), nil
		default:
			return json.Number(strconv.FormatUint(v.Uint64(), 10)), nil
		}
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean(), nil
	case parquet.Int32:
		return json.Number(strconv.FormatInt(int64(v.Int32()), 10)), nil
	case parquet.Int64:
		return json.Number(strconv.FormatInt(v.Int64(), 10)), nil
	case parquet.Float:
		return number(float64(v.Float()), 32), nil
	case parquet.Double:
		return number(v.Double(), 64), nil
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return string(v.ByteArray()), nil
	}
	return nil, fmt.Errorf("%v is neither text nor a number", v.Kind()) // Int96
}

func number(x float64, bits int) json.Number {
	return json.Number(strconv.FormatFloat(x, 'g', -1, bits))
}

// logicalOf is a column's logical type, also of a file that only has the older form of it.
func logicalOf(t parquet.Type) format.LogicalTypeValue {
	if l := t.LogicalType(); l != nil && l.Value != nil {
		return l.Value
	}
	c := t.ConvertedType()
	if c == nil {
		return nil
	}
	switch *c {
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return &format.IntType{BitWidth: 64}
	case deprecated.Date:
		return &format.DateType{}
	case deprecated.Bson:
		return &format.BsonType{}
	}
	return nil
}

// moment is a time that is counted from 1970.
func moment(n int64, unit format.TimeUnit) time.Time {
	switch {
	case strings.HasPrefix(unit.String(), "MILLI"):
		return time.UnixMilli(n).UTC()
	case strings.HasPrefix(unit.String(), "MICRO"):
		return time.UnixMicro(n).UTC()
	}
	return time.Unix(0, n).UTC()
}

// decimal is an integer, of bytes the big-endian one in two's complement, over a power of ten.
func decimal(v parquet.Value, scale int) (any, error) {
	var n big.Int
	switch v.Kind() {
	case parquet.Int32:
		n.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		n.SetInt64(v.Int64())
	default:
		b := v.ByteArray()
		if n.SetBytes(b); len(b) > 0 && b[0]&0x80 != 0 {
			n.Sub(&n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	const most = 1000 // digits: no file has so many, but a damaged one may say so
	if scale < 0 || scale > most || n.BitLen() > 4*most {
		return nil, fmt.Errorf("a decimal of %d bits and %d places", n.BitLen(), scale)
	}
	digits := new(big.Int).Abs(&n).String()
	if scale > 0 {
		digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		digits = "-" + digits
	}
	return json.Number(digits), nil
}

// float16 reads IEEE 754's half precision.
func float16(b uint16) float64 {
	sign, exponent, fraction := 1-2*float64(b>>15), int(b>>10&31), float64(b&1023)
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}
