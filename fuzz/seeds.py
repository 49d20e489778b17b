"""Seeds for the fuzz targets, out of files that hold them.

usage: seeds.py options MODELS_FOLDER OUTPUT_FOLDER   custom options of every edgetpu-custom-op of compiled models
       seeds.py models VECTORS_FOLDER OUTPUT_FOLDER   models of tests/conformance/vectors: every operator, every type
"""

import pathlib
import struct
import sys
import zlib

# Longer ones are not worth their time: libFuzzer gets no further than this (see run.sh).
LONGEST = 300_000


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


def blob(data, at):
    """Bytes with their length in front, and the position behind them."""
    start = at + 4
    end = start + struct.unpack_from("<I", data, at)[0]
    return data[start:end], end


def options(models):
    for path in sorted(models.glob("*_edgetpu.tflite")):
        data = path.read_bytes()
        for subgraph in entries(data, table(data, follow(data, 0))[2]):
            for number, operator in enumerate(entries(data, table(data, subgraph)[3])):
                fields = table(data, operator)
                if len(fields) > 5 and fields[5]:
                    yield f"{path.stem}_{number}", blob(data, follow(data, fields[5]))[0]


def models(vectors):
    """The layout is told in tests/conformance/archive.py; a case begins with its name and its model."""
    for path in sorted(vectors.glob("*.cases")):
        cases = zlib.decompress(path.read_bytes()[24:], -15)
        # A model is where its identifier is, 8 bytes behind its length.
        at = cases.find(b"TFL3")
        while at >= 0:
            model, end = blob(cases, at - 8)
            yield f"{path.stem}_{at}", model
            at = cases.find(b"TFL3", end)


if __name__ == "__main__":
    kind, source, output = sys.argv[1:]
    for name, seed in {"options": options, "models": models}[kind](pathlib.Path(source)):
        if len(seed) <= LONGEST:
            (pathlib.Path(output) / name).write_bytes(seed)
