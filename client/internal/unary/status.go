package unary

import (
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	statusHeader  = "Grpc-Status"
	detailsHeader = "Grpc-Status-Details-Bin"
)

// Error is a call that did not succeed. No words of the network's are in it: they
// end in a host's log, and nobody checked them.
type Error struct {
	Code       codes.Code
	RetryAfter time.Duration // from RetryInfo; 0: not said
	Fault      Fault         // on the way; "": a collector answered, or this side ended it
	cause      error         // for errors.Is
}

// Error implements error.
func (e *Error) Error() string {
	if e.Fault != "" {
		return e.Code.String() + ": " + string(e.Fault)
	}
	return e.Code.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Reason is what a call's error says: OK where there is none.
func Reason(err error) (code codes.Code, retryAfter time.Duration) {
	var e *Error
	switch {
	case err == nil:
		return codes.OK, 0
	case errors.As(err, &e):
		return e.Code, e.RetryAfter
	}
	return codes.Unknown, 0
}

// Class is why a call did not succeed, of a closed set: a Fault, or gRPC's name of
// what the collector answered.
func Class(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Fault != "" {
		return string(e.Fault)
	}
	code, _ := Reason(err)
	return code.String()
}

// status reads the status from a header or trailer: nil when it is OK.
func status(h http.Header) error {
	n, err := strconv.ParseUint(h.Get(statusHeader), 10, 32)
	if err != nil {
		return &Error{Code: codes.Internal, Fault: NotGRPC}
	}
	if n == uint64(codes.OK) {
		return nil
	}
	return &Error{Code: codes.Code(n), RetryAfter: retryAfter(h.Get(detailsHeader))}
}

// retryAfter finds how long to wait. Details that cannot be read say nothing.
func retryAfter(details string) time.Duration {
	octets, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(details, "="))
	if err != nil {
		return 0
	}
	for detail := range fields(octets, 3) { // google.rpc.Status: details, each a google.protobuf.Any
		if string(first(detail, 1)) == retryInfo { // type_url, value
			return retryDelay(first(detail, 2))
		}
	}
	return 0
}

// retryInfo names google.rpc.RetryInfo. The generated messages of it, of Status and
// of what those are made of would add 60 KB to a host.
const retryInfo = "type.googleapis.com/google.rpc.RetryInfo"

// retryDelay is its one field, number 1: a google.protobuf.Duration.
func retryDelay(message []byte) time.Duration {
	var d durationpb.Duration
	if proto.Unmarshal(first(message, 1), &d) != nil {
		return 0
	}
	return d.AsDuration()
}

// first returns the first of a message's fields of a number and of octets, nil where
// there is none.
func first(message []byte, number protowire.Number) []byte {
	for octets := range fields(message, number) {
		return octets
	}
	return nil
}

// fields returns a message's fields of a number and of octets, up to where it cannot
// be read.
func fields(message []byte, number protowire.Number) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(message) > 0 {
			got, kind, n := protowire.ConsumeTag(message)
			if n < 0 {
				return
			}
			length := protowire.ConsumeFieldValue(got, kind, message[n:])
			if length < 0 {
				return
			}
			octets, _ := protowire.ConsumeBytes(message[n : n+length])
			message = message[n+length:]
			if got == number && kind == protowire.BytesType && !yield(octets) {
				return
			}
		}
	}
}

// broken is what became of the connection.
func broken(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{Code: codes.Canceled, cause: err}
	case ctx.Err() != nil:
		return &Error{Code: codes.DeadlineExceeded, Fault: Timeout, cause: err}
	}
	return &Error{Code: codes.Unavailable, Fault: faultOf(err), cause: err}
}

// fromHTTP is the mapping of gRPC's documentation for answers without a status.
func fromHTTP(code int) codes.Code {
	switch code {
	case http.StatusBadRequest:
		return codes.Internal
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.Unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return codes.Unavailable
	}
	return codes.Unknown
}
