#!/usr/bin/env python3
"""Rounds an array with `corallite qat fq` and checks the answer against TensorFlow 2's formula, operation by operation.

    cargo build --release --features cli
    python3 examples/qat_fake_quant.py target/release/corallite

Needs NumPy, nothing else.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

BITS = 4


def formula(x, low, high):
    """FakeQuantWithMinMaxVars of TensorFlow 2 in float32, and where its gradient passes."""
    f = np.float32
    steps = f(2**BITS - 1)
    scale = (high - low) / steps
    zero = np.clip(np.floor(-low / scale + f(0.5)), f(0), steps)  # the zero point, half upwards: it is not negative
    nudged_low, nudged_high = (f(0) - zero) * scale, (steps - zero) * scale
    inverse = steps / (high - low)
    code = (np.clip(x, nudged_low, nudged_high) - nudged_low) / scale - np.floor(-nudged_low * inverse + f(0.5))
    return np.floor(code + f(0.5)) * scale, (nudged_low <= x) & (x <= nudged_high)


def main(tool):
    x = np.linspace(-2, 2, 1001, dtype=np.float32)
    gradient = np.ones_like(x)
    low, high = np.float32(-1), np.float32(1.5)
    with tempfile.TemporaryDirectory() as folder:
        question, answer = pathlib.Path(folder) / "in.npz", pathlib.Path(folder) / "out.npz"
        np.savez(question, x=x, g=gradient)
        arguments = ["qat", "fq", question, "--min", str(low), "--max", str(high), "--bits", str(BITS),
                     "--profile", "tf2", "--grad", "-o", answer]
        subprocess.run([tool, *arguments], check=True)
        told = dict(np.load(answer))
    y, passes = formula(x, low, high)
    np.testing.assert_array_equal(told["y"], y)
    np.testing.assert_array_equal(told["dx"], gradient * passes)
    outside = [np.count_nonzero(x < y.min()), np.count_nonzero(x > y.max())]
    assert [told["dmin"], told["dmax"]] == outside, (told["dmin"], told["dmax"], outside)
    print(f"{len(x)} values on {len(np.unique(y))} levels, largest rounding {np.abs(y - x)[passes].max():.4f}")


main(sys.argv[1])
