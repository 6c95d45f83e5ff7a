# sizes: 400 1600 4000
import os

from PIL import Image, ImageFilter


def prepare(event):
    n = event["n"]
    Image.effect_noise((n, n * 3 // 4), 60).convert("RGB").save(os.path.join(event["folder"], "in.jpg"))


def handler(event):
    image = Image.open(os.path.join(event["folder"], "in.jpg"))
    image = image.rotate(90).filter(ImageFilter.BLUR)
    image.thumbnail((128, 128))
    image.save(os.path.join(event["folder"], "out.png"))
    return image.size
