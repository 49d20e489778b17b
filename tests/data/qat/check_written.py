"""Runs the models that tests/oracle_convert.rs writes on TFLite's reference kernels and compares every code.

    python check_written.py FOLDER         # FOLDER: target/tmp, after `cargo test --test oracle_convert`
    python check_written.py FOLDER --save  # writes TFLite's answers beside this script, for the test to compare with

With tflite-runtime 2.14.0 it checks profile tflite, with ai-edge-litert 2.3.0 profile litert.
"""
import pathlib
import sys

import numpy as np

try:
    from tflite_runtime import interpreter as runtime

    profile = "tflite"
except ImportError:
    from ai_edge_litert import interpreter as runtime

    profile = "litert"


def answers(model, pictures):
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
    folder = pathlib.Path(sys.argv[1])
    for name in ["uint8", "int8"]:
        told = answers(folder / f"written_{name}.tflite", np.load(folder / f"written_{name}_input.npy"))
        file = f"written_{name}_{profile}.npy"
        if sys.argv[2:] == ["--save"]:
            np.save(pathlib.Path(__file__).with_name(file), told)
            continue
        ours = np.load(folder / file)
        if ours.shape != told.shape or (ours != told).any():
            sys.exit(f"{file}: {np.count_nonzero(ours != told)} of {told.size} codes differ")
        print(f"{file}: {told.size} codes equal, {len(np.unique(told))} values")


main()
