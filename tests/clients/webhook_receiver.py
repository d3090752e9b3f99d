"""A receiver of Standard Webhooks that verifies with the reference library: `webhook_receiver.py SECRET…`.
Prints its port, and then for each request a line of JSON: its `id` with `type` and `title`, or with the `error`
for which it was refused."""

import http.server
import json
import sys

from standardwebhooks import Webhook

webhooks = [Webhook(secret) for secret in sys.argv[1:]]


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            # Each secret in use signs, so each receiver finds its own.
            told = [webhook.verify(body, dict(self.headers)) for webhook in webhooks]
            said = {"type": told[0]["type"], "title": told[0]["data"]["title"]}
            status = 204 if len(body) < 20_000 else 413
        except Exception as error:
            said, status = {"error": repr(error)}, 400
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        print(json.dumps({"id": self.headers.get("webhook-id")} | said), flush=True)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
