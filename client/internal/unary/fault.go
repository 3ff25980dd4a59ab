package unary

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"syscall"
)

// Fault is what is wrong on the way to a collector. Who dials may say it with an
// error that wraps one.
type Fault string

// The faults. There are no others, so that none carries a text of the network's.
const (
	Name        Fault = "dns" // it cannot be looked up
	Refused     Fault = "refused"
	TLS         Fault = "tls" // another protocol, or a certificate that is not trusted
	Pin         Fault = "pin"
	Proxy       Fault = "proxy"
	Timeout     Fault = "timeout"
	NotGRPC     Fault = "not gRPC" // a captive portal's page, or half an answer
	Unreachable Fault = "unreachable"
)

// Error implements error.
func (f Fault) Error() string { return string(f) }

// winsockRefused is ECONNREFUSED as Windows has it, and nothing elsewhere.
const winsockRefused = syscall.Errno(10061)

// faultOf finds the fault in what dialling, or the connection, returned.
func faultOf(err error) Fault {
	var known Fault
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	var network net.Error
	var operation *net.OpError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &certificate), errors.As(err, &alert), errors.As(err, &record):
		return TLS
	// As net/http says it of a proxy that it connects to, and the proxy of itself.
	case errors.As(err, &operation) && (operation.Op == "proxyconnect" || strings.HasPrefix(operation.Op, "socks ")):
		return Proxy
	case errors.As(err, &lookup):
		return Name
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, winsockRefused):
		return Refused
	case errors.As(err, &network) && network.Timeout():
		return Timeout
	}
	return Unreachable
}
