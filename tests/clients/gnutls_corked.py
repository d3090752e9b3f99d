"""Makes calls with GnuTLS itself, whose own ways no SDK uses: what is to be sent is given to a corked
session piece by piece and goes out when that is uncorked."""

import ctypes
import io
import json
import os
import socket
from http.client import HTTPResponse
from urllib.parse import urlsplit

from common import arguments, report

GNUTLS = ctypes.CDLL("libgnutls.so.30")
GNUTLS.gnutls_record_send.restype = ctypes.c_ssize_t
GNUTLS.gnutls_record_recv.restype = ctypes.c_ssize_t

# Of gnutls.h.
CLIENT, CERTIFICATE, NAME_DNS, PEM, WAIT, AGAIN = 2, 1, 1, 1, 1, -28


def check(result):
    """The result, unless it is an error."""
    if result < 0:
        raise OSError(f"GnuTLS says {result}")
    return result


class Session:
    """A session with the server."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port))
        self.credentials, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        check(GNUTLS.gnutls_certificate_allocate_credentials(ctypes.byref(self.credentials)))
        authority = os.environ["SSL_CERT_FILE"].encode()
        check(GNUTLS.gnutls_certificate_set_x509_trust_file(self.credentials, authority, PEM))
        check(GNUTLS.gnutls_init(ctypes.byref(self.session), CLIENT))
        check(GNUTLS.gnutls_set_default_priority(self.session))
        check(GNUTLS.gnutls_credentials_set(self.session, CERTIFICATE, self.credentials))
        name = host.encode()
        check(GNUTLS.gnutls_server_name_set(self.session, NAME_DNS, name, len(name)))
        GNUTLS.gnutls_session_set_verify_cert(self.session, name, 0)
        GNUTLS.gnutls_transport_set_int2(self.session, *[self.socket.fileno()] * 2)
        check(GNUTLS.gnutls_handshake(self.session))

    def send(self, pieces):
        GNUTLS.gnutls_record_cork(self.session)
        for piece in pieces:
            assert check(GNUTLS.gnutls_record_send(self.session, piece, len(piece))) == len(piece)
        check(GNUTLS.gnutls_record_uncork(self.session, WAIT))

    def makefile(self, _mode):
        """What is received, as the standard library reads it from sockets."""
        return io.BufferedReader(Received(self.session))

    def close(self):
        GNUTLS.gnutls_deinit(self.session)
        GNUTLS.gnutls_certificate_free_credentials(self.credentials)
        self.socket.close()


class Received(io.RawIOBase):
    """The bytes of a session from here on."""

    def __init__(self, session):
        self.session = session

    def readable(self):
        return True

    def readinto(self, target):
        buffer = ctypes.create_string_buffer(len(target))
        # A message of TLS itself, such as a ticket, ends a read with nothing.
        while (length := GNUTLS.gnutls_record_recv(self.session, buffer, len(buffer))) == AGAIN:
            pass
        target[:check(length)] = buffer.raw[:length]
        return length


def call(session, host, a):
    """One call; the connection stays open."""
    question = {"model": a.model, "messages": [{"role": "user", "content": a.prompt}]}
    body = json.dumps(question).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n"
        f"authorization: Bearer {os.environ['OPENAI_API_KEY']}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    session.send([head.encode(), body[:10], body[10:]])
    response = HTTPResponse(session)
    response.begin()
    report(id=json.loads(response.read())["id"])


def main(a):
    url = urlsplit(os.environ["OPENAI_BASE_URL"])
    session = Session(url.hostname, url.port)
    for _ in range(a.count):
        call(session, url.netloc, a)
    session.close()


if __name__ == "__main__":
    main(arguments(["chat"]))
