package main

import (
	"fmt"
	"os"
)

func main() {
	// "appends" is what grow starts to kill it.
	commands := map[string]func([]string) error{"append": runAppend, "grow": runGrow, "appends": runAppends}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: store append|grow [flags]; see go doc ./store")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "store:", err)
		os.Exit(1)
	}
}
