// Package client compares slicemetry's client with the Go libraries that a slicer
// would embed instead: OpenTelemetry logs, PostHog, Segment, Sentry, Snowplow. It is
// a module of its own, so that none of them is a dependency of the project's.
//
// `make bench-clients` runs it and prints the tables of bench/results/client.md.
package client
