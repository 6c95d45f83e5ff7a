# sizes: 200 800 2000
from numpy import linalg, random


def handler(event):
    n = event["n"]
    a = random.rand(n, n)
    b = random.rand(n)
    x = linalg.solve(a, b)
    return {"residual": float(abs(a @ x - b).max())}
