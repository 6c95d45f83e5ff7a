# sizes: 15 22 27
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def handler(event):
    return fibonacci(event["n"])
