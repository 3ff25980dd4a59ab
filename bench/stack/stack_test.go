package stack

import (
	"net"
	"strconv"
	"testing"
)

// A free address is given once, can be listened at, and is given to no connection.
func TestFreeAddress(t *testing.T) {
	connections := firstConnectionPort()
	if connections < firstPort+portTries {
		t.Skipf("this machine gives ports from %d on to connections, which leaves none", connections)
	}
	given := map[string]bool{}
	for range 500 { // of 10,000: by chance some would come twice
		address, err := FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		if given[address] {
			t.Fatalf("%s is given twice", address)
		}
		given[address] = true
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := strconv.Atoi(port); err != nil || n < firstPort || n >= connections {
			t.Fatalf("port %s, want one from %d to %d: others may be a connection's", port, firstPort, connections-1)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}
