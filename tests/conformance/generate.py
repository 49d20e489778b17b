#!/usr/bin/env python3
"""Draws models of single operators, runs them on the peers' reference kernels and writes archives for the Rust test.

    python generate.py --seed 7 --out DIR            cases of every operator
    python generate.py --seed 7 --only ADD --out DIR of some operators or generators
    python generate.py --seed 7 --case ADD/int8/3    one case: the peers' answers, and the model beside them
    python generate.py --subset [--only ADD]         the committed subset, tests/conformance/vectors

Needs numpy<2, flatbuffers, tflite-runtime==2.14.0 and ai-edge-litert==2.3.0.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

import archive
import registry
from peer import Peer

HERE = Path(__file__).resolve().parent
SUBSET_CASES = 4  # per generator of weight 1
SUBSET_BYTES = 12_000  # the largest case
PEERS = {}


def peers():
    """This process's peers, started when first needed."""
    for profile in archive.PROFILES:
        PEERS.setdefault(profile, Peer(profile))
    return PEERS


def answer_of(model):
    """What the peers say of a model: profile to `(status, steps of outputs or a reason)`."""
    content = model.bytes()
    inputs = [steps for _, steps in model.input_data]
    running = [peer for profile, peer in peers().items() if profile in model.profiles]
    for peer in running:
        peer.send((content, inputs, model.resolver, model.mask))
    answers = {}
    for peer in running:
        status, said = peer.receive()
        if status == "outputs":
            count = max((len(steps) for steps in inputs), default=1)
            said = [[(ty, shape, steps[i]) for ty, shape, steps in said] for i in range(count)]
        if model.expected is not None:
            status, said = "outputs", [[(ty, a.shape, a.tobytes()) for ty, a in model.expected]]
        answers[peer.profile] = (status, said)
    return content, inputs, answers


def cases_of(generator, seed, count, subset):
    """Up to `count` cases of a generator as bytes, and how often each peer gave what."""
    cases, tally, reasons = [], Counter(), Counter()
    for index in range(count * 8 if subset else count):
        if len(cases) == count:
            break
        model = generator.case(seed, index)
        if model is None:
            continue
        content, inputs, answers = answer_of(model)
        for profile, (status, said) in answers.items():
            tally[profile, status] += 1
            if status != "outputs":
                reasons[f"{profile} {status}: {said.strip().splitlines()[0] if said.strip() else ''}"[:160]] += 1
        kept = {p: said if status == "outputs" else "refused" for p, (status, said) in answers.items()}
        # A crash is no refusal: nothing is learnt from it.
        kept = {p: said for p, said in kept.items() if answers[p][0] != "crashed"}
        worth = any(said != "refused" for said in kept.values()) or (model.must_refuse and kept)
        packed = archive.case(f"{generator.name}/{index}", content, inputs, model.must_refuse, kept)
        if subset and (not worth or len(packed) > SUBSET_BYTES):
            continue
        cases.append(packed)
    return cases, tally, reasons


def write_operator(job):
    operator, generators, seed, count, subset, out = job
    cases, lines = [], []
    for generator in generators:
        wanted = max(1, round(count * generator.weight))
        made, tally, reasons = cases_of(generator, seed, wanted, subset)
        cases += made
        counts = " ".join(f"{profile} {status} {n};" for (profile, status), n in sorted(tally.items()))
        lines.append(f"{generator.name}: {len(made)} cases; {counts}")
        lines += [f"    {n} x {reason}" for reason, n in reasons.most_common(3)]
    archive.write(Path(out) / f"{operator}.cases", seed, cases)
    return len(cases), lines


def show(generators, seed, name):
    """One case in full."""
    generator, index = name.rsplit("/", 1)
    found = [g for g in generators if g.name == generator]
    if not found:
        sys.exit(f"no generator {generator}")
    model = found[0].case(seed, int(index))
    content, inputs, answers = answer_of(model)
    path = Path(f"{name.replace('/', '_')}.tflite")
    path.write_bytes(content)
    print(f"{path}: {len(content)} bytes")
    for subgraph in model.subgraphs:
        for tensor in subgraph.tensors:
            print("  tensor", tensor)
        for operator in subgraph.operators:
            print("  operator", operator)
    np.set_printoptions(threshold=200)
    for number, steps in enumerate(inputs):
        print(f"input {number}:", *steps, sep="\n")
    for profile, (status, said) in answers.items():
        print(f"{profile} {status}")
        if status != "outputs":
            print(said)
            continue
        for step in said:
            for ty, shape, data in step:
                print(np.frombuffer(data, ty).reshape(shape))


def chosen(generators, only):
    """Those whose operator or name begins with one of the comma-separated words."""
    if only is None:
        return generators
    words = only.split(",")
    return [g for g in generators if any(g.operator == w or g.name.startswith(w + "/") or g.name == w for w in words)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=8, help="cases per generator of weight 1 (default 8)")
    parser.add_argument("--only", help="operators or generators, comma-separated")
    parser.add_argument("--out", help="folder for the archives")
    parser.add_argument("--case", help="one case by name, shown in full")
    parser.add_argument("--subset", action="store_true", help="write the committed subset")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--least", type=int, default=0, help="fail with fewer cases than this")
    parser.add_argument("--verbose", action="store_true", help="what the peers said, generator by generator")
    given = parser.parse_args()
    generators = chosen(registry.load_all(), given.only)
    if given.case:
        show(registry.load_all(), given.seed, given.case)
        return
    if not generators:
        sys.exit(f"no generator matches {given.only}")
    out = HERE / "vectors" if given.subset else Path(given.out or sys.exit("--out DIR or --subset"))
    out.mkdir(parents=True, exist_ok=True)
    count = SUBSET_CASES if given.subset else given.cases
    by_operator = {}
    for generator in generators:
        by_operator.setdefault(generator.operator, []).append(generator)
    # Archives hold all generators of an operator: a subset of them would drop the others.
    if given.subset:
        by_operator = {o: [g for g in registry.GENERATORS.values() if g.operator == o] for o in by_operator}
    jobs = [(o, sorted(g, key=lambda g: g.name), given.seed, count, given.subset, str(out)) for o, g in by_operator.items()]
    began, total = time.time(), 0
    with multiprocessing.Pool(given.jobs) as pool:
        for made, lines in pool.imap_unordered(write_operator, jobs):
            total += made
            if given.verbose:
                print(*lines, sep="\n", flush=True)
    if total < given.least:
        sys.exit(f"{total} cases, {given.least} wanted")
    print(f"{total} cases of {len(jobs)} operators, {len(generators)} generators, seed {given.seed}, in {time.time() - began:.0f} s: {out}")


if __name__ == "__main__":
    main()
