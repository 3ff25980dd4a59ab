// Package floor is the least that a collector of this protocol can be: unary gRPC,
// the wire walked straight into column buffers, an insert when a block is due, OK
// after the commit. It checks nothing, limits nothing, makes nothing coarse and
// nobody pseudonymous. What the collector costs above it is what privacy costs.
//
// It is for measurements, with a database of its own, and never for users' data.
package floor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/types/known/emptypb"

	_ "github.com/slicemetry/slicemetry/internal/zstdcodec/grpczstd" // what clients compress with
	"github.com/slicemetry/slicemetry/proto/collector/v1/collectorgrpc"
)

// Database is where to insert.
type Database struct{ Address, User, Password string }

// The collector's own, so that both insert in the same way.
const (
	flushAge  = 200 * time.Millisecond
	spacing   = 3
	flushRows = 50_000
	inserters = 2
)

// Server gathers requests in a block and inserts it.
type Server struct {
	due   chan struct{} // to the inserters
	types map[string]proto.ColumnType
	empty sync.Pool

	mu   sync.Mutex
	open *block // guarded by mu, as is all below
	last time.Time
	age  time.Duration // after which the next insert is due
}

// New returns a server that runs until ctx ends.
func New(ctx context.Context, database Database) (*Server, error) {
	s := &Server{due: make(chan struct{}), age: flushAge, empty: sync.Pool{New: func() any { return new(block) }}}
	for range inserters {
		client, err := ch.Dial(ctx, ch.Options{Address: database.Address, User: database.User, Password: database.Password,
			Database: "raw", Compression: ch.CompressionLZ4})
		if err != nil {
			return nil, fmt.Errorf("floor: %w", err)
		}
		if s.types, err = choices(ctx, client); err != nil {
			return nil, fmt.Errorf("floor: %w", err)
		}
		go s.insertBlocks(ctx, client)
	}
	go s.flush(ctx)
	return s, nil
}

// choices asks for the types of the columns that are choices.
func choices(ctx context.Context, client *ch.Client) (map[string]proto.ColumnType, error) {
	types := map[string]proto.ColumnType{}
	var names, texts proto.ColStr
	err := client.Do(ctx, ch.Query{
		Body:   "SELECT name, type FROM system.columns WHERE database = 'raw' AND table = 'slices' AND type LIKE 'Enum8%'",
		Result: proto.Results{{Name: "name", Data: &names}, {Name: "type", Data: &texts}},
		OnResult: func(context.Context, proto.Block) error {
			for i := range names.Rows() {
				types[names.Row(i)] = proto.ColumnType(texts.Row(i))
			}
			return nil
		},
	})
	return types, err
}

// GRPC returns a gRPC server that serves Upload.
func (s *Server) GRPC(options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(options, grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(grpcproto.Name)}))...)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: collectorgrpc.Collector_ServiceDesc.ServiceName,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Upload", Handler: s.upload}},
	}, s)
	return server
}

// raw is a request that was not decoded.
type raw struct{ message mem.Buffer }

type codec struct{ encoding.CodecV2 }

// Unmarshal implements encoding.CodecV2.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	v.(*raw).message = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}

func (s *Server) upload(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	_ = grpc.SetSendCompressor(ctx, "identity")
	var r raw
	if err := decode(&r); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.open == nil {
		s.open = s.empty.Get().(*block)
		s.open.reset(s.types)
	}
	done := s.open.done // the block may be another's by the time that it is committed
	err := s.open.columns.addRequest(r.message.ReadOnlyData())
	s.mu.Unlock()
	r.message.Free()
	if err != nil {
		return nil, err
	}
	<-done.c
	return &emptypb.Empty{}, done.err
}

// flush hands the open block on when it is due.
func (s *Server) flush(ctx context.Context) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			close(s.due)
			return
		case <-tick.C:
		}
		s.mu.Lock()
		b := s.open
		if b == nil || b.columns.rows() < flushRows && time.Since(s.last) < s.age {
			s.mu.Unlock()
			continue
		}
		s.mu.Unlock()
		s.due <- struct{}{} // an inserter is free: until now the block grew
	}
}

func (s *Server) take() *block {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.open
	s.open, s.last = nil, time.Now()
	return b
}

func (s *Server) insertBlocks(ctx context.Context, client *ch.Client) {
	defer client.Close()
	for range s.due {
		b := s.take()
		if b == nil {
			continue // the other inserter has it
		}
		input := b.columns.input(s.types)
		done, began := b.done, time.Now()
		done.err = client.Do(ctx, ch.Query{Body: input.Into("slices"), Input: input, Settings: []ch.Setting{{Key: "async_insert", Value: "0", Important: true}}})
		s.mu.Lock()
		s.age = min(flushAge, spacing*time.Since(began))
		s.mu.Unlock()
		s.empty.Put(b)
		close(done.c)
	}
}

// block is what one insert takes.
type block struct {
	done    *outcome
	columns columns
}

// outcome outlives its block, which is filled again.
type outcome struct {
	c   chan struct{}
	err error // set before c is closed
}

func (b *block) reset(types map[string]proto.ColumnType) {
	b.done = &outcome{c: make(chan struct{})}
	b.columns.reset(types)
}
