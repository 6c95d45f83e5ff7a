"""The shop's carts. A cart is kept by the customer and comes with every request; here it is counted and cleaned.

GET /cart?items=7,7,12   its lines, each with its number of pieces
"""
import json
import os
import sqlite3
import urllib.parse
from collections import Counter
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECES_MAX = 20


@dataclass(frozen=True)
class Line:
    item: int
    title: str
    pieces: int


def known_titles():
    """Titles by number, checked by the database that keeps them."""
    import csv

    books = sqlite3.connect(":memory:")
    books.execute("create table item (id integer primary key, title text not null)")
    with open("/items.csv", newline="", encoding="utf-8") as file:
        books.executemany("insert into item values (:id, :title)", csv.DictReader(file))
    return dict(books.execute("select id, title from item"))


TITLES = known_titles()


def lines(items):
    pieces = Counter(int(item) for item in items.split(",") if item.strip().isdigit())
    known = ((item, count) for item, count in sorted(pieces.items()) if item in TITLES)
    return [Line(item, TITLES[item], min(count, PIECES_MAX)) for item, count in known]


class Cart(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        found = url.path == "/cart"
        items = urllib.parse.parse_qs(url.query).get("items", [""])[0]
        body = json.dumps({"lines": [asdict(line) for line in lines(items)]} if found else {"error": "no such page"})
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("", int(os.environ.get("PORT", "8080"))), Cart).serve_forever()
