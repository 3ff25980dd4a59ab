// Command http makes one request over HTTP/2 with TLS, by the standard library.
package main

import (
	"fmt"
	"net/http"
)

func main() {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	request, err := http.NewRequest(http.MethodPost, "https://localhost:1", http.NoBody)
	if err != nil {
		panic(err)
	}
	fmt.Println((&http.Transport{Protocols: protocols}).RoundTrip(request))
}
