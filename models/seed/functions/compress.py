# sizes: 1000 20000 60000
import gzip
import os
import shutil


def prepare(event):
    with open(os.path.join(event["folder"], "in.log"), "w") as file:
        for i in range(event["n"]):
            file.write("%d GET /items/%d 200 %d microseconds\n" % (i, i * 7919 % 10007, i % 977))


def handler(event):
    source = os.path.join(event["folder"], "in.log")
    target = os.path.join(event["folder"], "out.gz")
    with open(source, "rb") as reading, gzip.open(target, "wb") as writing:
        shutil.copyfileobj(reading, writing)
    return os.path.getsize(target)
