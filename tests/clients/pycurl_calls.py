"""Makes calls with PycURL as Debian builds it: libcurl over GnuTLS."""

import json
import os

import pycurl
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


def transfer(a):
    """A transfer, to be told what to send and reused."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"{os.environ['OPENAI_BASE_URL']}/{PATHS[a.api]}")
    curl.setopt(pycurl.CAINFO, os.environ["SSL_CERT_FILE"])
    curl.setopt(pycurl.ACCEPT_ENCODING, "")
    version = pycurl.CURL_HTTP_VERSION_2TLS if a.http2 else pycurl.CURL_HTTP_VERSION_1_1
    curl.setopt(pycurl.HTTP_VERSION, version)
    # Streams of one connection, rather than a connection each.
    curl.setopt(pycurl.PIPEWAIT, a.http2)
    if a.api == "messages":
        key = [f"x-api-key: {os.environ['ANTHROPIC_API_KEY']}", "anthropic-version: 2023-06-01"]
    else:
        key = [f"authorization: Bearer {os.environ['OPENAI_API_KEY']}"]
    play = [f"{name}: {value}" for name, value in a.headers.items()]
    curl.setopt(pycurl.HTTPHEADER, ["content-type: application/json", *key, *play])
    return curl


def start(multi, curl, a, number):
    """Begins call `number`."""
    events = 0

    def take(data):
        nonlocal events
        events += data.count(b"data: ")
        # Anything but the length ends the transfer.
        return 0 if 0 < a.leave_after <= events else len(data)

    curl.setopt(pycurl.WRITEFUNCTION, take)
    curl.setopt(pycurl.POSTFIELDS, json.dumps(body(a, number)))
    multi.add_handle(curl)


def run(multi, idle, a, numbers):
    """Makes calls, as many at once as there are idle transfers."""
    running = 0
    while True:
        while idle and (number := next(numbers, None)) is not None:
            start(multi, idle.pop(), a, number)
            running += 1
        if running == 0:
            return
        multi.perform()
        _, done, failed = multi.info_read()
        for curl in done + [curl for curl, _, _ in failed]:
            multi.remove_handle(curl)
            report(status=curl.getinfo(pycurl.RESPONSE_CODE))
            idle.append(curl)
            running -= 1
        if running:
            multi.select(1.0)


def main(a):
    multi = pycurl.CurlMulti()
    idle = [transfer(a) for _ in range(max(1, a.concurrency))]
    if a.wait:
        run(multi, idle, a, iter([0]))
        ready()
    run(multi, idle, a, iter(range(a.count)))


if __name__ == "__main__":
    main(arguments(list(PATHS)))
