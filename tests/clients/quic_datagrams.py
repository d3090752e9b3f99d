"""Sends what a QUIC client sends, as far as it can be seen from outside: a first packet and some that
take an answer's keys. ADDRESS, and `connected` or `unconnected`. Answers itself, on port 443."""

import os
import socket
import struct
import sys
import time

address, form = sys.argv[1:]
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((address, 443))
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def send(datagram):
    if form == "connected":
        client.send(datagram)
    else:
        client.sendto(datagram, (address, 443))
    assert server.recv(2048) == datagram


if form == "connected":
    client.connect((address, 443))
# RFC 9000, section 17.2.2: the header of an Initial packet of version 1.
first = struct.pack(">BI", 0xC0, 1) + b"\x08" + os.urandom(8) + b"\x00\x00"
send(first.ljust(1200, b"\0"))
for _ in range(3):
    send(b"\x40" + os.urandom(399))
time.sleep(2)
