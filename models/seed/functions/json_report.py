# sizes: 1000 30000 150000
import json


def handler(event):
    orders = [{"id": i, "name": "item %d" % i, "price": i * 1.25, "tags": ["a", "b"]} for i in range(event["n"])]
    text = json.dumps(orders)
    total = 0
    for order in json.loads(text):
        total += order["price"]
    return {"total": total, "bytes": len(text)}
