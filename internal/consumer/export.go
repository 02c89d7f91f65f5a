package consumer

import (
	"encoding/json"
	"time"
)

// Export is a page of everything that is kept of a device (PIPL, article 45). The first page has the device itself; every page has entries of one
// of the lists. Next is "" on the last.
type Export struct {
	Device    *Exported  `json:"device,omitempty"`
	Holdings  []Holding  `json:"holdings,omitempty"`
	Exposures []Exposure `json:"exposures,omitempty"`
	Alerts    []Told     `json:"alerts,omitempty"`
	Next      string     `json:"next,omitempty"`
}

// Exported is a device as it is given to its owner.
type Exported struct {
	ID            string         `json:"id"`
	Platform      string         `json:"platform"`
	Lang          string         `json:"lang"`
	City          string         `json:"city,omitempty"`
	PushToken     string         `json:"push_token,omitempty"`
	Subscriptions []Subscription `json:"subscriptions,omitempty"`
	Created       time.Time      `json:"created"`
	Seen          string         `json:"seen"` // YYYY-MM
}

// Told is one alert that a device got.
type Told struct {
	No       string          `json:"no"`
	Rev      int             `json:"rev"`
	Received time.Time       `json:"received"`
	State    string          `json:"state"`
	Reasons  json.RawMessage `json:"reasons"`
}
