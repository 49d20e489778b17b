#!/usr/bin/env python3
"""Our kernels beside LiteRT's in one run: XNNPACK (its default), ruy (no delegate) and its reference kernels.

    python3 -m venv peers && peers/bin/pip install ai-edge-litert==2.3.0 'numpy<2'
    cargo build --release --features cli
    peers/bin/python benches/peers.py CORPUS/models/NAME.tflite ... > benches/results/peers.md

CPU time of one inference, the least of all inferences of all rounds, in microseconds; the peers take turns round by round, so that a
machine that slows down slows all. With two threads it is wall time. Load and first inference are wall time of a fresh process. Each
measurement is a process of its own: this script calls itself with --peer. Behind `LD_PRELOAD=$PWD/without_avx512.so` both sides are
measured without AVX-512: see benches/without_avx512.c.
"""
import argparse
import datetime
import json
import math
import os
import platform
import subprocess
import sys
import time

TOOL = os.path.join(os.path.dirname(__file__), "..", "target", "release", "corallite")


def peer(path, kind, threads, seconds):
    """Measures a LiteRT interpreter in this process and prints one line of JSON."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolvers = {
        "xnnpack": OpResolverType.AUTO,
        "ruy": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "ref": OpResolverType.BUILTIN_REF,
    }
    start = time.perf_counter()
    interpreter = Interpreter(path, num_threads=threads, experimental_op_resolver_type=resolvers[kind])
    interpreter.allocate_tensors()
    load = time.perf_counter() - start
    for detail in interpreter.get_input_details():
        floats = detail["dtype"] == np.float32
        count = int(np.prod(detail["shape"])) * (1 if floats else np.dtype(detail["dtype"]).itemsize)
        pattern = ((np.arange(count, dtype=np.uint64) * 2654435761 >> np.uint64(7)) & np.uint64(0x3F)).astype(np.uint8)
        # The tool's own inputs: bytes as they are, float32 from 0 to 1.
        elements = pattern.astype(np.float32) / 64 if floats else pattern.view(detail["dtype"])
        interpreter.set_tensor(detail["index"], elements.reshape(detail["shape"]))
    start = time.perf_counter()
    interpreter.invoke()
    first = time.perf_counter() - start
    cpu, wall, count = math.inf, math.inf, 0
    end = time.monotonic() + seconds
    while count < 3 or time.monotonic() < end:
        began, spent = time.perf_counter(), time.process_time()
        interpreter.invoke()
        spent = time.process_time() - spent
        # Virtual machines show clocks that stand still.
        cpu = min(cpu, spent if spent > 0 else math.inf)
        wall = min(wall, time.perf_counter() - began)
        count += 1
    micros = {"cpu_us": cpu, "min_us": wall, "load_us": load, "first_us": first}
    print(json.dumps({name: value * 1e6 for name, value in micros.items()}))


def ours(path, threads, seconds, guess):
    iterations = max(3, int(seconds * 1e6 / max(guess, 1)))
    command = [TOOL, "bench", path, "--threads", str(threads), "--iters", str(iterations), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True)
    return json.loads(answer.stdout) if answer.returncode == 0 else None


def theirs(path, kind, threads, seconds):
    command = [sys.executable, __file__, "--peer", kind, "--threads", str(threads), "--seconds", str(seconds), path]
    answer = subprocess.run(command, capture_output=True, text=True)
    return json.loads(answer.stdout) if answer.returncode == 0 else None


def least(into, name, measured):
    for key, value in (measured or {}).items():
        if isinstance(value, (int, float)):
            slot = (name, key)
            into[slot] = min(into.get(slot, math.inf), value)


def measure(path, options):
    found = {}
    guess = 1000.0
    for _ in range(options.rounds):
        for threads in options.threads:
            mine = ours(path, threads, options.seconds, guess)
            if mine is None:
                return None
            guess = mine["median_us"]
            least(found, f"ours{threads}", mine)
            for kind in ("xnnpack", "ruy"):
                least(found, f"{kind}{threads}", theirs(path, kind, threads, options.seconds))
    least(found, "ref1", theirs(path, "ref", 1, 0.0))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="behind the models: 1, or 1 2")
    parser.add_argument("--peer", choices=["xnnpack", "ruy", "ref"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        return peer(options.models[0], options.peer, options.threads[0], options.seconds)
    processor = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    flags = next((l for l in open("/proc/cpuinfo") if l.startswith("flags")), "")
    vector = [name for name in ("avx2", "avx512bw", "avx512_vnni") if f" {name}" in flags]
    if "without_avx512" in os.environ.get("LD_PRELOAD", ""):
        vector = ["avx2", "AVX-512 hidden by without_avx512.so"]
    print("# Beside LiteRT's kernels\n")
    print(f"{datetime.date.today()}, {processor} ({platform.machine()}, {', '.join(vector)}), ai-edge-litert 2.3.0,")
    print(f"{options.rounds} rounds in turn, load average {os.getloadavg()[0]:.0f} on {os.cpu_count()} processors when it began.")
    print("One thread: least CPU time of an inference in microseconds. Two threads: least wall time. `x` is XNNPACK's time over")
    print("ours: above 1 we are faster. XNNPACK and ruy do not give the reference kernels' bits, ours do. Repeat: see `benches/peers.py`.\n")
    print("| model | ours | XNNPACK | x | ruy | REF | REF / ours | ours 2t | XNNPACK 2t | x 2t | ruy 2t | load + first: ours | XNNPACK |")
    print("|---|" + "---:|" * 12)
    ratios, refused = [], []
    for path in options.models:
        name = os.path.splitext(os.path.basename(path))[0]
        found = measure(path, options)
        if found is None or ("xnnpack1", "cpu_us") not in found:
            refused.append(name)
            continue
        cell = lambda who, key="cpu_us": f"{found[who, key]:.0f}" if (who, key) in found else "-"
        both = lambda who: f"{found[who, 'load_us'] + found[who, 'first_us']:.0f}"
        mine = found["ours1", "cpu_us"]
        ratio = found["xnnpack1", "cpu_us"] / mine
        ratios.append(ratio)
        theirs2, mine2 = (found.get((who, "min_us")) for who in ("xnnpack2", "ours2"))
        second = f"{theirs2 / mine2:.2f}" if theirs2 and mine2 else "-"
        reference = f"{found['ref1', 'cpu_us'] / mine:.1f}" if ("ref1", "cpu_us") in found else "-"
        print(
            f"| {name} | {mine:.0f} | {cell('xnnpack1')} | {ratio:.2f} | {cell('ruy1')} | {cell('ref1')} | {reference} "
            f"| {cell('ours2', 'min_us')} | {cell('xnnpack2', 'min_us')} | {second} | {cell('ruy2', 'min_us')} | {both('ours1')} | {both('xnnpack1')} |",
            flush=True,
        )
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"\nGeometric mean of x: {mean:.2f} over {len(ratios)} models.")
    if refused:
        print("\nNot run by both: " + ", ".join(refused) + ".")


if __name__ == "__main__":
    main()
