"""The shop's till: asks cart, price and stock in a row, adds up, and writes a receipt with jinja2.

POST /checkout?items=7,7,12   the receipt; 502 when one of the three did not answer, 409 when too little is left

CART, PRICE and STOCK say where the three are, as address:port.
"""
import http.client
import json
import os
import urllib.parse
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from jinja2 import Environment, StrictUndefined

RECEIPT = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    """<h1>Receipt {{ number }}</h1>
<p>{{ at.isoformat(timespec="seconds") }}</p>
<table>
{% for line in lines %}
<tr><td>{{ line.title }}<td>{{ line.pieces }}<td>{{ "%.2f" | format(line.total) }}
{% endfor %}
</table>
<p>Total {{ "%.2f" | format(total) }}</p>
"""
)


class Unanswered(Exception):
    """One of the three did not answer."""


class SoldOut(Exception):
    """Too little is left."""


def ask(who, path):
    """One call, on a connection of its own."""
    connection = http.client.HTTPConnection(os.environ[who], timeout=30)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{who.lower()}: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise Unanswered(f"{who.lower()}: status {answer.status}")
    return json.loads(body)


def receipt(items):
    lines = ask("CART", f"/cart?items={items}")["lines"]
    wanted = ",".join(str(line["item"]) for line in lines)
    prices = ask("PRICE", f"/prices?items={wanted}")
    left = ask("STOCK", f"/stock?items={wanted}")
    for line in lines:
        if left[str(line["item"])] < line["pieces"]:
            raise SoldOut(line["title"])
        line["total"] = Decimal(prices[str(line["item"])]) * line["pieces"] / 100
    total = sum((line["total"] for line in lines), Decimal(0))
    return RECEIPT.render(number=uuid.uuid4().hex[:8], at=datetime.now(timezone.utc), lines=lines, total=total)


class Checkout(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        url = urllib.parse.urlsplit(self.path)
        items = urllib.parse.parse_qs(url.query).get("items", [""])[0]
        if url.path != "/checkout":
            return self.answer(404, "no such page\n")
        try:
            self.answer(200, receipt(items))
        except Unanswered as error:
            self.answer(502, f"{error}\n")
        except SoldOut as title:
            self.answer(409, f"too little is left of {title}\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("", int(os.environ.get("PORT", "8080"))), Checkout).serve_forever()
