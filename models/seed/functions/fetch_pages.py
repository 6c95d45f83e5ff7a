# sizes: 1000 100000 2000000
import urllib.request


def handler(event):
    sizes = []
    for _ in range(20):
        with urllib.request.urlopen("%s/%d" % (event["url"], event["n"])) as answer:
            sizes.append(len(answer.read()))
    return sum(sizes)
