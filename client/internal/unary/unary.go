// Package unary makes gRPC's unary calls over the standard library's HTTP/2.
//
// A slicer makes a handful of calls a day. Those need none of what a gRPC
// client library is for: streams, balancing, retries, service configuration. They
// need gRPC's framing, its status and its details, which is this package.
package unary

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/slicemetry/slicemetry/internal/zstdcodec"
)

const (
	prefixBytes = 5 // of a message: whether it is compressed, and its length
	// maxHeaderBytes bounds what an answer's headers may take.
	maxHeaderBytes = 16 << 10
)

// UserAgent is the same for everybody: it names no version and no platform.
const UserAgent = "slicemetry"

// Dial opens a connection by way of sockets. What it returns may be closed at any
// time.
type Dial func(ctx context.Context, sockets *Sockets, network, address string) (net.Conn, error)

// Direct is the Dial that goes through nothing.
func Direct(ctx context.Context, sockets *Sockets, network, address string) (net.Conn, error) {
	return sockets.DialContext(ctx, network, address)
}

// Conn is one connection to a collector, made by the first call. Several calls
// may follow one another on it.
type Conn struct {
	transport *http.Transport
	sockets   *Sockets
	origin    string
}

// New prepares a connection to a host:port, by TLS unless secure is nil. Nothing
// of it outlives ctx: then its sockets are reset, whatever they wait for, and
// what was written and has not left yet never leaves.
//
// socks, unless nil, names a SOCKS proxy as http.Transport.Proxy does; dial gets the
// address of that then.
func New(ctx context.Context, endpoint string, secure *tls.Config, socks func(*http.Request) (*url.URL, error), dial Dial) *Conn {
	protocols, scheme := new(http.Protocols), "https"
	protocols.SetHTTP2(secure != nil)
	protocols.SetUnencryptedHTTP2(secure == nil)
	if secure == nil {
		scheme = "http"
	}
	sockets := &Sockets{ctx: ctx}
	context.AfterFunc(ctx, sockets.close)
	bound := func(waiting context.Context, network, address string) (net.Conn, error) {
		waiting, stop := context.WithCancel(waiting)
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		return dial(waiting, sockets, network, address)
	}
	return &Conn{origin: scheme + "://" + endpoint, sockets: sockets, transport: &http.Transport{
		Protocols: protocols, TLSClientConfig: secure, Proxy: socks, DialContext: bound,
		DisableCompression: true, MaxConnsPerHost: 1, MaxResponseHeaderBytes: maxHeaderBytes,
	}}
}

// Close ends the connection. When it returns after the end of ctx, nothing leaves
// any more.
func (c *Conn) Close() {
	if c.sockets.ctx.Err() == nil {
		c.transport.CloseIdleConnections() // which says goodbye
	}
	c.sockets.close()
	c.transport.CloseIdleConnections()
}

// Call sends an encoded request and decodes the answer into reply. Its errors
// are of type *Error.
func (c *Conn) Call(ctx context.Context, method string, request []byte, reply proto.Message) error {
	body, err := frame(request)
	if err != nil {
		return &Error{Code: codes.Internal, cause: err}
	}
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, c.origin+method, bytes.NewReader(body))
	if err != nil {
		return &Error{Code: codes.Internal, cause: err}
	}
	call.Header = http.Header{"Content-Type": {"application/grpc+proto"}, "Te": {"trailers"}, "User-Agent": {UserAgent},
		"Grpc-Encoding": {zstdcodec.Name}, "Grpc-Accept-Encoding": {zstdcodec.Name}}
	if deadline, set := ctx.Deadline(); set {
		call.Header.Set("Grpc-Timeout", strconv.Itoa(int(time.Until(deadline)/time.Second)+1)+"S")
	}
	response, err := c.transport.RoundTrip(call)
	if err != nil {
		return broken(ctx, err)
	}
	defer response.Body.Close()
	return answer(ctx, response, reply)
}

// frame puts gRPC's prefix before a message, compressed where that is shorter.
func frame(message []byte) ([]byte, error) {
	framed := append(make([]byte, 0, prefixBytes+len(message)), 1, 0, 0, 0, 0)
	framed = zstdcodec.AppendCompressed(framed, message)
	if len(framed) >= prefixBytes+len(message) {
		framed = append(append(framed[:0], 0, 0, 0, 0, 0), message...)
	}
	if len(message) > zstdcodec.MaxMessageBytes {
		return nil, zstdcodec.ErrTooLarge
	}
	binary.BigEndian.PutUint32(framed[1:], uint32(len(framed)-prefixBytes))
	return framed, nil
}

// answer reads what the other side says, which may be anything.
func answer(ctx context.Context, response *http.Response, reply proto.Message) error {
	if response.StatusCode != http.StatusOK {
		return &Error{Code: fromHTTP(response.StatusCode), Fault: NotGRPC}
	}
	if kind := response.Header.Get("Content-Type"); response.ProtoMajor != 2 ||
		kind != "application/grpc" && !strings.HasPrefix(kind, "application/grpc+") && !strings.HasPrefix(kind, "application/grpc;") {
		return &Error{Code: codes.Unknown, Fault: NotGRPC}
	}
	if response.Header.Get(statusHeader) != "" { // a status, and nothing else
		if err := status(response.Header); err != nil {
			return err
		}
		return &Error{Code: codes.Internal, Fault: NotGRPC} // neither a message nor an error
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, prefixBytes+zstdcodec.MaxMessageBytes+1))
	if err != nil {
		return broken(ctx, err)
	}
	if err := status(response.Trailer); err != nil {
		return err
	}
	if err := decode(body, response.Header.Get("Grpc-Encoding"), reply); err != nil {
		return &Error{Code: codes.Internal, Fault: NotGRPC, cause: err}
	}
	return nil
}

// decode reads the one message of a body.
func decode(body []byte, encoding string, reply proto.Message) error {
	if len(body) < prefixBytes || uint64(binary.BigEndian.Uint32(body[1:])) != uint64(len(body)-prefixBytes) {
		return errors.New("the answer is not one message")
	}
	message := body[prefixBytes:]
	switch {
	case body[0] == 1 && encoding == zstdcodec.Name:
		var err error
		if message, err = zstdcodec.Decompress(message); err != nil {
			return err
		}
	case body[0] != 0:
		return fmt.Errorf("the answer is compressed with %q", encoding)
	}
	return proto.Unmarshal(message, reply)
}
