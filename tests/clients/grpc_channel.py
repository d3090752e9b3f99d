"""Calls something by gRPC that the server doesn't have, with Google's Python library, whose TLS is a
BoringSSL of its own."""

import os
import time
from urllib.parse import urlsplit

import grpc

# What a library says while it is looked at for the first time isn't seen.
time.sleep(1)
with open(os.environ["SSL_CERT_FILE"], "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
with grpc.secure_channel(urlsplit(os.environ["OPENAI_BASE_URL"]).netloc, credentials) as channel:
    call = channel.unary_unary("/weir.Test/Call")
    for _ in range(3):
        try:
            call(b"question", timeout=10, wait_for_ready=True)
        except grpc.RpcError as error:
            # What answers is no gRPC server.
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
