"""Cuts the custom options of every edgetpu-custom-op out of compiled models: seeds for the target `package`.

usage: seeds.py MODELS_FOLDER OUTPUT_FOLDER
"""

import pathlib
import struct
import sys


def table(data, at):
    """Field positions of the table at `at`."""
    vtable = at - struct.unpack_from("<i", data, at)[0]
    size = struct.unpack_from("<H", data, vtable)[0]
    offsets = struct.unpack_from(f"<{(size - 4) // 2}H", data, vtable + 4)
    return [at + offset if offset else None for offset in offsets]


def follow(data, at):
    return at + struct.unpack_from("<I", data, at)[0]


def entries(data, field):
    start = follow(data, field)
    count = struct.unpack_from("<I", data, start)[0]
    return [follow(data, start + 4 + 4 * i) for i in range(count)]


models, output = map(pathlib.Path, sys.argv[1:])
for path in sorted(models.glob("*_edgetpu.tflite")):
    data = path.read_bytes()
    for subgraph in entries(data, table(data, follow(data, 0))[2]):
        for number, operator in enumerate(entries(data, table(data, subgraph)[3])):
            fields = table(data, operator)
            if len(fields) > 5 and fields[5]:
                start = follow(data, fields[5])
                count = struct.unpack_from("<I", data, start)[0]
                if count < 300_000:
                    (output / f"{path.stem}_{number}").write_bytes(data[start + 4 : start + 4 + count])
