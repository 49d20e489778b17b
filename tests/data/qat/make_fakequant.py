"""Writes what TensorFlow's FakeQuant operators answer to fixed questions: fakequant_{tf113,tf215,tflite}.npz.

    python make_fakequant.py tf113    # TensorFlow 1.13.1, Python 3.7
    python make_fakequant.py tf215    # TensorFlow 2.15.1
    python make_fakequant.py tflite   # the FAKE_QUANT kernel of TFLite in TensorFlow 2.15.1, BUILTIN_REF
"""
import sys

import numpy as np
import tensorflow as tf

RANGES = [
    (0.0, 6.0), (-1.0, 1.0), (-1.0, 127.0 / 128.0), (-0.5, 254.5), (1.25, 3.0), (-2.75, -0.875), (0.0, 0.0),
    (-0.34189, 1.8791), (-4.3652, 23.319), (-1e-6, 1000.0), (-0.31937, 7.0383e-05),
]
BITS = [2, 4, 8, 16]
VALUES = 24
CHANNELS = 3


def questions(narrows):
    random = np.random.RandomState(20240511)
    for bits in BITS:
        for narrow in narrows:
            for low, high in RANGES:
                low, high = np.float32(low), np.float32(high)
                width = high - low if high > low else np.float32(1)
                x = (random.uniform(-0.2, 1.2, VALUES).astype(np.float32) * width + low).astype(np.float32)
                # Ties between codes, before nudging, and the ends themselves.
                step = width / np.float32(2**bits - 1 - narrow)
                x[:6] = low, high, 0, low + step / 2, step * np.float32(1.5), step * np.float32(2.5)
                gradient = random.randint(-64, 65, VALUES).astype(np.float32) / np.float32(64)
                yield bits, narrow, low, high, x, gradient


def channel_questions():
    random = np.random.RandomState(77)
    for bits, narrow in [(8, False), (8, True), (4, True), (16, False)]:
        low = -random.uniform(0, 5, CHANNELS).astype(np.float32)
        high = random.uniform(0, 5, CHANNELS).astype(np.float32)
        x = random.uniform(-7, 7, (VALUES, CHANNELS)).astype(np.float32)
        gradient = random.randint(-64, 65, (VALUES, CHANNELS)).astype(np.float32) / np.float32(64)
        yield bits, narrow, low, high, x, gradient


def answers_v1(question, channels):
    bits, narrow, low, high, x, gradient = question
    with tf.Graph().as_default(), tf.Session() as session:
        kind = "fake_quant_with_min_max_vars" + ("_per_channel" if channels else "")
        forward = getattr(tf.quantization, kind)(x, low, high, bits, narrow)
        backward = getattr(tf.quantization, kind + "_gradient")(gradient, x, low, high, bits, narrow)
        return [np.asarray(a) for a in session.run([forward] + list(backward))]


def answers_v2(question, channels):
    bits, narrow, low, high, x, gradient = question
    kind = "fake_quant_with_min_max_vars" + ("_per_channel" if channels else "")
    forward = getattr(tf.quantization, kind)(x, low, high, bits, narrow)
    backward = getattr(tf.quantization, kind + "_gradient")(gradient, x, low, high, bits, narrow)
    return [np.asarray(a) for a in [forward] + list(backward)]


def answers_tflite(question):
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    bits, narrow, low, high, x, _ = question
    options = schema.FakeQuantOptionsT()
    options.min, options.max, options.numBits, options.narrowRange = float(low), float(high), bits, narrow
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0], [1]
    operator.builtinOptionsType = schema.BuiltinOptions.FakeQuantOptions
    operator.builtinOptions = options
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FAKE_QUANT
    tensors = []
    for name in ["x", "y"]:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name, tensor.buffer = [VALUES], schema.TensorType.FLOAT32, name, 0
        tensors.append(tensor)
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [operator], [0], [1]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    interpreter = tf.lite.Interpreter(
        model_content=bytes(builder.Output()),
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, x)
    interpreter.invoke()
    return [interpreter.get_tensor(1).copy()]


def main(which):
    expected = {"tf113": "1.13.1", "tf215": "2.15.1", "tflite": "2.15.1"}[which]
    assert tf.__version__ == expected, tf.__version__
    # TFLite's kernel refuses narrow ranges, and divides by zero where both ends are zero.
    narrows = [False] if which == "tflite" else [False, True]
    tensors = [q for q in questions(narrows) if which != "tflite" or q[2] != q[3]]
    channels = [] if which == "tflite" else list(channel_questions())
    run = {
        "tf113": answers_v1,
        "tf215": answers_v2,
        "tflite": lambda question, _: answers_tflite(question),
    }[which]
    arrays = {}
    for prefix, asked, per_channel in [("", tensors, False), ("channel_", channels, True)]:
        if not asked:
            continue
        told = [run(question, per_channel) for question in asked]
        for name, column in zip(["bits", "narrow", "min", "max", "x", "gradient"], zip(*asked)):
            arrays[prefix + name] = np.array(column)
        for name, column in zip(["y", "dx", "dmin", "dmax"], zip(*told)):
            arrays[prefix + name] = np.array(column)
    arrays["bits"] = arrays["bits"].astype(np.int32)
    if channels:
        arrays["channel_bits"] = arrays["channel_bits"].astype(np.int32)
    np.savez_compressed("fakequant_%s.npz" % which, **arrays)


main(sys.argv[1])
