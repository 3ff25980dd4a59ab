package sink

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// Database is where and as whom to store.
type Database struct {
	Address     string // host:port of the native protocol
	User        string
	Password    string
	TLS         *tls.Config   // nil: in clear
	DialTimeout time.Duration // for TCP and TLS, and again for the greeting; 0: the two below
}

const (
	dialTimeout      = 2 * time.Second
	handshakeTimeout = 5 * time.Second  // a hung server holds a client for minutes otherwise
	readTimeout      = 15 * time.Second // silence of a server that is inserting
)

// connection is one inserter's connection, made when it is needed and again
// after an error.
type connection struct {
	database Database
	client   *ch.Client // nil when there is none
}

// insert stores a block, each table's insert marked by the block's token so that a
// repetition is recognised.
func (c *connection) insert(ctx context.Context, b *block) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	for _, t := range b.tables() {
		if err := c.insertTable(ctx, t.name, b.token, t.input); err != nil {
			c.close() // its state is unknown
			return err
		}
	}
	return nil
}

func (c *connection) connect(ctx context.Context) error {
	if c.client != nil && !c.client.IsClosed() {
		return nil
	}
	client, err := ch.Dial(ctx, ch.Options{
		Address: c.database.Address, User: c.database.User, Password: c.database.Password, Database: "raw",
		TLS: c.database.TLS, Compression: ch.CompressionLZ4,
		DialTimeout:      cmp.Or(c.database.DialTimeout, dialTimeout),
		HandshakeTimeout: cmp.Or(c.database.DialTimeout, handshakeTimeout), ReadTimeout: readTimeout,
	})
	if err != nil {
		return withoutText("(connect)", err)
	}
	c.client = client
	return nil
}

func (c *connection) insertTable(ctx context.Context, table, token string, input proto.Input) error {
	if input[0].Data.Rows() == 0 {
		return nil
	}
	return c.do(ctx, table, ch.Query{
		Body:     input.Into(table),
		Input:    input,
		Settings: []ch.Setting{synchronous, {Key: "insert_deduplication_token", Value: token, Important: true}},
	})
}

// synchronous: an asynchronous insert is acknowledged before it is stored.
var synchronous = ch.Setting{Key: "async_insert", Value: "0", Important: true}

// rehearse begins an insert as insertTable does and ends it without a row: whatever
// ClickHouse checks before it takes rows is checked, and nothing is stored.
func (c *connection) rehearse(ctx context.Context, table string, input proto.Input) error {
	return c.do(ctx, table, ch.Query{
		Body:     input.Into(table),
		Input:    input,
		OnInput:  func(context.Context) error { return io.EOF },
		Settings: []ch.Setting{synchronous},
	})
}

func (c *connection) do(ctx context.Context, table string, query ch.Query) error {
	if err := c.client.Do(ctx, query); err != nil {
		return withoutText(table, err)
	}
	return nil
}

func (c *connection) close() {
	if c.client != nil {
		_ = c.client.Close() // whatever it says, it is not used again
		c.client = nil
	}
}
