package main

import (
	"context"
	"time"

	"github.com/haisu-trace/haisu/internal/access/authority"
)

// complaints finds the authority that a complaint goes to. Goods in a shop are a market's matter where the filer does not say.
type complaints struct{ bodies *authority.Service }

func (c complaints) Competent(ctx context.Context, class, stage, place string, on time.Time) (string, error) {
	if stage == "" {
		stage = authority.StageMarket
	}
	a, err := c.bodies.Competent(ctx, authority.Query{Matter: authority.MatterComplaint, Class: class, Stage: stage, Place: place, On: on})
	return a.ID, err
}
