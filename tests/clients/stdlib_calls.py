"""Makes calls with Python's own http.client, so with whatever OpenSSL its ssl module has."""

import http.client
import itertools
import json
import os
import ssl
import threading
from urllib.parse import urlsplit

from common import arguments, ready, report, streamed

PATHS = {"chat": "chat/completions", "responses": "responses", "messages": "messages"}


def body(a, number):
    """The body of call `number`."""
    call = {"model": a.model, "stream": streamed(a, number)}
    if a.api == "responses":
        return call | {"input": a.prompt}
    call["messages"] = [{"role": "user", "content": a.prompt}]
    if a.api == "messages":
        call["max_tokens"] = 1024
    elif call["stream"] and not a.no_usage:
        call["stream_options"] = {"include_usage": True}
    return call


def headers(a):
    """The header fields of every call."""
    if a.api == "messages":
        key = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"}
    else:
        key = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    return {"content-type": "application/json", **key, **a.headers}


def call(connection, path, a, number):
    """Makes call `number` and reads its answer as it comes."""
    connection.request("POST", f"{path}/{PATHS[a.api]}", json.dumps(body(a, number)), headers(a))
    answer = connection.getresponse()
    events = 0
    while data := answer.read1(65536):
        events += data.count(b"data: ")
        if 0 < a.leave_after <= events:
            connection.close()
            break
    report(status=answer.status)


def main(a):
    base = urlsplit(os.environ["OPENAI_BASE_URL"])

    def connection():
        trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        return http.client.HTTPSConnection(base.hostname, base.port, context=trusted)

    first = connection()
    if a.wait:
        call(first, base.path, a, 0)
        ready()
    numbers = itertools.count()

    def work(connection):
        while (number := next(numbers)) < a.count:
            call(connection, base.path, a, number)

    others = [connection() for _ in range(a.concurrency - 1)]
    threads = [threading.Thread(target=work, args=(one,)) for one in [first, *others]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(arguments(list(PATHS)))
