package collector

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slicemetry/slicemetry/collector/internal/pseudonym"
	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
)

// errLimited says that a network sends too much.
var errLimited = errors.New("too many batches from one network")

// answer is what a client is told. The texts are constants: nothing that a client
// sent, and nothing of the database's, is ever in one.
type answer struct {
	code  codes.Code
	text  string
	retry bool // with RetryInfo
}

// answers maps every outcome to its answer. The first that errors.Is matches
// counts; what matches none is internal.
var answers = []struct {
	err error
	answer
}{
	{scrub.Malformed, answer{codes.InvalidArgument, "the batch is malformed", false}},
	{scrub.Empty, answer{codes.InvalidArgument, "the batch is empty", false}},
	{scrub.TooManySlices, answer{codes.InvalidArgument, "the batch holds too many slices", false}},
	{scrub.BadPeriod, answer{codes.InvalidArgument, "the period is not a week", false}},
	{scrub.PeriodClosed, answer{codes.FailedPrecondition, "the period is closed", false}},
	{scrub.PeriodFuture, answer{codes.FailedPrecondition, "the period has not begun", false}},
	{scrub.PolicyUnknown, answer{codes.FailedPrecondition, "the policy is not in force here", false}},
	{errLimited, answer{codes.ResourceExhausted, "too many batches from this network", true}},
	{sink.ErrOverloaded, answer{codes.ResourceExhausted, "the collector is overloaded", true}},
	{sink.ErrUnavailable, answer{codes.Unavailable, "the batch could not be stored now", true}},
	{pseudonym.ErrNoKey, answer{codes.Unavailable, "the collector has no key for that week now", true}},
	{sink.ErrClosed, answer{codes.Unavailable, "the collector is shutting down", true}},
	{context.Canceled, answer{codes.Canceled, "the call was cancelled", false}},
	{context.DeadlineExceeded, answer{codes.DeadlineExceeded, "the call's deadline passed", false}},
}

var internal = answer{codes.Internal, "the batch could not be processed", false}

// answerTo finds the answer to an outcome.
func answerTo(err error) answer {
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a.answer
		}
	}
	return internal
}

// statusOf turns an outcome into a gRPC status. Where the client may try again,
// it is told when: between half and one and a half times the mean, so that all
// who were sent away together do not come back together.
func statusOf(err error, mean time.Duration) error {
	a := answerTo(err)
	s := status.New(a.code, a.text)
	if a.retry {
		after := time.Duration((0.5 + rand.Float64()) * float64(mean))
		if detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)}); err == nil {
			s = detailed
		}
	}
	return s.Err()
}
