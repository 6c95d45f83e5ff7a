# sizes: 1 2 3
def handler(event):
    return {"status": 200, "body": "hello %d" % event["n"]}
