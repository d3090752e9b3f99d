//go:build !cgo

package main

import "net/http"

const scheme = "https"

// newTransport makes one whose TLS is Go's, with the authority of SSL_CERT_FILE.
func newTransport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(!*http2)
	protocols.SetHTTP2(*http2)
	return &http.Transport{Protocols: &protocols, MaxIdleConnsPerHost: *concurrency}
}
