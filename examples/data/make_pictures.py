#!/usr/bin/env python3
"""Makes the sample pictures next to this script from Fashion-MNIST's test images.

- one 28x28 grey PNG per class (`sneaker.png`, ...), the test image unchanged: light on black;
- larger RGB pictures (`large_*.png`) as a shop shows its goods: the test image enlarged smoothly,
  turned dark on white, tinted, and set in a wider or taller white frame.

With `--measure N` it writes nothing: it passes the first N test images through the larger form and
back (grey, squeezed to 28x28 whatever the aspect, inverted) and prints the accuracy of the bundled
model on them.

Needs:
  pip: numpy pillow, and tflite-runtime==2.14.0 "numpy<2" for --measure
  apt: dataset-fashion-mnist
"""

import argparse
import gzip
import pathlib

import numpy as np
from PIL import Image, ImageFilter

HERE = pathlib.Path(__file__).resolve().parent

# Test image number of each 28x28 sample.
SMALL = {
    "t_shirt_top": 19,
    "trouser": 2,
    "pullover": 54,
    "dress": 13,
    "coat": 79,
    "sandal": 82,
    "shirt": 7,
    "sneaker": 22,
    "bag": 30,
    "ankle_boot": 28,
}

# Name: test image number, frame (width, height), darkest colour.
LARGE = {
    "large_ankle_boot": (158, (320, 240), (64, 34, 12)),
    "large_bag": (69, (320, 240), (110, 12, 30)),
    "large_trouser": (64, (240, 320), (14, 26, 70)),
}


def read_idx(path):
    """One gzipped idx file of unsigned bytes (magic 00 00 08 <rank>, big-endian dimensions)."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise SystemExit(f"{path}: not an idx file of bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def shop_picture(pixels, frame, darkest):
    """uint8 [28, 28], light on black -> RGB picture of `frame`, dark on white."""
    side = min(frame) - 16
    smooth = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    smooth = smooth.filter(ImageFilter.GaussianBlur(side / 28 / 4))
    weight = np.asarray(smooth, np.float32)[..., None] / 255.0
    colour = np.rint(255.0 - weight * (255.0 - np.array(darkest, np.float32)))
    picture = Image.new("RGB", frame, "white")
    place = ((frame[0] - side) // 2, (frame[1] - side) // 2)
    picture.paste(Image.fromarray(colour.astype(np.uint8)), place)
    return picture


def model_pixels(picture):
    """RGB picture on white -> uint8 [28, 28], light on black."""
    grey = picture.convert("L").resize((28, 28), Image.Resampling.LANCZOS)
    return 255 - np.asarray(grey)


def measure(images, labels):
    import tflite_runtime.interpreter as tflite

    interpreter = tflite.Interpreter(
        str(HERE / "fashion_mnist_int8.tflite"),
        experimental_op_resolver_type=tflite.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    exit_ = interpreter.get_output_details()[0]["index"]

    def named(pixels):
        codes = (pixels.astype(np.int16) - 128).astype(np.int8)
        interpreter.set_tensor(entry, codes[None, ..., None])
        interpreter.invoke()
        return np.argmax(interpreter.get_tensor(exit_)[0])

    unchanged = [named(pixels) for pixels in images]
    print(f"{len(images)} test images unchanged: {100 * np.mean(unchanged == labels):.1f} %")
    for frame in [(240, 240), (320, 240), (240, 320)]:
        got = [named(model_pixels(shop_picture(p, frame, (20, 30, 60)))) for p in images]
        print(f"as {frame[0]}x{frame[1]} on white: {100 * np.mean(got == labels):.1f} %")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        default=pathlib.Path("/usr/share/datasets/fashion-mnist"),
        help="folder of the idx .gz files (default: %(default)s)",
    )
    parser.add_argument("--measure", type=int, default=0, metavar="N")
    args = parser.parse_args()
    images = read_idx(args.data / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(args.data / "t10k-labels-idx1-ubyte.gz")
    if args.measure:
        measure(images[: args.measure], labels[: args.measure])
        return
    for name, index in SMALL.items():
        Image.fromarray(images[index]).save(HERE / f"{name}.png", optimize=True)
    for name, (index, frame, darkest) in LARGE.items():
        picture = shop_picture(images[index], frame, darkest)
        picture.save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
