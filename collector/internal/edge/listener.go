package edge

import (
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
)

// Config says what is let in. Where a limit is 0 its default holds; where it is
// negative there is none.
type Config struct {
	MaxConns   int           // connections at once
	MaxNetwork int           // of them, from one /24 or /48
	AcceptRate float64       // connections a second, and at once after a quiet second
	Progress   time.Duration // how long a peer may send without earning an answer
	WriteStall time.Duration // how long one write may wait for the peer to read
	Life       time.Duration // after which a connection is closed in any case

	// Proxies are the networks whose connections begin with a PROXY header, version
	// 2, and whose word about the client's address counts. Nobody else's does.
	Proxies []netip.Prefix

	// Observe is told of each connection that was closed here. It must be quick.
	Observe func(Reason)

	tick time.Duration // of the sweep; tests make it long and sweep by hand
}

// Reason is why a connection was closed here. The set is closed.
type Reason string

// The reasons.
const (
	TooMany      Reason = "too_many"         // in all
	TooManyHere  Reason = "too_many_network" // from one network
	NotProxied   Reason = "proxy_header"     // a proxy's connection without a good header
	ReadStalled  Reason = "read_stalled"     // the peer sends and does not get on
	WriteStalled Reason = "write_stalled"    // the peer does not read
	TooOld       Reason = "too_old"
	Crumbled     Reason = "crumbled" // the peer sends a body in frames of next to nothing

	HandshakeFailed Reason = "handshake"
)

// Reasons are all there are.
var Reasons = []Reason{TooMany, TooManyHere, NotProxied, ReadStalled, WriteStalled, TooOld, Crumbled, HandshakeFailed}

const (
	// defaultConns: 50,000 keep 24 KiB each, 1.2 GiB, and have come to 40 KiB each with
	// their garbage, 2 GiB: all that a collector should ever need for connections.
	// Fewer where the process may not open that many.
	defaultConns = 50_000
	// reservedFiles stay free for the database, the admin listener and the keys.
	reservedFiles = 256
	// defaultNetwork: a school or a provider's shared address has hundreds of
	// desktops, each connected for a second a day.
	defaultNetwork = 1000
	// defaultAcceptRate: a handshake costs about half a millisecond of CPU. The rest
	// waits in the kernel's queue, where it costs little.
	defaultAcceptRate = 1000
	// defaultProgress is more than a client's deadline (15 s): whoever is still
	// sending the same request then has given it up.
	defaultProgress = 20 * time.Second
	// defaultWriteStall: replies are some dozen octets, so that a write that waits
	// waits for a peer that will not read.
	defaultWriteStall = 10 * time.Second
	// defaultLife is more than gRPC's own limit (60 s, a tenth of jitter, 10 s of grace).
	defaultLife = 90 * time.Second
	defaultTick = time.Second
)

func (c *Config) setDefaults() {
	setDefault(&c.MaxConns, min(defaultConns, openFiles()-reservedFiles))
	setDefault(&c.MaxNetwork, defaultNetwork)
	setDefault(&c.AcceptRate, defaultAcceptRate)
	setDefault(&c.Progress, defaultProgress)
	setDefault(&c.WriteStall, defaultWriteStall)
	setDefault(&c.Life, defaultLife)
	setDefault(&c.tick, defaultTick)
	if c.Observe == nil {
		c.Observe = func(Reason) {}
	}
}

func setDefault[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}

// openFiles is how many files this process may have open.
func openFiles() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return reservedFiles + 1024
	}
	return int(min(limit.Cur, 1<<30))
}

// Listener is a net.Listener that lets in what its Config allows.
type Listener struct {
	inner net.Listener
	cfg   Config
	seed  maphash.Seed
	pace  pace
	now   atomic.Uint32 // ticks since the start, from 1 on: 0 means never
	done  chan struct{} // closed by Close
	close sync.Once
	sweep sync.WaitGroup

	mu       sync.Mutex
	conns    map[*conn]struct{} // guarded by mu, as is all below
	networks map[uint64]int     // connections of each network, by its number
}

