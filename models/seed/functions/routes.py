# sizes: 50 200 500
def handler(event):
    n = event["n"]
    distance = [[(i * 37 + j * 91) % 100 + 1 for j in range(n // 5 + 10)] for i in range(n // 5 + 10)]
    size = len(distance)
    for k in range(size):
        for i in range(size):
            for j in range(size):
                through = distance[i][k] + distance[k][j]
                if through < distance[i][j]:
                    distance[i][j] = through
    return sum(map(sum, distance))
