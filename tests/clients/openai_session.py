"""Makes calls of OpenAI's responses API over a WebSocket, with OpenAI's Python SDK: each connection
makes one call after the other."""

import asyncio

from common import arguments, failed, ready, report
from openai import AsyncOpenAI


async def call(connection, a):
    """One call on a connection, to its last event."""
    await connection.response.create(model=a.model, input=a.prompt)
    async for event in connection:
        if event.type in ("response.completed", "response.failed"):
            break
    answer = event.response
    if answer.usage is None:
        report(id=answer.id)
        return
    report(id=answer.id, input=answer.usage.input_tokens, output=answer.usage.output_tokens,
           cached=answer.usage.input_tokens_details.cached_tokens,
           reasoning=answer.usage.output_tokens_details.reasoning_tokens)


async def session(client, a, numbers):
    """A connection that makes calls as long as there are `numbers`."""
    # With compression a message can't be read by whoever has not seen the ones before.
    options = {"compression": None if a.wait else "deflate"}
    connect = client.responses.connect(extra_headers=a.headers, websocket_connection_options=options)
    async with connect as connection:
        if a.wait:
            await call(connection, a)
            await asyncio.to_thread(ready)
        for _ in numbers:
            await call(connection, a)


async def main(a):
    numbers = iter(range(a.count))
    try:
        async with AsyncOpenAI(max_retries=0) as client:
            await asyncio.gather(*(session(client, a, numbers) for _ in range(a.concurrency)))
    except Exception as error:
        failed(error)


if __name__ == "__main__":
    asyncio.run(main(arguments(["responses"])))
