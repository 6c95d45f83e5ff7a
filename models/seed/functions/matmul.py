# sizes: 200 600 1200
import numpy as np


def handler(event):
    n = event["n"]
    a = np.random.rand(n, n)
    b = np.random.rand(n, n)
    return float(np.matmul(a, b).sum())
