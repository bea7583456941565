package run

import (
	"cmp"
	"fmt"
	"strings"
)

// SizeText is a number of bytes for people.
func SizeText(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.0f GB", float64(n)/1e9)
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 10e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kB", float64(n)/1e3)
}

var cell = strings.NewReplacer("\\", "\\\\", "|", "\\|", "<", "\\<", "\r\n", " ", "\n", " ", "\r", " ")

// Cell is a text on one line, as it stands in a table in Markdown.
func Cell(text string) string { return cell.Replace(text) }

// Table is a table in Markdown, whose first row is its head.
func Table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		for _, text := range row {
			b.WriteString("| " + Cell(text) + " ")
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// OneLine is two errors as one, as errors.Join gives them, but on one line.
func OneLine(a, b error) error {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	return fmt.Errorf("%w; %w", a, b)
}
