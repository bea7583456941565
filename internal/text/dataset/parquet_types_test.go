package dataset

import (
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
)

// Columns that nobody asks for may hold anything; every type that can be a text or a label is read.
func TestParquetTypes(t *testing.T) {
	type row struct {
		Text     string    `parquet:"text,dict"`
		Label    string    `parquet:"label"`
		Blob     []byte    `parquet:"blob"`
		Unsigned uint64    `parquet:"unsigned"`
		Small    int8      `parquet:"small"`
		Byte     uint8     `parquet:"byte"`
		Price    int64     `parquet:"price,decimal(2:10)"`
		Whole    int32     `parquet:"whole,decimal(0:9)"`
		Kind     string    `parquet:"kind,enum"`
		Truth    bool      `parquet:"truth"`
		Half     float32   `parquet:"half"`
		Day      int32     `parquet:"day,date"`
		At       time.Time `parquet:"at,timestamp(millisecond)"`
		Key      [16]byte  `parquet:"key,uuid"`
	}
	at := time.Date(2024, 2, 3, 4, 5, 6, 7e6, time.UTC)
	file := parquetOf(t, "", row{"A", "x", []byte{0xff, 0}, 1<<63 + 5, -3, 200, -1050, 7, "red", true, 0.5, 19000, at, [16]byte{0xab}})
	for column, want := range map[string]string{"label": "x", "unsigned": "9223372036854775813", "small": "-3", "byte": "200", "price": "-10.50", "whole": "7", "kind": "red",
		"truth": "true", "half": "0.5", "day": "2022-01-08", "at": "2024-02-03T04:05:06.007Z", "key": "ab000000-0000-0000-0000-000000000000"} {
		s, err := readText(t, "classify", Train, "a.parquet", file, Options{LabelColumn: column})
		if err != nil {
			t.Errorf("%s: %v", column, err)
			continue
		}
		wantExamples(t, s, "1 text=A label="+want)
		if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], `columns are not used: "at", "blob"`) && column != "at" {
			t.Errorf("%s: %q", column, s.Notes)
		}
	}
	_, err := readText(t, "classify", Train, "a.parquet", file, Options{LabelColumn: "blob"})
	wantError(t, err, `a.parquet:1: column "blob": a zero byte`)
	s := mustRead(t, "regress", Train, "a.parquet", file, Options{LabelColumn: "price"})
	wantExamples(t, s, "1 text=A score=-10.5")

	type odd struct {
		Text  string           `parquet:"text"`
		Label string           `parquet:"label"`
		ID    []byte           `parquet:"id"` // a well-known name
		Moved deprecated.Int96 `parquet:"moved"`
	}
	_, err = readText(t, "classify", Train, "a.parquet", parquetOf(t, "", odd{Text: "A", Label: "x", ID: []byte{0xff}}), Options{})
	wantError(t, err, `column "id": not UTF-8`)
	_, err = readText(t, "classify", Train, "a.parquet", parquetOf(t, "", odd{Text: "A", Label: "x"}), Options{LabelColumn: "moved"})
	wantError(t, err, `column "moved": INT96 is neither text nor a number`)
}

// A row's list may be longer than what is read of a page at a time.
func TestParquetLongLists(t *testing.T) {
	type tagged struct {
		Tokens []string `parquet:"tokens,list"`
		Tags   []string `parquet:"tags,list"`
	}
	var rows []tagged
	for n := range 200 {
		rows = append(rows, tagged{strings.Split(strings.Repeat("a ", n)+"b", " "), strings.Split(strings.Repeat("O ", n)+"B-X", " ")})
	}
	s := mustRead(t, "tag", Train, "a.parquet", parquetOf(t, "", rows...), Options{})
	for n, e := range s.Examples {
		if len(e.Words) != n+1 || e.Words[n] != "b" || s.Labels[e.Labels[n]] != "B-X" {
			t.Fatalf("row %d: %+v", n, e)
		}
	}
}
