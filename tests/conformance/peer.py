"""One of the two peers in a process of its own: runs models with its reference kernels, a request at a time.

Requests and answers are pickles on standard input and output. A model that kills this process takes no case but its own
along: the caller sees the pipe end, notes it and starts another.
"""

import os
import pickle
import subprocess
import sys
import threading

import numpy as np

# Whose wheel stands for which profile.
WHEELS = {"tflite": "tflite_runtime.interpreter", "litert": "ai_edge_litert.interpreter"}


class Peer:
    """The caller's side."""

    def __init__(self, profile, timeout=30.0):
        self.profile, self.timeout = profile, timeout
        self.process = None

    def start(self):
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__, self.profile], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )

    def send(self, request):
        self.start()
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # told by receive

    def receive(self):
        """`("outputs", [(dtype name, shape, [bytes per step])])`, `("refused", why)` or `("crashed", how)`."""
        watch = threading.Timer(self.timeout, self.process.kill)
        watch.start()
        try:
            return pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            code = self.process.wait()
            self.process = None
            return "crashed", f"exit status {code}"
        finally:
            watch.cancel()

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()


def clear_detections(outputs, classes_told, classes):
    """Rows of TFLite_Detection_PostProcess that its fast suppression leaves unwritten become zeros."""
    boxes, found_classes, scores, count = outputs
    is_written = np.arange(found_classes.shape[1]) < int(count[0]) * classes_told
    is_written &= np.arange(found_classes.shape[1]) % classes_told < classes
    for array in (boxes, found_classes, scores):
        array[0, ~is_written] = 0


MASKS = {"detections": clear_detections}


def run(wheel, content, inputs, resolver, mask):
    """One model from loading to its outputs; `inputs`: per input a list of arrays, one per invocation.

    `mask`: `None`, or one of MASKS and its arguments, for memory that a kernel leaves as it was.
    """
    kinds = wheel.OpResolverType
    kind = kinds.BUILTIN_REF if resolver == "reference" else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = wheel.Interpreter(model_content=content, experimental_op_resolver_type=kind, num_threads=1)
    details = interpreter.get_input_details()
    for detail, steps in zip(details, inputs):
        if list(detail["shape"]) != list(steps[0].shape):
            interpreter.resize_tensor_input(detail["index"], steps[0].shape)
    interpreter.allocate_tensors()
    outputs = [[] for _ in interpreter.get_output_details()]
    for step in range(max((len(steps) for steps in inputs), default=1)):
        for detail, steps in zip(details, inputs):
            interpreter.set_tensor(detail["index"], steps[step])
        interpreter.invoke()
        arrays = [interpreter.get_tensor(detail["index"]).copy() for detail in interpreter.get_output_details()]
        if mask is not None:
            name, *arguments = mask
            MASKS[name](arrays, *arguments)
        for output, array in zip(outputs, arrays):
            output.append(array)
    return [(str(o[0].dtype), o[0].shape, [a.tobytes() for a in o]) for o in outputs]


def serve(profile):
    import importlib

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the runtime prints is no answer
    wheel = importlib.import_module(WHEELS[profile])
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            outputs = run(wheel, *request)
            # Memory that a kernel leaves unwritten shows as a difference between two runs, mostly.
            again = run(wheel, *request)
            answer = ("outputs", outputs) if outputs == again else ("refused", "two runs differ")
        except (RuntimeError, ValueError) as error:
            answer = ("refused", str(error))
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    serve(sys.argv[1])
