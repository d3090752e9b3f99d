"""Makes calls with NSS itself, in ways that libcurl doesn't: looks at what has come before it takes it,
goes on with what looks like a call where no TLS is, and sends something from two places at once."""

import ctypes
import io
import json
import os
import socket
from http.client import HTTPResponse
from urllib.parse import urlsplit

from common import arguments, report

NSPR = ctypes.CDLL("libnspr4.so")
NSS, SSL = ctypes.CDLL("libnss3.so"), ctypes.CDLL("libssl3.so")
NSPR.PR_ImportTCPSocket.restype = SSL.SSL_ImportFD.restype = ctypes.c_void_p

# Of prio.h and prinrval.h.
PEEK, FOR_EVER = 2, ctypes.c_uint32(0xFFFFFFFF)
Authenticate = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int] * 2)
# The server's certificate is of no interest here.
ANY = Authenticate(lambda *_: 0)


def check(result):
    """The result, unless it is an error."""
    if result < 0:
        raise OSError(f"NSPR says {NSPR.PR_GetError()}")
    return result


class Piece(ctypes.Structure):
    """A `PRIOVec`."""

    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_int)]


class Descriptor:
    """A descriptor of NSPR for a socket."""

    def __init__(self, connected):
        self.descriptor = ctypes.c_void_p(NSPR.PR_ImportTCPSocket(connected.detach()))

    def send(self, data):
        half = len(data) // 2
        assert NSPR.PR_Write(self.descriptor, data[:half], half) == half
        rest = data[half:]
        assert NSPR.PR_Send(self.descriptor, rest, len(rest), 0, FOR_EVER) == len(rest)

    def send_scattered(self, one, other):
        pieces = (Piece * 2)(Piece(one, len(one)), Piece(other, len(other)))
        sent = NSPR.PR_Writev(self.descriptor, pieces, 2, FOR_EVER)
        assert sent == len(one) + len(other)

    def receive(self, length):
        buffer = ctypes.create_string_buffer(length)
        for _ in range(2):
            check(NSPR.PR_Recv(self.descriptor, buffer, length, PEEK, FOR_EVER))
        return buffer.raw[:check(NSPR.PR_Read(self.descriptor, buffer, length))]

    def makefile(self, _mode):
        """What is received, as the standard library reads it from sockets."""
        return io.BufferedReader(Received(self))

    def close(self):
        check(NSPR.PR_Close(self.descriptor))


class Session(Descriptor):
    """One with TLS over it."""

    def __init__(self, host, port):
        super().__init__(socket.create_connection((host, port)))
        assert SSL.SSL_ImportFD(None, self.descriptor) == self.descriptor.value
        check(SSL.SSL_AuthCertificateHook(self.descriptor, ANY, None))
        check(SSL.SSL_SetURL(self.descriptor, host.encode()))
        check(SSL.SSL_ResetHandshake(self.descriptor, 0))


class Received(io.RawIOBase):
    """The bytes of a descriptor from here on."""

    def __init__(self, descriptor):
        self.descriptor = descriptor

    def readable(self):
        return True

    def readinto(self, target):
        data = self.descriptor.receive(len(target))
        target[:len(data)] = data
        return len(data)


def request(host, a):
    question = {"model": a.model, "messages": [{"role": "user", "content": a.prompt}]}
    body = json.dumps(question).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\n"
        f"authorization: Bearer {os.environ['OPENAI_API_KEY']}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def call(session, host, a):
    """One call; the connection stays open."""
    session.send(request(host, a))
    response = HTTPResponse(session)
    response.begin()
    answer = response.read()
    report(id=json.loads(answer)["id"])
    return json.loads(answer)


def talk_to_itself(host, a, answer):
    """What looks like a call, between two sockets of this process."""
    client, server = (Descriptor(end) for end in socket.socketpair())
    asked = request(host, a)
    client.send(asked)
    assert server.receive(len(asked)) == asked
    body = json.dumps(answer | {"id": "chatcmpl-of-nobody"}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    answer = head.encode() + body
    server.send(answer)
    assert client.receive(len(answer)) == answer
    client.close()
    server.close()


def main(a):
    assert NSS.NSS_NoDB_Init(None) == 0
    assert SSL.NSS_SetDomesticPolicy() == 0
    url = urlsplit(os.environ["OPENAI_BASE_URL"])
    session = Session(url.hostname, url.port)
    for _ in range(a.count):
        answer = call(session, url.netloc, a)
    session.close()
    scattered = Session(url.hostname, url.port)
    scattered.send_scattered(b"to be ", b"lost")
    scattered.close()
    talk_to_itself(url.netloc, a, answer)


if __name__ == "__main__":
    main(arguments(["chat"]))
