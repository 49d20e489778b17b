"""Runs the models that tests/oracle_convert.rs writes on TFLite's reference kernels and compares every code.

    python check_written.py PROFILE FOLDER         # FOLDER: target/tmp, after `cargo test --test oracle_convert`
    python check_written.py PROFILE FOLDER --save  # writes TFLite's answers beside this script, for the test to compare with

PROFILE is tflite, which needs tflite-runtime 2.14.0, or litert, which needs ai-edge-litert 2.3.0.
"""
import importlib
import pathlib
import sys

import numpy as np

RUNTIMES = {"tflite": "tflite_runtime", "litert": "ai_edge_litert"}


def answers(runtime, model, pictures):
    interpreter = runtime.Interpreter(
        model_path=str(model), experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    told = []
    for picture in pictures:
        interpreter.set_tensor(inputs[0]["index"], picture[np.newaxis])
        interpreter.invoke()
        told.append(interpreter.get_tensor(outputs[0]["index"])[0])
    return np.stack(told)


def main():
    profile, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    runtime = importlib.import_module(f"{RUNTIMES[profile]}.interpreter")
    for name in ["uint8", "int8"]:
        told = answers(runtime, folder / f"written_{name}.tflite", np.load(folder / f"written_{name}_input.npy"))
        file = f"written_{name}_{profile}.npy"
        if sys.argv[3:] == ["--save"]:
            np.save(pathlib.Path(__file__).with_name(file), told)
            continue
        ours = np.load(folder / file)
        if ours.shape != told.shape or (ours != told).any():
            sys.exit(f"{file}: {np.count_nonzero(ours != told)} of {told.size} codes differ")
        print(f"{file}: {told.size} codes equal, {len(np.unique(told))} values")


main()
