package collector

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/slicemetry/slicemetry/collector/internal/edge"
	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
	"github.com/slicemetry/slicemetry/schema/rules"
)

// metrics are what a collector exports. Labels come from closed sets, and all
// their series exist from the start, so that no client can add one.
//
// The events balance, exactly, whenever no call is under way:
//
//	received = stored + rejected + shed + failed
type metrics struct {
	registry          *prometheus.Registry
	received          prometheus.Counter
	stored            prometheus.Counter
	rejected          *prometheus.CounterVec // by reason
	shed              prometheus.Counter
	failed            prometheus.Counter
	corrected         *prometheus.CounterVec // by field and action
	erasures          *prometheus.CounterVec // by outcome
	panics            prometheus.Counter
	callsRefused      *prometheus.CounterVec // by reason
	connectionsClosed *prometheus.CounterVec // by reason
	inserts           *prometheus.CounterVec // by outcome
	attempts          prometheus.Counter
	rows              prometheus.Histogram
	seconds           prometheus.Histogram
}

func newMetrics(pending, connections, calls, overdue func() int) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "slicemetry", Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "slicemetry", Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry:          prometheus.NewRegistry(),
		received:          counter("events_received_total", "Events in batches that arrived."),
		stored:            counter("events_stored_total", "Events that were committed."),
		rejected:          vec("events_rejected_total", "Events in batches that will never be taken.", "reason"),
		shed:              counter("events_shed_total", "Events that were sent away for now, before they were accepted."),
		failed:            counter("events_failed_total", "Events that could not be stored though nothing is wrong with them; clients keep them."),
		corrected:         vec("corrected_total", "Values that a client should have made coarse itself.", "field", "action"),
		erasures:          vec("erasures_total", "Requests to erase an installation's week.", "outcome"),
		panics:            counter("panics_total", "Calls that ended in a panic."),
		callsRefused:      vec("calls_refused_total", "Calls that were refused, most of them before their events could be counted.", "reason"),
		connectionsClosed: vec("connections_closed_total", "Public connections that were refused, or closed because their peer did not get on.", "reason"),
		inserts:           vec("inserts_total", "Blocks by how they ended.", "outcome"),
		attempts:          counter("insert_attempts_total", "Attempts at inserting a block."),
		rows: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "slicemetry", Name: "insert_events",
			Help: "Events in a block.", Buckets: prometheus.ExponentialBuckets(1, 4, 10)}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "slicemetry", Name: "insert_seconds",
			Help: "From a block's first batch to its end.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 12)}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "slicemetry", Name: "rows_pending",
		Help: "Rows that wait or are being inserted."}, func() float64 { return float64(pending()) })
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "slicemetry", Name: "connections",
		Help: "Public connections that are open."}, func() float64 { return float64(connections()) })
	underway := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "slicemetry", Name: "calls",
		Help: "Calls under way, those included whose body has not come yet."}, func() float64 { return float64(calls()) })
	keys := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "slicemetry", Name: "keys_overdue",
		Help: "Keys that should have been destroyed and are there, or may be: a folder that cannot be read counts as one."}, func() float64 { return float64(overdue()) })
	m.registry.MustRegister(open, underway, keys, m.connectionsClosed, m.received, m.stored, m.rejected, m.shed, m.failed, m.corrected, m.erasures, m.panics, m.callsRefused, m.inserts,
		m.attempts, m.rows, m.seconds, waiting,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.makeSeries()
	return m
}

// makeSeries makes every series that there will ever be.
func (m *metrics) makeSeries() {
	for _, reason := range scrub.Reasons {
		m.rejected.WithLabelValues(string(reason))
	}
	for _, reason := range callRefusals() {
		m.callsRefused.WithLabelValues(reason)
	}
	for _, f := range rules.Fields() {
		for _, action := range []rules.Action{rules.Generalised, rules.Bucketed, rules.Clamped, rules.Dropped} {
			m.corrected.WithLabelValues(f.Path, string(action))
		}
	}
	for _, reason := range edge.Reasons {
		m.connectionsClosed.WithLabelValues(string(reason))
	}
	for _, outcome := range eraseOutcomes {
		m.erasures.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"committed", "failed"} {
		m.inserts.WithLabelValues(outcome)
	}
}

// observe books the end of a block.
func (m *metrics) observe(o sink.Outcome) {
	m.attempts.Add(float64(o.Attempts))
	m.rows.Observe(float64(o.Events))
	m.seconds.Observe(o.Seconds)
	if o.Err != nil {
		m.inserts.WithLabelValues("failed").Inc()
		m.failed.Add(float64(o.Events))
		return
	}
	m.inserts.WithLabelValues("committed").Inc()
	m.stored.Add(float64(o.Events))
}

// closedConnection books a connection that the listener refused or closed.
func (m *metrics) closedConnection(reason edge.Reason) {
	m.connectionsClosed.WithLabelValues(string(reason)).Inc()
}
