// `fetch` over node:http2, as far as OpenAI's SDK needs it: all requests to an origin go through one
// connection.

import { connect, constants } from "node:http2";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";

const DECODERS = { br: createBrotliDecompress, deflate: createInflate, gzip: createGunzip };
const sessions = new Map();

function session(origin) {
  let known = sessions.get(origin);
  if (!known || known.closed || known.destroyed) {
    known = connect(origin);
    // Each stream tells its own caller what went wrong.
    known.on("error", () => {});
    sessions.set(origin, known);
  }
  return known;
}

// What a body is to a Response. Who stops reading it resets the stream.
function readable(plain, stream) {
  const pieces = plain[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      stream.close(constants.NGHTTP2_CANCEL);
      await pieces.return();
    },
  });
}

export function fetchHttp2(url, { method = "GET", headers, body, signal } = {}) {
  const { origin, pathname, search } = new URL(url);
  const fields = Object.fromEntries(new Headers(headers));
  const stream = session(origin).request({
    ":method": method,
    ":path": pathname + search,
    "accept-encoding": "br, gzip, deflate",
    ...fields,
  });
  signal?.addEventListener("abort", () => stream.close(constants.NGHTTP2_CANCEL));
  return new Promise((resolve, reject) => {
    stream.once("error", reject);
    stream.once("response", (answer) => {
      const coding = answer["content-encoding"];
      const plain = coding ? stream.pipe(DECODERS[coding]()) : stream;
      // A stream that is cut off ends without an error of its own.
      stream.on("aborted", () => plain.destroy(new Error("aborted")));
      const known = Object.entries(answer).filter(([name]) => !name.startsWith(":"));
      const init = { status: answer[":status"], headers: Object.fromEntries(known) };
      resolve(new Response(readable(plain, stream), init));
    });
    stream.end(body);
  });
}
