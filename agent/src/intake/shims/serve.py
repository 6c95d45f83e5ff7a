"""Serves one handler over HTTP. In: WEFT_HANDLER ("module:name", the name may be empty), WEFT_INTERFACE, PORT,
WEFT_CONCURRENCY and WEFT_LOADS (modules to import beside). Out: a listener on PORT, opened only once the handler and all
that it imports are loaded and the way of a request has been gone once. Refuses, with one line on standard error and status
1, a handler that is not there, cannot be imported or cannot be called.

With WEFT_TRIAL it asks the handler once, at SIGUSR2, and tells on standard error which modules that loaded: a request
should not wait for them."""
import sys

sys.path[:0] = ["/app", "/libraries"]

import base64
import importlib
import inspect
import json
import os
import signal
import socket
import threading
import traceback
import types
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, unquote
from wsgiref.handlers import SimpleHandler

BODY_BYTES_MAX = 6 << 20
IDLE_S = 60
LOADS_MAX = 64
USUAL = ("app", "application", "handler", "main")


def refuse(cause):
    print(f"weft: {cause}", file=sys.stderr, flush=True)
    sys.exit(1)


def load(spec):
    module_name, _, name = spec.partition(":")
    try:
        found = importlib.import_module(module_name)
    except BaseException as error:
        traceback.print_exc()
        refuse(f"{module_name} cannot be imported: {type(error).__name__}: {error}")
    names = [name] if name else [usual for usual in USUAL if callable(getattr(found, usual, None))][:1]
    if not names:
        refuse(f"{module_name} has no handler: it defines none of {', '.join(USUAL)}")
    for part in names[0].split("."):
        if not hasattr(found, part):
            refuse(f"{module_name} has no handler `{names[0]}`")
        found = getattr(found, part)
    if not callable(found):
        refuse(f"{module_name}: the handler `{names[0]}` cannot be called")
    return names[0], found


def takes_events(name, handler, interface):
    if interface != "auto":
        return interface == "event"
    if not inspect.isroutine(handler):
        return False
    return name not in ("app", "application")


