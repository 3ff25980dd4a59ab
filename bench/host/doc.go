// Package host measures what a host application pays for embedding the client:
// octets on its disk, octets on the wire, time on its threads, time at its end.
//
//	go test ./bench/host -v -run 'Size|Wire'
//	go test ./bench/host -run '^$' -bench . -benchmem
package host
