# sizes: 1000 20000 200000
import html


def handler(event):
    rows = []
    for i in range(event["n"]):
        cells = "".join("<td>%s</td>" % html.escape("cell <%d>" % (i * j)) for j in range(4))
        rows.append("<tr>" + cells + "</tr>")
    return "<table>" + "".join(rows) + "</table>"
