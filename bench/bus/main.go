package main

import (
	"fmt"
	"os"
)

// commands are what a user calls, and what the program calls itself with.
var commands map[string]func([]string) error

func init() {
	commands = map[string]func([]string) error{
		"fanout": runFanout, "replay": runReplay, "latency": runLatency, "idle": runIdle,
		"serve": serve, "subscribe": subscribe, "serve-log": serveLog, "consume": consume, "sessions": holdSessions,
	}
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bus fanout|replay|latency|idle [flags]; see go doc ./bus")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "bus %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
