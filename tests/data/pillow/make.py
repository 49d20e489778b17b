"""Writes the vectors of this folder: `python make.py` with Pillow 13.0 and NumPy 1.26, in this folder.

`resize.npz`: pictures `MODE_WxH` and, per filter and size, `MODE_WxH/FILTER/WxH` as Pillow's Image.resize gives them.
`grey.npz`: colours `rgb` and `l`, their convert("L").
`pixels.npz`: `TYPE/SCALE/ZERO_POINT/MEAN/STD`, the input value of each of the 256 pixels by the lines of pycoral's
examples/classify_image.py; float32 by their formula without scale and zero point.
"""

import numpy as np
from PIL import Image

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZES = {
    ("RGB", 17, 13): [(5, 4), (17, 4), (8, 13), (16, 16), (23, 31), (1, 1), (34, 26)],
    ("RGB", 1, 1): [(3, 2)],
    ("RGB", 2, 40): [(7, 3), (1, 64)],
    ("L", 61, 3): [(7, 7), (60, 1), (28, 28)],
    ("L", 28, 28): [(9, 10), (28, 29), (41, 13)],
    ("L", 3, 97): [(3, 10), (5, 96)],
}

random = np.random.default_rng(5)
vectors = {}
for (mode, width, height), targets in SIZES.items():
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    # Half of the bytes black or white, where clipping shows.
    pixels = np.clip(random.integers(-128, 384, shape), 0, 255).astype(np.uint8)
    source = f"{mode}_{width}x{height}"
    vectors[source] = pixels
    for name, code in FILTERS.items():
        for target in targets:
            resized = Image.fromarray(pixels).resize(target, code)
            vectors[f"{source}/{name}/{target[0]}x{target[1]}"] = np.asarray(resized)
np.savez_compressed("resize.npz", **vectors)

corners = [[r, g, b] for r in (0, 1, 127, 255) for g in (0, 2, 128, 255) for b in (0, 3, 200, 255)]
rgb = np.concatenate([np.array(corners, np.uint8), random.integers(0, 256, (64, 3)).astype(np.uint8)])[None]
np.savez_compressed("grey.npz", rgb=rgb, l=np.asarray(Image.fromarray(rgb).convert("L")))

pixels = np.arange(256, dtype=np.uint8)
tables = {}
for scale, zero_point, mean, std in [
    (1 / 128, 128, 128.0, 128.0),
    (0.0078125, 127, 128.0, 128.0),
    (0.007874016, 128, 127.5, 127.5),
    (0.003921569, 0, 0.0, 255.0),
    (0.003921569, 0, 128.0, 128.0),
    (0.018658448, 114, 123.675, 58.395),
    (0.02, 255, 0.1, 3.0),
]:
    # The dtypes of the interpreter's quantization_parameters.
    scales, zero_points = np.array([scale], np.float32), np.array([zero_point], np.int32)
    if abs(scales * std - 1) < 1e-5 and abs(mean - zero_points) < 1e-5:
        values = pixels
    else:
        normalized = (pixels - mean) / (std * scales) + zero_points
        np.clip(normalized, 0, 255, out=normalized)
        values = normalized.astype(np.uint8)
    tables[f"uint8/{scale}/{zero_point}/{mean}/{std}"] = values
for mean, std in [(128.0, 128.0), (0.0, 255.0), (123.675, 58.395)]:
    tables[f"float32/0/0/{mean}/{std}"] = ((pixels - mean) / std).astype(np.float32)
np.savez_compressed("pixels.npz", **tables)