// Listen returns a listener that takes the inner one's connections. The caller
// closes it, which closes the inner one and leaves open what it accepted.
func Listen(inner net.Listener, cfg Config) *Listener {
	cfg.setDefaults()
	l := &Listener{
		inner: inner, cfg: cfg, seed: maphash.MakeSeed(), pace: newPace(cfg.AcceptRate), done: make(chan struct{}),
		conns: map[*conn]struct{}{}, networks: map[uint64]int{},
	}
	l.now.Store(1)
	l.sweep.Go(l.sweepAll)
	return l
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// Close implements net.Listener.
func (l *Listener) Close() error {
	err := net.ErrClosed
	l.close.Do(func() {
		err = l.inner.Close()
		close(l.done)
		l.sweep.Wait()
	})
	return err
}

// Open returns how many connections there are.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// Accept implements net.Listener. It returns the next connection that is let in.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.inner.Accept()
		if err != nil {
			return nil, err // gRPC waits a moment where it is the lack of files
		}
		c := &conn{Conn: inner, listener: l, born: l.now.Load()}
		c.since.Store(c.born)
		if l.isProxy(inner.RemoteAddr()) {
			c.proxied = &proxied{}
		}
		if reason := l.admit(c); reason != "" {
			l.cfg.Observe(reason)
			inner.Close()
			continue
		}
		// After that, or who is turned away would take everybody's tokens.
		if !l.pace.wait(l.done) {
			c.Close()
			return nil, net.ErrClosed
		}
		return c, nil
	}
}

// admit counts a connection in, or says why not.
func (l *Listener) admit(c *conn) Reason {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cfg.MaxConns > 0 && len(l.conns) >= l.cfg.MaxConns {
		return TooMany
	}
	if c.proxied == nil && !l.countNetwork(c, c.Conn.RemoteAddr()) {
		return TooManyHere
	}
	l.conns[c] = struct{}{}
	return ""
}

// countNetwork books a connection on its network's account, and reports false
// where that is full. The caller holds mu.
func (l *Listener) countNetwork(c *conn, address net.Addr) bool {
	network := maphash.Comparable(l.seed, PrefixOf(address).Fine())
	if l.cfg.MaxNetwork > 0 && l.networks[network] >= l.cfg.MaxNetwork {
		return false
	}
	l.networks[network]++
	c.network, c.counted = network, true
	return true
}

// forget undoes admit.
func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if !c.counted {
		return
	}
	if l.networks[c.network]--; l.networks[c.network] == 0 {
		delete(l.networks, c.network)
	}
}

// sweepAll closes, every tick, what has stalled or is too old.
func (l *Listener) sweepAll() {
	tick := time.NewTicker(l.cfg.tick)
	defer tick.Stop()
	for {
		select {
		case <-l.done:
			return
		case <-tick.C:
			l.sweepOnce()
		}
	}
}

func (l *Listener) sweepOnce() {
	now := l.now.Add(1)
	var stalled []*conn
	l.mu.Lock()
	for c := range l.conns {
		if c.reason = c.verdict(now); c.reason != "" {
			stalled = append(stalled, c)
		}
	}
	l.mu.Unlock()
	for _, c := range stalled {
		l.cfg.Observe(c.reason)
		c.abort()
	}
}

// ticks is how many ticks a time takes, none where there is no limit.
func (l *Listener) ticks(d time.Duration) (n uint32, limited bool) {
	if d < 0 {
		return 0, false
	}
	return uint32((d + defaultTick - 1) / defaultTick), true
}

// PrefixOf is what may be known of a peer's address: a network.
func PrefixOf(address net.Addr) scrub.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return scrub.Prefix{}
	}
	addr, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return scrub.Prefix{}
	}
	return scrub.PrefixOf(addr)
}
