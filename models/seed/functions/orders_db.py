# sizes: 1000 20000 100000
import os
import sqlite3


def prepare(event):
    base = sqlite3.connect(os.path.join(event["folder"], "orders.db"))
    base.execute("create table orders (id integer primary key, customer integer, price real)")
    base.executemany("insert into orders values (?, ?, ?)", ((i, i % 97, i * 0.5) for i in range(event["n"])))
    base.commit()


def handler(event):
    base = sqlite3.connect(os.path.join(event["folder"], "orders.db"))
    for customer in range(50):
        base.execute("update orders set price = price + 1 where customer = ?", (customer,))
        base.commit()
    return base.execute("select customer, sum(price) from orders group by customer").fetchall()
