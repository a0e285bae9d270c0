package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// scrape reads /metrics like Prometheus would, and compares the head in it.
func (d *demo) scrape(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	samples, head := 0, 0.0
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "verbatim_") {
			samples++
		}
		if value, ok := strings.CutPrefix(lines.Text(), "verbatim_store_head_position "); ok {
			if head, err = strconv.ParseFloat(value, 64); err != nil {
				return err
			}
		}
	}
	if head != float64(d.Events) {
		d.disagree("/metrics says the head is at %.0f, want %d", head, d.Events)
	}
	d.step("%d samples, head at %.0f", samples, head)
	return lines.Err()
}
