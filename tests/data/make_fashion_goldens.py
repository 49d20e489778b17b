#!/usr/bin/env python3
"""Makes the goldens of the bundled Fashion-MNIST model with TFLite's reference kernels.

Writes next to itself, from the first 400 of the 10 000 test images in file order:
  fashion_test_400.npy         uint8 [400, 28, 28], pixels, light object on black
  fashion_test_400_labels.npy  uint8 [400], class numbers 0..9
  fashion_test_400_tflite.npy  int8 [400, 10], output codes (scale 1/256, zero point -128)
and prints the accuracy on these 400 and on all test images. The input codes are pixel - 128.

Needs:
  pip: tflite-runtime==2.14.0 "numpy<2"
  apt: dataset-fashion-mnist
"""

import argparse
import gzip
import pathlib

import numpy as np
import tflite_runtime.interpreter as tflite

HERE = pathlib.Path(__file__).resolve().parent
COUNT = 400


def read_idx(path):
    """One gzipped idx file of unsigned bytes (magic 00 00 08 <rank>, big-endian dimensions)."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\0\0\x08":
        raise SystemExit(f"{path}: not an idx file of bytes")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        default=pathlib.Path("/usr/share/datasets/fashion-mnist"),
        help="folder of the idx .gz files (default: %(default)s)",
    )
    parser.add_argument(
        "--model",
        type=pathlib.Path,
        default=HERE.parent.parent / "examples" / "data" / "fashion_mnist_int8.tflite",
        help="default: the bundled model",
    )
    args = parser.parse_args()

    images = read_idx(args.data / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(args.data / "t10k-labels-idx1-ubyte.gz")

    interpreter = tflite.Interpreter(
        str(args.model),
        experimental_op_resolver_type=tflite.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    exit_ = interpreter.get_output_details()[0]["index"]
    codes = (images.astype(np.int16) - 128).astype(np.int8)[..., None]
    scores = np.empty((len(images), 10), np.int8)
    for i in range(len(images)):
        interpreter.set_tensor(entry, codes[i : i + 1])
        interpreter.invoke()
        scores[i] = interpreter.get_tensor(exit_)[0]

    np.save(HERE / "fashion_test_400.npy", images[:COUNT])
    np.save(HERE / "fashion_test_400_labels.npy", labels[:COUNT])
    np.save(HERE / "fashion_test_400_tflite.npy", scores[:COUNT])

    # Ties go to the lower class number, as in np.argmax.
    right = np.argmax(scores, 1) == labels
    print(f"first {COUNT}: {right[:COUNT].sum()} right ({100 * right[:COUNT].mean():.2f} %)")
    print(f"all {len(right)}: {right.sum()} right ({100 * right.mean():.2f} %)")
    names = (HERE.parent.parent / "examples" / "data" / "fashion_labels.txt").read_text()
    for label, name in enumerate(names.split("\n")[:10]):
        print(f"  {name:12} {100 * right[labels == label].mean():.1f} %")


if __name__ == "__main__":
    main()
