# sizes: 10000 300000 2000000
import os
from collections import Counter


def prepare(event):
    words = ["lorem%d" % (i * i % 5003) for i in range(event["n"])]
    with open(os.path.join(event["folder"], "text.txt"), "w") as file:
        file.write(" ".join(words))


def handler(event):
    with open(os.path.join(event["folder"], "text.txt")) as file:
        text = file.read()
    counts = Counter(text.split())
    return counts.most_common(10)
