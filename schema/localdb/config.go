package localdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// Administrator is the user that every server has: it may do everything.
const Administrator = "administrator"

// User is a database user and what it may do: "SELECT ON published.*".
type User struct {
	Name    string
	Grants  []string
	Filters []Filter // of the rows that it sees
}

// Filter leaves a user only the rows of a table that meet a condition.
type Filter struct {
	Database, Table, Condition string
}

// Config says where a server lives and who may use it.
type Config struct {
	Dir      string // data, passwords and log; created with mode 0700
	Users    []User // besides the administrator
	TCPPort  int    // native protocol; 0: a free port, the same after a restart
	HTTPPort int    // likewise
	Engine   string // path of libchdb or of a clickhouse binary; "": look for one

	// MaxMemoryBytes bounds the server's memory; 0: 4 GiB, which leaves room for
	// several servers beside each other on a developer's machine.
	MaxMemoryBytes int64
}

const defaultMaxMemory = 4 << 30

// The errors that Start tells apart.
var (
	ErrNoEngine  = errors.New("no ClickHouse engine")
	ErrDirInUse  = errors.New("another server uses the directory")
	ErrPortTaken = errors.New("the port is taken")
	ErrDied      = errors.New("the engine ended")
)

// A user's name becomes an XML element.
var userName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

func (c *Config) validate() error {
	var problems []error
	if c.Dir == "" {
		problems = append(problems, errors.New("no directory given"))
	}
	for _, u := range c.Users {
		if !userName.MatchString(u.Name) || u.Name == Administrator || u.Name == holder {
			problems = append(problems, fmt.Errorf("%q cannot be a user's name", u.Name))
		}
	}
	for _, port := range []int{c.TCPPort, c.HTTPPort} {
		if port < 0 || port > 65535 {
			problems = append(problems, fmt.Errorf("%d is not a port", port))
		}
	}
	if c.MaxMemoryBytes == 0 {
		c.MaxMemoryBytes = defaultMaxMemory
	}
	return errors.Join(problems...)
}

// prepareDir makes the directory and returns its absolute path.
func prepareDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return "", err
	}
	return dir, nil
}
