# sizes: 1000 50000 300000
import hashlib


def handler(event):
    digest = b"start"
    for _ in range(event["n"]):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()
