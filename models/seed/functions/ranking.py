# sizes: 10000 200000 1000000
import random


def handler(event):
    random.seed(7)
    scores = [random.random() for _ in range(event["n"])]
    ranked = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    return ranked[:10]
