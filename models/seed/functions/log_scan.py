# sizes: 2000 50000 300000
import re

LINE = re.compile(r"(\d+) (GET|POST) (/\S+) (\d{3}) (\d+)")


def handler(event):
    text = "\n".join("%d GET /items/%d 200 %d" % (i, i % 1000, i % 777) for i in range(event["n"]))
    slow = 0
    for number, method, path, status, took in LINE.findall(text):
        if int(took) > 700:
            slow += 1
    return slow
