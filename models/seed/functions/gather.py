# sizes: 10 40 100
import urllib.request
from concurrent.futures import ThreadPoolExecutor


def fetch(url):
    with urllib.request.urlopen(url) as answer:
        return len(answer.read())


def handler(event):
    urls = ["%s/%d" % (event["url"], 20000) for _ in range(event["n"])]
    with ThreadPoolExecutor(max_workers=8) as pool:
        return sum(pool.map(fetch, urls))
