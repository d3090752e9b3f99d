"""Makes calls with Anthropic's Python SDK."""

import sys

from common import arguments, report, run, streamed
from anthropic import AsyncAnthropic as AsyncClient
from anthropic import Anthropic as Client


def request(a, number):
    """The keyword arguments of call `number`."""
    return {
        "model": a.model, "max_tokens": 1024, "stream": streamed(a, number),
        "messages": [{"role": "user", "content": a.prompt}], "extra_headers": a.headers,
    }


class Reader:
    """Takes from an answer, or from the events of one, what we report."""

    def __init__(self, _api):
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


def create(client, _api):
    """The method that makes calls."""
    return client.messages.create


if __name__ == "__main__":
    run(sys.modules[__name__], arguments(["messages"]))
