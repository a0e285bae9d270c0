package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	root := flag.String("root", "..", "directory of the module to look at; it holds THIRD_PARTY.md")
	target := flag.String("gather", "", "copy the licence texts to this directory, replacing what is there")
	flag.Parse()
	if err := run(*root, *target); err != nil {
		fmt.Fprintf(os.Stderr, "licenses: %v\n", err)
		os.Exit(1)
	}
}

func run(root, target string) error {
	document, err := os.ReadFile(filepath.Join(root, "THIRD_PARTY.md"))
	if err != nil {
		return err
	}
	rows, err := parse(string(document))
	if err != nil {
		return fmt.Errorf("THIRD_PARTY.md: %w", err)
	}
	all, err := modules(root)
	if err != nil {
		return err
	}
	if problems := compare(rows, all); len(problems) > 0 {
		return fmt.Errorf("THIRD_PARTY.md does not agree with what is imported:\n  %s", strings.Join(problems, "\n  "))
	}
	fmt.Printf("licenses: %d modules agree with THIRD_PARTY.md\n", len(all))
	if target == "" {
		return nil
	}
	files, err := gather(target, all)
	if err != nil {
		return err
	}
	fmt.Printf("licenses: %d texts copied to %s\n", files, target)
	return nil
}
