// Makes calls with OpenAI's Node SDK. The arguments are those of common.py.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { fetchHttp2 } from "./http2_fetch.mjs";

// The folder that the SDK was installed into is not above this file, so `import` can't find it.
const OpenAI = createRequire(`${process.env.WEIR_NODE_FOLDER}/package.json`)("openai");

const { values } = parseArgs({
  options: {
    api: { type: "string", default: "chat" },
    model: { type: "string" },
    count: { type: "string", default: "1" },
    concurrency: { type: "string", default: "1" },
    stream: { type: "string", default: "no" },
    "no-usage": { type: "boolean", default: false },
    play: { type: "string", default: "" },
    prompt: { type: "string", default: "the of and to" },
    "prompt-bytes": { type: "string", default: "0" },
    "leave-after": { type: "string", default: "0" },
    http2: { type: "boolean", default: false },
    wait: { type: "boolean", default: false },
  },
});
const missing = Number(values["prompt-bytes"]) - values.prompt.length;
const prompt = values.prompt + " the".repeat(Math.max(0, Math.floor(missing / 4)));
const client = new OpenAI({ maxRetries: 0, ...(values.http2 ? { fetch: fetchHttp2 } : {}) });

function streamed(number) {
  if (values.api === "embeddings") return false;
  return values.stream === "yes" || (values.stream === "mixed" && number % 2 === 1);
}

function send(number) {
  const options = { headers: values.play ? { "x-play": values.play } : {} };
  const stream = streamed(number);
  const { model } = values;
  if (values.api === "embeddings") {
    return client.embeddings.create({ model, input: prompt }, options);
  }
  if (values.api === "responses") {
    return client.responses.create({ model, input: prompt, stream }, options);
  }
  const body = { model, messages: [{ role: "user", content: prompt }], stream };
  if (stream && !values["no-usage"]) body.stream_options = { include_usage: true };
  return client.chat.completions.create(body, options);
}

function report(id, usage) {
  console.log(JSON.stringify(usage ? {
    id,
    input: usage.prompt_tokens ?? usage.input_tokens,
    output: usage.completion_tokens ?? usage.output_tokens,
    cached: (usage.prompt_tokens_details ?? usage.input_tokens_details)?.cached_tokens,
    reasoning: (usage.completion_tokens_details ?? usage.output_tokens_details)?.reasoning_tokens,
  } : { id }));
}

async function call(number) {
  try {
    const answer = await send(number);
    if (!streamed(number)) {
      report(answer.id, answer.usage);
      return;
    }
    let id, usage, events = 0;
    for await (const event of answer) {
      const said = values.api === "responses" ? (event.response ?? {}) : event;
      id = said.id ?? id;
      usage = said.usage ?? usage;
      events += 1;
      // Leaving the loop closes the connection.
      if (events === Number(values["leave-after"])) break;
    }
    report(id, usage);
  } catch (error) {
    console.log(JSON.stringify({ error: error.constructor.name, status: error.status }));
  }
}

if (values.wait) {
  await call(0);
  console.log(JSON.stringify({ ready: process.pid }));
  const lines = createInterface({ input: process.stdin });
  await new Promise((resolve) => lines.once("line", resolve));
  lines.close();
}
let next = 0;
async function worker() {
  while (next < Number(values.count)) await call(next++);
}
await Promise.all(Array.from({ length: Math.max(1, Number(values.concurrency)) }, worker));
process.exit(0);
