// Package proto holds the protocol: what a slicer may report (telemetry/v1),
// the rule that every field of it carries (privacy/v1), and the service that
// takes it (collector/v1).
//
// The messages know nothing of gRPC, so that code which only builds or encodes
// them stays light; the stubs are a package of their own, collectorgrpc. Generated code is committed and
// `make check-generated` compares it.
package proto

//go:generate sh -c "PATH=$PWD/../.tools/node_modules/.bin:$PATH exec buf generate"
