// Serves one handler over HTTP. In: WEFT_HANDLER ("file:name", the name may be empty), WEFT_INTERFACE, PORT and WEFT_LOADS
// (modules of CommonJS to load beside). Out: a listener on PORT, opened only once the handler and all that it imports are
// loaded and the way of a request has been gone once. Refuses, with one line on standard error and status 1, a handler that
// is not there, cannot be imported or cannot be called.
//
// With WEFT_TRIAL it asks the handler once, at SIGUSR2, and tells on standard error which modules that loaded: a request
// should not wait for them.
import http from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const BODY_BYTES_MAX = 6 << 20;
const LOADS_MAX = 64;
const APP = "/app/";
const require = createRequire(APP);
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

// A request goes all its way, and neither it nor its answer leaves this container. Ends also when there is no answer.
function askOnce(answer) {
  const path = `/tmp/.weft-${process.pid}.sock`;
  return new Promise((resolve) => {
    const rehearsal = http.createServer(answer);
    const end = () => {
      // Gone with its name, which another rehearsal takes.
      rehearsal.close(resolve);
      rehearsal.closeAllConnections();
    };
    rehearsal.on("error", end);
    rehearsal.listen(path, () => {
      const request = http.get({ socketPath: path, path: "/", agent: false, timeout: 1000 }, (response) => {
        response.resume();
        response.on("close", end);
      });
      request.on("timeout", () => request.destroy());
      request.on("error", end);
    });
  });
}

// Tells what one request has the handler load, whatever else comes of it.
async function tryOut() {
  const before = new Set(Object.keys(require.cache));
  await askOnce(answer);
  const loaded = Object.keys(require.cache).filter((file) => !before.has(file) && file.startsWith(APP));
  const names = loaded.map((file) => file.slice(APP.length)).filter((name) => !name.includes(","));
  process.stderr.write(`weft: loads ${names.slice(0, LOADS_MAX).join(",")}\n`);
}

const handler = await load(process.env.WEFT_HANDLER);
const choice = process.env.WEFT_INTERFACE ?? "auto";
const takesEvents = choice === "event" || (choice === "auto" && handler.length < 2);
const answer = takesEvents ? (request, response) => answerEvent(handler, request, response) : handler;
const server = http.createServer(answer);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
server.on("error", (error) => refuse(`cannot listen on port ${process.env.PORT}: ${error.message}`));
for (const name of (process.env.WEFT_LOADS ?? "").split(",").filter(Boolean)) {
  try {
    require(APP + name);
  } catch {
    // The handler will do without it, or tell.
  }
}
await askOnce((request, response) => answerEvent(() => ({ loaded: true }), request, response));
if (process.env.WEFT_TRIAL) process.once("SIGUSR2", tryOut);
server.listen(Number(process.env.PORT), "0.0.0.0");
