"""Makes calls with OpenAI's Python SDK."""

import sys

from common import arguments, report, run, streamed
from openai import AsyncOpenAI as AsyncClient
from openai import DefaultAsyncHttpxClient as AsyncTransport
from openai import OpenAI as Client


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


def create(client, api):
    """The method that makes calls of this API."""
    if api == "responses":
        return client.responses.create
    return client.embeddings.create if api == "embeddings" else client.chat.completions.create


if __name__ == "__main__":
    run(sys.modules[__name__], arguments(["chat", "responses", "embeddings"]))
