package main

import (
	"context"
	"slices"

	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/course/course"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// dial connects to the bus at a URL. What it sends is verified by the schemas
// that the demo's code was generated from.
func dial(ctx context.Context, url string) (*client.Client, error) {
	schemas, err := schema.Load(slices.Concat(account.Schema, course.Schema))
	if err != nil {
		return nil, err
	}
	return client.Dial(ctx, url, client.Options{Schemas: schemas})
}
