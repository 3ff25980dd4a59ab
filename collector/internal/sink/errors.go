package sink

import (
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
)

// DatabaseError is what ClickHouse answered, by number and name only: its text
// may quote a value of the rows, and errors are logged.
type DatabaseError struct {
	Table string
	Code  int
	Name  string
}

// Error implements error.
func (e *DatabaseError) Error() string {
	return fmt.Sprintf("insert into raw.%s: ClickHouse error %d (%s)", e.Table, e.Code, e.Name)
}

// withoutText replaces an answer of ClickHouse's by its number and name. Other
// errors are the network's and hold no row.
func withoutText(table string, err error) error {
	if e, ok := ch.AsException(err); ok {
		return &DatabaseError{Table: table, Code: int(e.Code), Name: e.Code.String()}
	}
	return fmt.Errorf("insert into raw.%s: %w", table, err)
}

// passing are the errors of ClickHouse's that pass by themselves, so that a block
// is tried again at once. Other errors wait for somebody to act: callers are told
// without delay. Rows are never at fault: in both cases the caller keeps them and
// sends them again.
var passing = []proto.Error{
	proto.ErrTimeoutExceeded,
	proto.ErrTooManySimultaneousQueries,
	proto.ErrSocketTimeout,
	proto.ErrNetworkError,
	proto.ErrNoZookeeper,
	proto.ErrAborted,
	proto.ErrMemoryLimitExceeded,
	proto.ErrTableIsReadOnly, // a replica that lost its coordinator
	proto.ErrNotEnoughSpace,
	proto.ErrUnexpectedZookeeperError,
	proto.ErrTooManyParts,
	proto.ErrAllConnectionTriesFailed,
	proto.ErrQueryWasCancelled,
	proto.ErrCannotScheduleTask,
	proto.ErrKeeperException,
}

// transient reports whether trying again soon may help.
func transient(err error) bool {
	var answer *DatabaseError
	if !errors.As(err, &answer) {
		return true
	}
	for _, code := range passing {
		if int(code) == answer.Code {
			return true
		}
	}
	return false
}

// Code returns ClickHouse's number for an error, 0 where it is not one of its own.
func Code(err error) int {
	var answer *DatabaseError
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}
