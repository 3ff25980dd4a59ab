package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A panic that nobody catches says what it says, and no trace follows.
func TestNoTraces(t *testing.T) {
	if os.Getenv("COLLECTORD_TEST_CRASH") != "" {
		settle()
		go func() { panic("the reason") }()
		select {}
	}
	crash := exec.Command(os.Args[0], "-test.run=^TestNoTraces$")
	crash.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOTRACEBACK=") }), "COLLECTORD_TEST_CRASH=1")
	said, err := crash.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "panic: the reason") || strings.Contains(string(said), "goroutine") {
		t.Errorf("it ended with %v and said %s", err, said)
	}
}
