package sink

import (
	"context"
	"sync"
	"time"
)

const (
	// probeTime: a database that takes longer to say whether it would take rows is
	// as good as away.
	probeTime = 2 * time.Second
	// probeEvery bounds what asking costs, three empty inserts, however many ask.
	probeEvery = 250 * time.Millisecond
)

// Probe asks whether ClickHouse would take rows now: as the sink's user it begins an
// insert into each table and sends none. That takes the password, the grants, the
// tables with their columns, and a database that is not read-only and keeps up with
// its merges. Whether its disk has room only an insert with rows can tell.
type Probe struct {
	mu    sync.Mutex // held while somebody asks; whoever waits gets that answer
	conn  connection // guarded by mu, as is all below
	empty *block
	asked time.Time
	err   error
}

// NewProbe returns a probe of a database, which may be away.
func NewProbe(database Database) *Probe {
	return &Probe{conn: connection{database: database}, empty: newBlock()}
}

// Ready returns nil where rows would be taken. An answer holds for a moment.
func (p *Probe) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.asked) < probeEvery {
		return p.err
	}
	// Not with a caller's context: the answer is for others too.
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	for range 2 { // the first connection may be of a database that was restarted since
		if p.err = p.ask(ctx); p.err == nil {
			break
		}
		p.conn.close() // its state is unknown
	}
	p.asked = time.Now()
	return p.err
}

func (p *Probe) ask(ctx context.Context) error {
	if err := p.conn.connect(ctx); err != nil {
		return err
	}
	for _, t := range p.empty.tables() {
		if err := p.conn.rehearse(ctx, t.name, t.input); err != nil {
			return err
		}
	}
	return nil
}

// Close ends its connection.
func (p *Probe) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conn.close()
}
