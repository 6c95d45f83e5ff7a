# sizes: 1000000 10000000 60000000
import os
import urllib.request


def handler(event):
    path = os.path.join(event["folder"], "download")
    with urllib.request.urlopen("%s/%d" % (event["url"], event["n"])) as answer, open(path, "wb") as file:
        while True:
            part = answer.read(65536)
            if not part:
                break
            file.write(part)
    return os.path.getsize(path)
