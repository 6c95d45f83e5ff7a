// Serves one handler over HTTP. In: WEFT_HANDLER ("file:name", the name may be empty), WEFT_INTERFACE and PORT. Out: a
// listener on PORT, opened only once the handler and all that it imports are loaded. Refuses, with one line on standard
// error and status 1, a handler that is not there, cannot be imported or cannot be called.
import http from "node:http";
import { pathToFileURL } from "node:url";

const BODY_BYTES_MAX = 6 << 20;
const USUAL = ["handler", "app", "default", "main"];

function refuse(cause) {
  process.stderr.write(`weft: ${cause}\n`);
  process.exit(1);
}

async function load(spec) {
  const at = spec.lastIndexOf(":");
  const [file, name] = [spec.slice(0, at), spec.slice(at + 1)];
  let found;
  try {
    found = await import(pathToFileURL(`/app/${file}`).href);
  } catch (error) {
    process.stderr.write(`${error?.stack ?? error}\n`);
    refuse(`${file} cannot be imported: ${error}`);
  }
  // What a CommonJS module exports is its default.
  const places = [found, found.default].filter((place) => place !== undefined && place !== null);
  for (const wanted of name ? [name] : USUAL) {
    for (const place of places) {
      if (typeof place[wanted] === "function") return place[wanted];
    }
  }
  if (!name && typeof found.default === "function") return found.default;
  refuse(name ? `${file} exports no function \`${name}\`` : `${file} exports no function ${USUAL.join(", ")}`);
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    const parts = [];
    let bytes = 0;
    request.on("data", (part) => {
      bytes += part.length;
      if (bytes > BODY_BYTES_MAX) {
        request.removeAllListeners("data");
        request.resume();
        resolve(null);
      } else {
        parts.push(part);
      }
    });
    request.on("end", () => resolve(Buffer.concat(parts)));
    request.on("error", reject);
  });
}

function eventOf(request, body) {
  const url = new URL(request.url, "http://localhost");
  const text = body.toString("utf8");
  const isText = Buffer.from(text, "utf8").equals(body);
  return {
    method: request.method,
    path: decodeURIComponent(url.pathname),
    query: Object.fromEntries(url.searchParams),
    headers: request.headers,
    body: isText ? text : body.toString("base64"),
    isBase64Encoded: !isText,
  };
}

// The status, headers and bytes that a handler's result stands for.
function shaped(result) {
  if (result !== null && typeof result === "object" && "statusCode" in result) {
    const headers = { ...(result.headers ?? {}) };
    let body = result.body ?? "";
    if (result.isBase64Encoded) body = Buffer.from(body, "base64");
    else if (typeof body !== "string" && !Buffer.isBuffer(body)) {
      body = JSON.stringify(body);
      headers["Content-Type"] ??= "application/json";
    }
    return [result.statusCode, headers, body];
  }
  if (result === undefined || result === null) return [204, {}, ""];
  if (Buffer.isBuffer(result) || result instanceof Uint8Array) {
    return [200, { "Content-Type": "application/octet-stream" }, Buffer.from(result)];
  }
  if (typeof result === "string") return [200, {}, result];
  return [200, { "Content-Type": "application/json" }, JSON.stringify(result)];
}

async function answerEvent(handler, request, response) {
  try {
    const body = await readBody(request);
    if (body === null) {
      response.writeHead(413, { Connection: "close" });
      return response.end(`a request has at most ${BODY_BYTES_MAX} bytes\n`);
    }
    const [status, headers, content] = shaped(await handler(eventOf(request, body), {}));
    if (!Object.keys(headers).some((name) => name.toLowerCase() === "content-type")) {
      headers["Content-Type"] = "text/plain; charset=utf-8";
    }
    if (!Object.keys(headers).some((name) => name.toLowerCase() === "content-length")) {
      headers["Content-Length"] = Buffer.byteLength(content);
    }
    response.writeHead(status, headers);
    response.end(content);
  } catch (error) {
    process.stderr.write(`${error?.stack ?? error}\n`);
    if (!response.headersSent) response.writeHead(500);
    response.end("the handler failed\n");
  }
}

const handler = await load(process.env.WEFT_HANDLER);
const choice = process.env.WEFT_INTERFACE ?? "auto";
const takesEvents = choice === "event" || (choice === "auto" && handler.length < 2);
const server = http.createServer(takesEvents ? (request, response) => answerEvent(handler, request, response) : handler);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
server.on("error", (error) => refuse(`cannot listen on port ${process.env.PORT}: ${error.message}`));
server.listen(Number(process.env.PORT), "0.0.0.0");
