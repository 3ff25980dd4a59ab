//go:build race

package client_test

// raceDetector says that everything takes ten times as long.
const raceDetector = true
