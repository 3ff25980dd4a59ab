package collector

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/slicemetry/slicemetry/collector/internal/scrub"
	"github.com/slicemetry/slicemetry/collector/internal/sink"
)

// Clients decide by the code, and by whether they are told a time to come again, what
// they do with a batch: keep it, or drop it.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		err   error
		code  codes.Code
		again bool
	}{
		{scrub.Malformed, codes.InvalidArgument, false},
		{scrub.PeriodClosed, codes.FailedPrecondition, false},
		{errLimited, codes.ResourceExhausted, true},
		{sink.ErrOverloaded, codes.ResourceExhausted, true},
		{sink.ErrUnavailable, codes.Unavailable, true},
		{sink.ErrClosed, codes.Unavailable, true},
		{errors.New("anything else"), codes.Internal, false},
	} {
		s := status.Convert(statusOf(tt.err, time.Second))
		if s.Code() != tt.code || (len(s.Details()) == 1) != tt.again {
			t.Errorf("%v: %s, told when to come again: %t, want %s and %t", tt.err, s.Code(), len(s.Details()) == 1, tt.code, tt.again)
		}
	}
}

// All who are sent away together do not come back together.
func TestTimesToComeAgainAreSpread(t *testing.T) {
	const mean = time.Second
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		after := status.Convert(statusOf(sink.ErrUnavailable, mean)).Details()[0].(*errdetails.RetryInfo).RetryDelay.AsDuration()
		least, most = min(least, after), max(most, after)
	}
	if least < mean/2 || least > mean*6/10 || most > mean*3/2 || most < mean*14/10 {
		t.Errorf("a thousand clients are told to come between %s and %s, want about %s to %s", least, most, mean/2, mean*3/2)
	}
}
