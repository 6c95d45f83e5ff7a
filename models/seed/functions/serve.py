"""Answers GET /N with N bytes after ten milliseconds: python3 serve.py. Prints its port once it listens."""
import http.server
import time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        length = int(self.path.strip("/") or 0)
        time.sleep(0.01)
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(b"x" * length)

    def log_message(self, *words):
        """Says nothing."""


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
