package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// process is this program in another role. It is told and answers in lines.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func start(args ...any) (*process, error) {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = fmt.Sprint(a)
	}
	p := &process{cmd: exec.Command(os.Args[0], words...)}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.in, p.out = in, bufio.NewReader(out)
	return p, p.cmd.Start()
}

func (p *process) line() (string, error) {
	line, err := p.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

func (p *process) tell(words ...any) error {
	_, err := fmt.Fprintln(p.in, words...)
	return err
}

// stop ends the process, which ends when nobody can tell it anything any more.
func (p *process) stop() error {
	err := p.in.Close()
	_, drained := io.Copy(io.Discard, p.out)
	return errors.Join(err, drained, p.cmd.Wait())
}
