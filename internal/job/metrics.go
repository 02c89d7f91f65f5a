package job

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	running *prometheus.GaugeVec
	runs    *prometheus.CounterVec
	took    *prometheus.HistogramVec
	waited  *prometheus.HistogramVec
}

// newMetrics registers the metrics; kinds are few, and named by the program alone.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	buckets := prometheus.ExponentialBuckets(0.1, 4, 9) // 0.1 s … 1.8 h
	m := &metrics{
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "haisu_jobs_running", Help: "Background jobs that this process runs now.",
		}, []string{"kind"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "haisu_job_runs_total", Help: "Runs of background jobs by what the job became: success, failed, cancelled, queued (put back), lost.",
		}, []string{"kind", "state"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "haisu_job_run_seconds", Help: "How long runs of background jobs took.", Buckets: buckets,
		}, []string{"kind"}),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "haisu_job_wait_seconds", Help: "How long background jobs were due before a run began.", Buckets: buckets,
		}, []string{"kind"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.running, m.runs, m.took, m.waited} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) began(j *Job, now time.Time) {
	m.running.WithLabelValues(j.Kind).Inc()
	m.waited.WithLabelValues(j.Kind).Observe(now.Sub(j.Due).Seconds())
}

func (m *metrics) ended(j *Job, s State, took time.Duration) {
	if s == "" {
		s = "lost"
	}
	m.running.WithLabelValues(j.Kind).Dec()
	m.runs.WithLabelValues(j.Kind, string(s)).Inc()
	m.took.WithLabelValues(j.Kind).Observe(took.Seconds())
}
