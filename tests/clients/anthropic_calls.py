"""Makes calls with Anthropic's Python SDK."""

import asyncio

import anthropic
from common import arguments, ready, report, streamed


def request(a, number):
    """The keyword arguments of call `number`."""
    return {
        "model": a.model, "max_tokens": 1024, "stream": streamed(a, number),
        "messages": [{"role": "user", "content": a.prompt}], "extra_headers": a.headers,
    }


class Reader:
    """Takes from an answer, or from the events of one, what we report."""

    def __init__(self):
        self.id, self.usage, self.output, self.events = None, None, None, 0

    def event(self, event):
        self.events += 1
        if event.type == "message_start":
            self.id, self.usage = event.message.id, event.message.usage
        elif event.type == "message_delta":
            self.output = event.usage

    def answer(self, answer):
        self.id, self.usage, self.output = answer.id, answer.usage, answer.usage

    def report(self):
        usage, output = self.usage, self.output
        if usage is None or output is None:
            report(id=self.id)
            return
        written = usage.cache_creation
        report(id=self.id, output=output.output_tokens, cached=usage.cache_read_input_tokens,
               input=usage.input_tokens + usage.cache_read_input_tokens
               + written.ephemeral_5m_input_tokens + written.ephemeral_1h_input_tokens,
               reasoning=output.output_tokens_details.thinking_tokens)


def call(client, a, number):
    reader = Reader()
    try:
        answer = client.messages.create(**request(a, number))
        if streamed(a, number):
            for event in answer:
                reader.event(event)
                if reader.events == a.leave_after:
                    answer.close()
                    break
        else:
            reader.answer(answer)
        reader.report()
    except anthropic.APIError as error:
        report(error=type(error).__name__, status=getattr(error, "status_code", None))
    except Exception as error:
        report(error=type(error).__name__)


async def call_async(client, a, number):
    reader = Reader()
    try:
        answer = await client.messages.create(**request(a, number))
        if streamed(a, number):
            async for event in answer:
                reader.event(event)
                if reader.events == a.leave_after:
                    await answer.close()
                    break
        else:
            reader.answer(answer)
        reader.report()
    except anthropic.APIError as error:
        report(error=type(error).__name__, status=getattr(error, "status_code", None))
    except Exception as error:
        report(error=type(error).__name__)


def main_sync(a):
    client = anthropic.Anthropic(max_retries=0)
    if a.wait:
        call(client, a, 0)
        ready()
    for number in range(a.count):
        call(client, a, number)


async def main_async(a):
    async with anthropic.AsyncAnthropic(max_retries=0) as client:
        if a.wait:
            await call_async(client, a, 0)
            await asyncio.to_thread(ready)
        numbers = iter(range(a.count))

        async def worker():
            for number in numbers:
                await call_async(client, a, number)

        await asyncio.gather(*(worker() for _ in range(a.concurrency)))


if __name__ == "__main__":
    parsed = arguments(["messages"])
    if parsed.concurrency:
        asyncio.run(main_async(parsed))
    else:
        main_sync(parsed)
