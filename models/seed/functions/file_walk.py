# sizes: 50 300 1000
import hashlib
import os


def prepare(event):
    for i in range(event["n"]):
        folder = os.path.join(event["folder"], "d%d" % (i % 20))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "f%d" % i), "wb") as file:
            file.write(b"%d" % i * 2000)


def handler(event):
    found = {}
    for folder, _, names in os.walk(event["folder"]):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = hashlib.md5(file.read()).hexdigest()
    return len(found)
