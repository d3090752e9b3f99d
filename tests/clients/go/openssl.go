package main

// #cgo LDFLAGS: -lssl -lcrypto
// #include <stdlib.h>
// #include <openssl/bio.h>
// #include <openssl/err.h>
// #include <openssl/ssl.h>
//
// static int set_host(SSL *ssl, char *name) {
//     return SSL_set_tlsext_host_name(ssl, name) && SSL_set1_host(ssl, name);
// }
import "C"

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"unsafe"
)

// scheme is of what net/http is to believe that it speaks.
const scheme = "http"

// newTransport makes one that speaks HTTP/2, because it is told to: it doesn't know of the TLS.
func newTransport() *http.Transport {
	tls := newTLSContext(os.Getenv("SSL_CERT_FILE"))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: &protocols, DialContext: tls.dial}
}

// tlsContext is what the connections of a client share.
type tlsContext struct{ raw *C.SSL_CTX }

// tlsConn is a connection whose TLS is OpenSSL's. OpenSSL sees memory only, and what is on the wire
// goes through Go's own connection, so that nothing blocks while the lock is held.
type tlsConn struct {
	net.Conn
	ssl      *C.SSL
	in, out  *C.BIO
	lock     sync.Mutex
	received [16 << 10]byte
}

func newTLSContext(authority string) *tlsContext {
	raw := C.SSL_CTX_new(C.TLS_client_method())
	file := C.CString(authority)
	defer C.free(unsafe.Pointer(file))
	if C.SSL_CTX_load_verify_file(raw, file) != 1 {
		panic("no authority in " + authority)
	}
	C.SSL_CTX_set_verify(raw, C.SSL_VERIFY_PEER, nil)
	return &tlsContext{raw}
}

func (c *tlsContext) dial(ctx context.Context, network, address string) (net.Conn, error) {
	plain, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	conn := &tlsConn{Conn: plain, ssl: C.SSL_new(c.raw)}
	conn.in, conn.out = C.BIO_new(C.BIO_s_mem()), C.BIO_new(C.BIO_s_mem())
	C.SSL_set_bio(conn.ssl, conn.in, conn.out)
	name := C.CString(host)
	defer C.free(unsafe.Pointer(name))
	C.set_host(conn.ssl, name)
	// The names of HTTP/2 and how long they are, as ALPN has them.
	protocols := []byte("\x02h2")
	C.SSL_set_alpn_protos(conn.ssl, (*C.uchar)(&protocols[0]), C.uint(len(protocols)))
	_, err = conn.do(func() C.int { return C.SSL_connect(conn.ssl) })
	return conn, err
}

// do repeats operation until OpenSSL has received enough for it.
func (c *tlsConn) do(operation func() C.int) (int, error) {
	for {
		c.lock.Lock()
		C.ERR_clear_error()
		result := operation()
		reason := C.SSL_get_error(c.ssl, result)
		err := c.flush()
		c.lock.Unlock()
		switch {
		case err != nil:
			return 0, err
		case result > 0:
			return int(result), nil
		case reason == C.SSL_ERROR_ZERO_RETURN:
			return 0, io.EOF
		case reason != C.SSL_ERROR_WANT_READ:
			return 0, errors.New("OpenSSL failed")
		}
		n, err := c.Conn.Read(c.received[:])
		if n > 0 {
			c.lock.Lock()
			C.BIO_write(c.in, unsafe.Pointer(&c.received[0]), C.int(n))
			c.lock.Unlock()
		} else if err != nil {
			return 0, err
		}
	}
}

// flush sends what OpenSSL wants sent.
func (c *tlsConn) flush() error {
	var buffer [16 << 10]byte
	for {
		n := C.BIO_read(c.out, unsafe.Pointer(&buffer[0]), C.int(len(buffer)))
		if n <= 0 {
			return nil
		}
		if _, err := c.Conn.Write(buffer[:n]); err != nil {
			return err
		}
	}
}

func (c *tlsConn) Read(into []byte) (int, error) {
	return c.do(func() C.int {
		return C.SSL_read(c.ssl, unsafe.Pointer(&into[0]), C.int(len(into)))
	})
}

func (c *tlsConn) Write(from []byte) (int, error) {
	if len(from) == 0 {
		return 0, nil
	}
	return c.do(func() C.int {
		return C.SSL_write(c.ssl, unsafe.Pointer(&from[0]), C.int(len(from)))
	})
}

// Close ends the connection. The reader notices, and then nobody uses OpenSSL's part any more: it is
// left to the end of the process.
func (c *tlsConn) Close() error {
	c.lock.Lock()
	defer c.lock.Unlock()
	C.SSL_shutdown(c.ssl)
	return errors.Join(c.flush(), c.Conn.Close())
}
