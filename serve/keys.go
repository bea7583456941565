package serve

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// Keys are those that a request must have one of.
type Keys []Key

// Key is a key and what it is called in logs.
type Key struct {
	Name string
	Sum  [sha256.Size]byte // of the key
}

// ReadKeys reads a file of keys, one a line: KEY, or NAME KEY. Empty lines and those that begin with # are passed over.
func ReadKeys(file string) (Keys, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var keys Keys
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
			continue
		case len(words) > 2:
			return nil, fmt.Errorf("%s, line %d: want NAME KEY, or KEY alone", file, n)
		case len(words) == 1:
			words = []string{fmt.Sprintf("line %d", n), words[0]}
		}
		keys = append(keys, Key{words[0], sha256.Sum256([]byte(words[1]))})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: no key in it", file)
	}
	return keys, nil
}

// find gives the name of the key that a request has: Authorization: Bearer KEY, KEY alone, or X-Api-Key. What it takes does not depend on the key.
func (k Keys) find(h http.Header) (name string, ok bool) {
	if len(k) == 0 {
		return "", true
	}
	given := h.Get("Authorization")
	if scheme, rest, found := strings.Cut(given, " "); found && strings.EqualFold(scheme, "bearer") {
		given = rest
	}
	if given == "" {
		given = h.Get("X-Api-Key")
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(given)))
	for _, key := range k {
		if subtle.ConstantTimeCompare(sum[:], key.Sum[:]) == 1 {
			name, ok = key.Name, true
		}
	}
	return name, ok
}
