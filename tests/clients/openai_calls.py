"""Makes calls with OpenAI's Python SDK."""

import asyncio

import openai
from common import arguments, ready, report, streamed


def request(a, number):
    """The keyword arguments of call `number`."""
    call = {"model": a.model, "extra_headers": a.headers}
    if a.api == "embeddings":
        return call | {"input": a.prompt}
    stream = streamed(a, number)
    if a.api == "responses":
        return call | {"input": a.prompt, "stream": stream}
    call |= {"messages": [{"role": "user", "content": a.prompt}], "stream": stream}
    if stream and not a.no_usage:
        call["stream_options"] = {"include_usage": True}
    return call


class Reader:
    """Takes from an answer, or from the events of one, what we report."""

    def __init__(self, api):
        self.api, self.id, self.usage, self.events = api, None, None, 0

    def event(self, event):
        self.events += 1
        if self.api == "responses":
            if event.type in ("response.completed", "response.incomplete", "response.failed"):
                self.answer(event.response)
        else:
            self.answer(event)

    def answer(self, answer):
        self.id = getattr(answer, "id", None) or self.id
        self.usage = answer.usage or self.usage

    def report(self):
        usage = self.usage
        if usage is None:
            report(id=self.id)
        elif self.api == "responses":
            report(id=self.id, input=usage.input_tokens, output=usage.output_tokens,
                   cached=usage.input_tokens_details.cached_tokens,
                   reasoning=usage.output_tokens_details.reasoning_tokens)
        elif self.api == "embeddings":
            report(input=usage.prompt_tokens)
        else:
            report(id=self.id, input=usage.prompt_tokens, output=usage.completion_tokens,
                   cached=usage.prompt_tokens_details.cached_tokens,
                   reasoning=usage.completion_tokens_details.reasoning_tokens)


def endpoint(client, api):
    if api == "responses":
        return client.responses.create
    return client.embeddings.create if api == "embeddings" else client.chat.completions.create


def call(client, a, number):
    reader = Reader(a.api)
    try:
        answer = endpoint(client, a.api)(**request(a, number))
        if streamed(a, number):
            for event in answer:
                reader.event(event)
                if reader.events == a.leave_after:
                    answer.close()
                    break
        else:
            reader.answer(answer)
        reader.report()
    except openai.APIError as error:
        report(error=type(error).__name__, status=getattr(error, "status_code", None))
    except Exception as error:
        report(error=type(error).__name__)


async def call_async(client, a, number):
    reader = Reader(a.api)
    try:
        answer = await endpoint(client, a.api)(**request(a, number))
        if streamed(a, number):
            async for event in answer:
                reader.event(event)
                if reader.events == a.leave_after:
                    await answer.close()
                    break
        else:
            reader.answer(answer)
        reader.report()
    except openai.APIError as error:
        report(error=type(error).__name__, status=getattr(error, "status_code", None))
    except Exception as error:
        report(error=type(error).__name__)


def main_sync(a):
    client = openai.OpenAI(max_retries=0)
    if a.wait:
        call(client, a, 0)
        ready()
    for number in range(a.count):
        call(client, a, number)


async def main_async(a):
    async with openai.AsyncOpenAI(max_retries=0) as client:
        if a.wait:
            await call_async(client, a, 0)
            await asyncio.to_thread(ready)
        numbers = iter(range(a.count))

        async def worker():
            for number in numbers:
                await call_async(client, a, number)

        await asyncio.gather(*(worker() for _ in range(a.concurrency)))


if __name__ == "__main__":
    parsed = arguments(["chat", "responses", "embeddings"])
    if parsed.concurrency:
        asyncio.run(main_async(parsed))
    else:
        main_sync(parsed)
