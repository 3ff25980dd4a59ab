package stack

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Usage is what a process has used since it started.
type Usage struct {
	CPUSeconds float64
	PeakRSS    int64 // octets
}

// clockTick is the unit of /proc/PID/stat: USER_HZ, 100 on every Linux that Go
// runs on (proc(5)).
const clockTick = 100

// UsageOf reads a process's use of CPU and memory from /proc, so only on Linux.
func UsageOf(pid int) (Usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	// The second field is the program's name in brackets and may hold spaces;
	// user and system time are the 14th and 15th (proc(5)).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return Usage{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var ticks float64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return Usage{}, err
		}
		ticks += n
	}
	peak, err := peakRSS(pid)
	return Usage{CPUSeconds: ticks / clockTick, PeakRSS: peak}, err
}

func peakRSS(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if text, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", pid)
}
