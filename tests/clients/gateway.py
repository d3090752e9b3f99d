"""A server of chat completions with TLS, on a port of its own choice, which it says. What it answers is
what the server at `OPENAI_BASE_URL` said, as that said it (`pass`) or under an id of its own (`rename`;
`trace` if the trace goes on), or something of its own (`answer`; `work` if it asks that server first)."""

import itertools
import json
import os
import re
import ssl
import sys
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

MODE, CERTIFICATE = sys.argv[1:]
UPSTREAM = urlsplit(os.environ["OPENAI_BASE_URL"]).netloc
NUMBERS = itertools.count()
USAGE = {
    "prompt_tokens": 11,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens": 5,
    "completion_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 16,
}


class Handler(BaseHTTPRequestHandler):
    """A connection."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.upstream = HTTPSConnection(UPSTREAM)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if MODE == "work":
            self.ask(body).read()
        if MODE in ("answer", "work"):
            self.begin(200, {"content-type": "text/event-stream"})
            self.piece(answer(json.loads(body)))
        else:
            self.relay(body)
        self.wfile.write(b"0\r\n\r\n")

    def ask(self, body):
        headers = {
            "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
            "content-type": "application/json",
            "accept-encoding": self.headers["accept-encoding"] if MODE == "pass" else "identity",
        }
        if MODE in ("trace", "work"):
            headers["traceparent"] = self.headers["traceparent"]
        self.upstream.request("POST", self.path, body, headers)
        return self.upstream.getresponse()

    def relay(self, body):
        response = self.ask(body)
        kept = ["content-type", "content-encoding"]
        self.begin(response.status, {name: response.headers[name] for name in kept})
        if MODE == "pass":
            while piece := response.read1(65536):
                self.piece(piece)
            # Only this tells the connection that the answer is over.
            response.read()
        else:
            own = b'"chatcmpl-own-%d-%d"' % (os.getpid(), next(NUMBERS))
            self.piece(re.sub(rb'"chatcmpl-[^"]*"', own, response.read()))

    def begin(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def piece(self, data):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, *_):
        pass


def answer(asked):
    """Two words, and the usage at the end."""
    chunk = {
        "id": f"chatcmpl-local-{os.getpid()}-{next(NUMBERS)}",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": asked["model"],
    }
    said = {"index": 0, "delta": {"role": "assistant", "content": "the of"}, "finish_reason": None}
    ended = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks = [{"choices": [said]}, {"choices": [ended]}, {"choices": [], "usage": USAGE}]
    events = [json.dumps(chunk | more) for more in chunks] + ["[DONE]"]
    return "".join(f"data: {event}\n\n" for event in events).encode()


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    # The handshake is for the connection's own thread to make.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
