"""The file that tests/conformance/archive.rs reads: all cases of one operator in one deflate stream.

Little-endian. A string, a list of bytes and a list of numbers each begin with their length. After the 8 bytes of MAGIC: the
seed (u64), the number of cases (u32), the length of what follows once inflated (u32), and a raw deflate stream of the cases.
"""

import struct
import zlib

from schema import TFLITE

MAGIC = b"CASES\x00\x01\n"
PROFILES = ("tflite", "litert")
ABSENT, REFUSED, OUTPUTS, SAME = range(4)  # SAME: as the profile before
TYPES = TFLITE.enums["TensorType"]


def blob(data):
    return struct.pack("<I", len(data)) + data


def dims(shape):
    return struct.pack(f"<B{len(shape)}I", len(shape), *shape)


def outputs(steps):
    """`steps`: per invocation the outputs as `(type, shape, bytes)`."""
    parts = []
    for step in steps:
        parts.append(struct.pack("<B", len(step)))
        for ty, shape, data in step:
            parts.append(struct.pack("<B", TYPES[ty.upper()]) + dims(shape) + blob(data))
    return b"".join(parts)


def case(name, content, inputs, must_refuse, answers):
    """`inputs`: per input a list of arrays; `answers`: profile to `None`, `"refused"` or steps of outputs."""
    steps = max((len(arrays) for arrays in inputs), default=1)
    parts = [blob(name.encode()), blob(content), struct.pack("<BBB", must_refuse, len(inputs), steps)]
    for arrays in inputs:
        parts.append(dims(arrays[0].shape))
        parts += [blob(array.tobytes()) for array in arrays]
    before = None
    for profile in PROFILES:
        answer = answers.get(profile)
        if answer is None:
            parts.append(bytes([ABSENT]))
        elif answer == "refused":
            parts.append(bytes([REFUSED]))
        elif answer == before:
            parts.append(bytes([SAME]))
        else:
            parts.append(bytes([OUTPUTS]) + outputs(answer))
            before = answer
    return b"".join(parts)


def write(path, seed, cases):
    content = b"".join(cases)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    packed = deflate.compress(content) + deflate.flush()
    path.write_bytes(MAGIC + struct.pack("<QII", seed, len(cases), len(content)) + packed)
