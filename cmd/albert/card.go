package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"albert/internal/files/disk"
	"albert/internal/proof"
)

// CardCmd fills in a reproducibility card.
type CardCmd struct {
	Paths  []string          `arg:"" help:"Run directory, several of one setting, or a model." placeholder:"RUN|MODEL"`
	Set    map[string]string `mapsep:"none" help:"What no file proves, by a variable's or item's name (\"ARR C1\"); may be repeated." placeholder:"NAME=TEXT"`
	Output string            `help:"Write the card into this file." placeholder:"FILE.md"`
	JSON   bool              `name:"json" negatable:"" help:"Give one JSON object."`
	allFlags
}

// Run fills in the card.
func (c *CardCmd) Run() error {
	defer c.limit()()
	var given []proof.Given
	for name, text := range c.Set {
		given = append(given, proof.Given{Name: name, Text: text})
	}
	card, err := proof.NewCard(c.Paths, given)
	if err != nil {
		return request(err)
	}
	if c.Output != "" {
		if err := disk.MkdirAll(filepath.Dir(c.Output)); err != nil {
			return err
		}
		if err := disk.WriteFile(c.Output, []byte(card.Markdown())); err != nil {
			return err
		}
	}
	switch {
	case c.JSON:
		return json.NewEncoder(os.Stdout).Encode(card)
	case c.Output == "":
		_, err = fmt.Print(card.Markdown())
	}
	return err
}