class BodyTooLarge(Exception):
    pass


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "weft"
    sys_version = ""
    timeout = IDLE_S
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def serve(self):
        try:
            body = self.read_body()
        except BodyTooLarge:
            self.close_connection = True
            return self.answer(413, {}, f"a request has at most {BODY_BYTES_MAX} bytes\n".encode())
        except ValueError:
            self.close_connection = True
            return self.answer(400, {}, b"the length of the request cannot be read\n")
        with self.server.places:
            if self.server.events:
                self.call(body)
            else:
                self.call_wsgi(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = serve

    def read_body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = b""
            while True:
                size = int(self.rfile.readline(1024).split(b";")[0], 16)
                if size < 0 or len(body) + size > BODY_BYTES_MAX:
                    raise BodyTooLarge
                if size == 0:
                    while self.rfile.readline(65536).strip():
                        pass
                    return body
                body += self.rfile.read(size)
                self.rfile.readline(8)
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 <= size <= BODY_BYTES_MAX:
            raise BodyTooLarge
        return self.rfile.read(size)

    def event(self, body):
        path, _, query = self.path.partition("?")
        try:
            text, encoded = body.decode(), False
        except UnicodeDecodeError:
            text, encoded = base64.b64encode(body).decode(), True
        return {
            "method": self.command,
            "path": unquote(path),
            "query": dict(parse_qsl(query, keep_blank_values=True)),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": text,
            "isBase64Encoded": encoded,
        }

    def call(self, body):
        try:
            given = (self.event(body), {})[: self.server.arguments]
            self.answer(*shaped(self.server.handler(*given)))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception:
            traceback.print_exc()
            self.answer(500, {}, b"the handler failed\n")

    def answer(self, status, headers, body):
        self.send_response(status)
        names = {name.lower() for name in headers}
        for name, value in headers.items():
            self.send_header(name, str(value))
        if "content-type" not in names:
            self.send_header("Content-Type", "text/plain; charset=utf-8")
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def call_wsgi(self, body):
        import io

        path, _, query = self.path.partition("?")
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": str(self.server.server_port),
            "SERVER_PROTOCOL": self.request_version,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                environ["HTTP_" + key] = value
        # The length of what a WSGI application answers is known only at its end.
        self.close_connection = True
        handler = SimpleHandler(io.BytesIO(body), self.wfile, sys.stderr, environ, multithread=True)
        handler.http_version = "1.1"
        handler.server_software = "weft"
        handler.run(self.server.handler)


def shaped(result):
    """The status, headers and bytes that a handler's result stands for."""
    if isinstance(result, dict) and "statusCode" in result:
        body = result.get("body", "")
        headers = dict(result.get("headers") or {})
        if result.get("isBase64Encoded"):
            body = base64.b64decode(body)
        elif not isinstance(body, (str, bytes)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        return int(result["statusCode"]), headers, body.encode() if isinstance(body, str) else body
    if result is None:
        return 204, {}, b""
    if isinstance(result, (bytes, bytearray)):
        return 200, {"Content-Type": "application/octet-stream"}, bytes(result)
    if isinstance(result, str):
        return 200, {}, result.encode()
    return 200, {"Content-Type": "application/json"}, json.dumps(result).encode()


class Server(HTTPServer):
    """A thread per connection, so many handlers at a time as the segment's concurrency."""

    request_queue_size = 128
    allow_reuse_address = True

    def process_request(self, request, client_address):
        thread = threading.Thread(target=self.process_connection, args=(request, client_address), daemon=True)
        thread.start()

    def process_connection(self, request, client_address):
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass
        except Exception:
            traceback.print_exc()
        finally:
            self.shutdown_request(request)

    def server_bind(self):
        # HTTPServer's own asks the name server for this host's name.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address[:2]


def arguments_of(handler):
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return 1
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    return min(len(places), 2)


class Rehearsal(Request):
    """On a connection within this process, which knows nothing of TCP."""

    disable_nagle_algorithm = False


def asks_once(server):
    """A request goes all its way, and neither it nor its answer leaves this process."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        with theirs:
            Rehearsal(theirs, ("127.0.0.1", 0), server)


def asks_in_thread(server):
    thread = threading.Thread(target=asks_once, args=(server,), daemon=True)
    thread.start()
    return thread


def warm_up(port):
    """What every request loads and allocates for the first time is not left to a real one."""
    for name in filter(None, os.environ.get("WEFT_LOADS", "").split(",")):
        try:
            importlib.import_module(name)
        except Exception:
            # The handler will do without it, or tell.
            pass
    stand_in = types.SimpleNamespace(
        handler=lambda: {"loaded": True}, events=True, arguments=0, places=threading.Semaphore(1), server_port=port
    )
    asks_in_thread(stand_in).join(1)


def try_out(server):
    """Tells what one request has the handler load, whatever else comes of it."""
    before = set(sys.modules)
    asks_once(server)
    loaded = [name for name in sys.modules if name not in before and name.isascii() and "," not in name]
    print(f"weft: loads {','.join(loaded[:LOADS_MAX])}", file=sys.stderr, flush=True)


def main():
    name, handler = load(os.environ["WEFT_HANDLER"])
    if inspect.iscoroutinefunction(handler):
        refuse(f"the handler `{name}` is asynchronous; make it a plain function or a WSGI application")
    server = Server(("0.0.0.0", int(os.environ["PORT"])), Request, bind_and_activate=False)
    server.handler = handler
    server.events = takes_events(name, handler, os.environ.get("WEFT_INTERFACE", "auto"))
    server.arguments = arguments_of(handler)
    server.places = threading.Semaphore(int(os.environ.get("WEFT_CONCURRENCY", "16")))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    if os.environ.get("WEFT_TRIAL"):
        trial = threading.Thread(target=try_out, args=(server,), daemon=True)
        signal.signal(signal.SIGUSR2, lambda *_: trial.start())
    server.server_bind()
    warm_up(server.server_port)
    server.server_activate()
    server.serve_forever()


main()
