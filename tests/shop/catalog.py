"""The shop's catalogue: flask over sqlite, served by waitress.

GET /items?genre=novel   titles of a genre, or of all
GET /items/7             one item
GET /search?q=bread      items whose title holds the word
"""
import csv
import os
import sqlite3
from decimal import Decimal

from flask import Flask, abort, jsonify, request
from waitress import serve

app = Flask(__name__)
shelf = sqlite3.connect(":memory:", check_same_thread=False)
shelf.row_factory = sqlite3.Row


def stock_the_shelf():
    shelf.execute("create table item (id integer primary key, title text, genre text, cents integer)")
    with open("/items.csv", newline="", encoding="utf-8") as file:
        rows = [(row["id"], row["title"], row["genre"], row["cents"]) for row in csv.DictReader(file)]
    shelf.executemany("insert into item values (?, ?, ?, ?)", rows)
    shelf.execute("create index by_genre on item (genre)")


def shown(row):
    return {"id": row["id"], "title": row["title"], "genre": row["genre"], "price": str(Decimal(row["cents"]) / 100)}


@app.get("/items")
def items():
    genre = request.args.get("genre")
    rows = shelf.execute("select * from item where ?1 is null or genre = ?1 order by title", (genre,))
    return jsonify([shown(row) for row in rows])


@app.get("/items/<int:number>")
def item(number):
    row = shelf.execute("select * from item where id = ?", (number,)).fetchone()
    return jsonify(shown(row)) if row else abort(404)


@app.get("/search")
def search():
    word = request.args.get("q", "")
    rows = shelf.execute("select * from item where instr(lower(title), lower(?)) order by title", (word,))
    return jsonify([shown(row) for row in rows])


stock_the_shelf()
serve(app, host="0.0.0.0", port=int(os.environ.get("PORT", "8080")), threads=8, _quiet=True)
