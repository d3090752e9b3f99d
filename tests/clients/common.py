"""What the Python clients share: their arguments, how they make calls, and the line they print for
each.

An SDK is a module with `Client`, `AsyncClient`, `create`, `request` and `Reader`, and with
`AsyncTransport` if it is to speak HTTP/2."""

import argparse
import asyncio
import json
import os
import sys


def arguments(apis):
    parser = argparse.ArgumentParser()
    parser.add_argument("--api", choices=apis, default=apis[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=1, help="0: the synchronous client")
    parser.add_argument("--stream", choices=["no", "yes", "mixed"], default="no")
    parser.add_argument("--no-usage", action="store_true", help="don't ask streams for usage")
    parser.add_argument("--play", default="", help="tells the server what to do")
    parser.add_argument("--prompt", default="the of and to", help="what to say")
    parser.add_argument("--prompt-bytes", type=int, default=0, help="pad the prompt to this")
    parser.add_argument("--leave-after", type=int, default=0, help="leave a stream after N events")
    parser.add_argument("--http2", action="store_true", help="needs the asynchronous client")
    parser.add_argument("--wait", action="store_true", help="call once, then wait for a line")
    arguments = parser.parse_args()
    arguments.prompt += " the" * max(0, (arguments.prompt_bytes - len(arguments.prompt)) // 4)
    arguments.headers = {"x-play": arguments.play} if arguments.play else {}
    if trace := os.environ.get("TRACEPARENT"):
        arguments.headers["traceparent"] = trace
    return arguments


def streamed(arguments, number):
    """Whether call `number` is to be a stream."""
    if arguments.api == "embeddings":
        return False
    return arguments.stream == "yes" or (arguments.stream == "mixed" and number % 2 == 1)


def report(**call):
    """Says what the SDK made of an answer."""
    print(json.dumps(call), flush=True)


def ready():
    """Says that the first call is done, and waits to be told to go on."""
    print(json.dumps({"ready": os.getpid()}), flush=True)
    sys.stdin.readline()


def run(sdk, a):
    """Makes the calls that the arguments ask for."""
    if a.concurrency:
        asyncio.run(run_async(sdk, a))
    else:
        run_sync(sdk, a)


def run_sync(sdk, a):
    client = sdk.Client(max_retries=0)
    if a.wait:
        call(sdk, client, a, 0)
        ready()
    for number in range(a.count):
        call(sdk, client, a, number)


async def run_async(sdk, a):
    transport = {"http_client": sdk.AsyncTransport(http2=True)} if a.http2 else {}
    async with sdk.AsyncClient(max_retries=0, **transport) as client:
        if a.wait:
            await call_async(sdk, client, a, 0)
            await asyncio.to_thread(ready)
        numbers = iter(range(a.count))

        async def worker():
            for number in numbers:
                await call_async(sdk, client, a, number)

        await asyncio.gather(*(worker() for _ in range(a.concurrency)))


def call(sdk, client, a, number):
    reader = sdk.Reader(a.api)
    try:
        answer = sdk.create(client, a.api)(**sdk.request(a, number))
        if streamed(a, number):
            for event in answer:
                reader.event(event)
                if reader.events == a.leave_after:
                    answer.close()
                    break
        else:
            reader.answer(answer)
        reader.report()
    except Exception as error:
        failed(error)


async def call_async(sdk, client, a, number):
    reader = sdk.Reader(a.api)
    try:
        answer = await sdk.create(client, a.api)(**sdk.request(a, number))
        if streamed(a, number):
            async for event in answer:
                reader.event(event)
                if reader.events == a.leave_after:
                    await answer.close()
                    break
        else:
            reader.answer(answer)
        reader.report()
    except Exception as error:
        failed(error)


def failed(error):
    """Says how a call failed; the errors of both SDKs have a status if one came."""
    report(error=type(error).__name__, status=getattr(error, "status_code", None))
