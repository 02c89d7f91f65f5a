package push_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"

	"github.com/haisu-trace/haisu/push"
	"github.com/haisu-trace/haisu/push/fcmtest"
)

const benchInFlight = 100

// BenchmarkSend compares, against the same fake in one run, this package's sender with a tuned net/http client that posts
// ready-made bytes, and with the SDK's SendEach on the same tuned connections. One operation is one message.
func BenchmarkSend(b *testing.B) {
	for _, o := range []struct {
		name string
		fcmtest.Options
	}{{"h1", fcmtest.Options{}}, {"h2tls", fcmtest.Options{TLS: true}}} {
		b.Run(o.name+"/raw", func(b *testing.B) { benchRaw(b, o.Options) })
		b.Run(o.name+"/sender", func(b *testing.B) { benchSender(b, o.Options) })
		b.Run(o.name+"/sendeach", func(b *testing.B) { benchSendEach(b, o.Options) })
	}
}

// BenchmarkSendLatency measures how much of in-flight ÷ latency is reached when every answer takes 50 ms.
func BenchmarkSendLatency(b *testing.B) {
	const inFlight, latency = 500, 50 * time.Millisecond
	s := setup(b, fcmtest.Options{TLS: true}, func(c *push.Config) { c.InFlight = inFlight })
	s.fake.ScriptAll(fcmtest.Accept().After(latency))
	s.sender.Send(b.Context(), alert(), targets(inFlight)) // connections
	list := targets(b.N)
	b.ResetTimer()
	s.sender.Send(b.Context(), alert(), list)
	ideal := float64(inFlight) / latency.Seconds()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/ideal, "of-ideal")
}

func benchSender(b *testing.B, o fcmtest.Options) {
	b.Helper()
	s := setup(b, o, func(c *push.Config) { c.InFlight = benchInFlight })
	list := targets(b.N)
	s.sender.Send(b.Context(), alert(), targets(benchInFlight))
	measure(b, func() {
		for _, r := range s.sender.Send(b.Context(), alert(), list) {
			if r.Outcome != push.Accepted {
				b.Fatal(r.Err)
			}
		}
	})
	b.ReportMetric(float64(s.fake.Connections()), "conns")
}

func benchRaw(b *testing.B, o fcmtest.Options) {
	b.Helper()
	s := setup(b, o, nil)
	client := tuned(s.fake)
	m, err := push.Render(alert(), one("TOKEN")[0], time.Now())
	if err != nil {
		b.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"message": m})
	if err != nil {
		b.Fatal(err)
	}
	url := s.fake.URL + "/v1/projects/" + s.fake.Project + "/messages:send"
	list := targets(b.N)
	measure(b, func() {
		parallel(b, len(list), func(i int) error {
			return post(b.Context(), client, url, bytes.Replace(body, []byte("TOKEN"), []byte(list[i].Token), 1))
		})
	})
}

func benchSendEach(b *testing.B, o fcmtest.Options) {
	b.Helper()
	s := setup(b, o, nil)
	app, err := firebase.NewApp(b.Context(), &firebase.Config{ProjectID: s.fake.Project},
		option.WithHTTPClient(tuned(s.fake)), option.WithEndpoint(s.fake.URL+"/v1"))
	if err != nil {
		b.Fatal(err)
	}
	client, err := app.Messaging(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	list := make([]*messaging.Message, b.N)
	for i, t := range targets(b.N) {
		if list[i], err = push.Render(alert(), t, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	measure(b, func() {
		for rest := list; len(rest) > 0; {
			n := min(len(rest), 500)
			res, err := client.SendEach(b.Context(), rest[:n])
			if err != nil || res.FailureCount > 0 {
				b.Fatal(err, res)
			}
			rest = rest[n:]
		}
	})
}

// measure times fn and reports messages a second and CPU a message, the fake's included.
func measure(b *testing.B, fn func()) {
	b.Helper()
	b.ReportAllocs()
	before := cpu(b)
	b.ResetTimer()
	fn()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tuned is a client with connections that fit the protocol, as the sender's do.
func tuned(fake *fcmtest.Server) *http.Client {
	conns := benchInFlight
	if fake.RootCAs() != nil {
		conns = 3
	}
	return &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: benchInFlight, MaxConnsPerHost: conns, DisableCompression: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: fake.RootCAs(), MinVersion: tls.VersionTLS12},
	}}
}

func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Name string `json:"name"`
	}
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(all, &answer); err != nil || answer.Name == "" {
		return fmt.Errorf("answer %q: %w", all, err)
	}
	return nil
}

func parallel(b *testing.B, n int, do func(int) error) {
	b.Helper()
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range benchInFlight {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := do(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
