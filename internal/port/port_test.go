package port

import (
	"fmt"
	"net"
	"testing"
)

// A free port is given once, can be listened at, and is given to no connection.
func TestFree(t *testing.T) {
	connections := firstOfConnections()
	if connections < first+tries {
		t.Skipf("this machine gives ports from %d on to connections, which leaves none", connections)
	}
	given := map[int]bool{}
	for range 500 { // of some 20,000: by chance some would come twice
		port, err := Free()
		if err != nil {
			t.Fatal(err)
		}
		if given[port] {
			t.Fatalf("%d is given twice", port)
		}
		given[port] = true
		if port < first || port >= connections {
			t.Fatalf("port %d, want one from %d to %d: others may be a connection's", port, first, connections-1)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}
