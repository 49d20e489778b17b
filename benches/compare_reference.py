#!/usr/bin/env python3
"""Our reference kernels beside LiteRT's BUILTIN_REF: CPU time of one inference and size of the arena, in one run.

    pip install ai-edge-litert==2.3.0 'numpy<2'
    cargo bench --no-run
    python3 benches/compare_reference.py CORPUS/models/NAME.tflite ... > benches/results/reference.md

One thread each. The two take turns round by round, so that a machine that slows down slows both. LiteRT's arena is read
from the addresses of its tensors: the span from the lowest to the end of the highest tensor that is no constant, after
allocate_tensors (constants lie in the model file, outside the span; allocations of neighbouring tensors are contiguous).
"""
import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def ours(binary, models, iterations):
    command = [binary, "--bench", "--iters", str(iterations), "--kernels", "reference", *models]
    rows = {}
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        name, least, median, arena = line.split("\t")
        rows[name] = (float(least), float(median), int(arena))
    return rows


def reference(path):
    interpreter = Interpreter(path, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        floats = detail["dtype"] == np.float32
        count = int(np.prod(detail["shape"])) * (1 if floats else np.dtype(detail["dtype"]).itemsize)
        pattern = ((np.arange(count, dtype=np.uint64) * 2654435761 >> np.uint64(7)) & np.uint64(0x3F)).astype(np.uint8)
        # The tool's own inputs: bytes as they are, float32 from 0 to 1.
        elements = pattern.astype(np.float32) / 64 if floats else pattern.view(detail["dtype"])
        interpreter.set_tensor(detail["index"], elements.reshape(detail["shape"]))
    return interpreter


def arena(interpreter, path):
    """Bytes from the lowest to the highest address of the tensors that inference computes."""
    details = interpreter.get_tensor_details()
    computed = {index for op in interpreter._get_ops_details() for index in op["outputs"]}
    computed |= {detail["index"] for detail in interpreter.get_input_details()}
    low, high = None, None
    for detail in details:
        if detail["index"] not in computed:
            continue
        array = interpreter.tensor(detail["index"])()
        start = array.__array_interface__["data"][0]
        if not start or not array.nbytes:
            continue
        low = start if low is None else min(low, start)
        high = start + array.nbytes if high is None else max(high, start + array.nbytes)
    return high - low


def bench_binary():
    listing = subprocess.run(["cargo", "bench", "--bench", "invoke", "--no-run"], check=True, capture_output=True, text=True)
    return re.search(r"\((.*)\)", listing.stderr.splitlines()[-1]).group(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iters", type=int, default=5)
    options = parser.parse_args()
    binary = bench_binary()
    table, refused = [], []
    for path in options.models:
        name = os.path.splitext(os.path.basename(path))[0]
        try:
            interpreter = reference(path)
        except ValueError as error:
            refused.append(f"{name} ({str(error).split('.')[0]})")
            continue
        interpreter.invoke()
        own, peer, arena_bytes = [], [], 0
        for _ in range(options.rounds):
            least, median, arena_bytes = ours(binary, [path], options.iters)[name]
            own.append((least, median))
            times = []
            for _ in range(options.iters):
                start = time.process_time_ns()
                interpreter.invoke()
                times.append((time.process_time_ns() - start) / 1e3)
            times.sort()
            peer.append((times[0], times[len(times) // 2]))
        least = min(r[0] for r in own), min(r[0] for r in peer)
        median = sorted(r[1] for r in own)[options.rounds // 2], sorted(r[1] for r in peer)[options.rounds // 2]
        table.append((name, least, median, arena_bytes, arena(interpreter, path)))
        print(f"{name}: {least[0]:.0f} us, reference {least[1]:.0f} us", file=sys.stderr)
    processor = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    print("# Reference kernels beside LiteRT's\n")
    print(f"{datetime.date.today()}, {processor} ({platform.machine()}), one thread, CPU time of one inference in microseconds,")
    print(f"{options.rounds} rounds in turn of {options.iters} inferences each; ai-edge-litert 2.3.0 BUILTIN_REF.")
    print("Repeat: see `benches/compare_reference.py`.\n")
    print("| model | ours min | LiteRT min | ratio | ours median | LiteRT median | ratio | our arena, bytes | LiteRT's |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, least, median, mine, theirs in table:
        print(
            f"| {name} | {least[0]:.0f} | {least[1]:.0f} | {least[0] / least[1]:.2f} | {median[0]:.0f} | {median[1]:.0f} "
            f"| {median[0] / median[1]:.2f} | {mine} | {theirs} |"
        )
    if refused:
        print("\nRefused by LiteRT: " + ", ".join(refused) + ".")


if __name__ == "__main__":
    main()
