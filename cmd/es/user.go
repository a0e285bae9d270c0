package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/verbatim-es/verbatim/wampbus/users"
)

type userCommand struct {
	AuthID string `arg:"" name:"authid" help:"Who it is: the WAMP authid."`
	Roles  string `required:"" placeholder:"ROLE,..." help:"What they may do: reader, writer, commander, admin."`
	Method string `default:"ticket" enum:"ticket,wampcra,cryptosign" help:"How they log in: ticket, wampcra or cryptosign. (default: ${default})"`
}

// Help is shown below the command's flags.
func (userCommand) Help() string {
	return `The secret is the first line of stdin: the ticket, the password, or for
cryptosign the public key in hexadecimal digits. The line goes to stdout:

  es user ann --roles commander < ticket >> users && chmod 600 users`
}

func (c *userCommand) Run(at *console) error {
	roles := strings.Split(c.Roles, ",")
	for i, role := range roles {
		roles[i] = strings.TrimSpace(role)
		switch roles[i] {
		case "reader", "writer", "commander", "admin":
		default:
			return fmt.Errorf("user: --roles: %q is none: use reader, writer, commander or admin", role)
		}
	}
	c.Roles = strings.Join(roles, ",")
	secret, err := bufio.NewReader(io.LimitReader(at.stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("user: read the secret: %w", err)
	}
	if strings.TrimRight(secret, "\r\n") == "" {
		return errors.New("user: there is no secret: give it as the first line of stdin")
	}
	credential, err := users.New(c.AuthID, c.Roles, c.Method, strings.TrimRight(secret, "\r\n"))
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	_, err = fmt.Fprintln(at.stdout, credential)
	return err
}
