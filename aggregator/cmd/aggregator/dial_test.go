package main

import (
	"net"
	"testing"
	"time"
)

// A DSN that says how long a database may take to answer is heeded, as by a collector.
func TestDialTimeoutOfTheDSN(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	_, _, err = run("ledger", "-clickhouse", "clickhouse://a@"+silent.Addr().String()+"?dial_timeout=200ms")
	if took := time.Since(began); err == nil || took > dialTimeout/2 {
		t.Errorf("%v after %s, want a failure after 200 ms or little more", err, took)
	}
}
