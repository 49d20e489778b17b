"""BATCH_MATMUL and FULLY_CONNECTED: products of matrices."""

from model import Quant
from registry import generator


def batch_shapes(d):
    """Shapes of both operands and whether each is stored with its last two axes swapped."""
    rows, depth, columns = d.integer(1, 6), d.integer(1, 20), d.integer(1, 6)
    adj_x, adj_y = d.chance(0.4), d.chance(0.4)
    left, right = d.broadcast(2, (0, 3), high=3, most=12)
    left = left + ([depth, rows] if adj_x else [rows, depth])
    right = right + ([columns, depth] if adj_y else [depth, columns])
    return left, right, depth, {"adj_x": adj_x, "adj_y": adj_y}


@generator("BATCH_MATMUL", types=["float32", "int8", "int16"], weight=2)
def plain(d, ty):
    m = d.model()
    left, right, depth, options = batch_shapes(d)
    left_quant, right_quant = d.quant(ty), d.quant(ty)
    x = m.input(ty, d.values(ty, left), left_quant)
    w = d.operand(m, ty, right, right_quant, constant=0.5)
    y_quant = None if ty == "float32" else d.quant(ty, left_quant.scale * right_quant.scale * depth**0.5 * d.magnitude(1, 200) * (30 if ty == "int16" else 1))
    m.operator("BATCH_MATMUL", [x, w], [m.output(ty, quant=y_quant)], "BatchMatMulOptions", version=2, **options)
    if options["adj_x"] and len(left) > 2 and len(right) > 2 and right[-3] == 1:
        # tflite-runtime merges batches into rows that are columns as yet; LiteRT's batch_matmul.cc tells of it and does not.
        return m.only("litert")
    return m


@generator("BATCH_MATMUL")
def int8_to_int32(d):
    m = d.model()
    left, right, _, options = batch_shapes(d)
    x = m.input("int8", d.values("int8", left), d.quant("int8"))
    w = d.operand(m, "int8", right, d.quant("int8"), constant=0.5)
    m.operator("BATCH_MATMUL", [x, w], [m.output("int32", quant=Quant(d.scale()))], "BatchMatMulOptions", version=3, **options)
    return m


@generator("BATCH_MATMUL")
def int16_int8(d):
    m = d.model()
    left, right, depth, options = batch_shapes(d)
    left_quant, right_quant = d.quant("int16"), d.quant("int8", zero_point=0)
    x = m.input("int16", d.values("int16", left), left_quant)
    w = d.operand(m, "int8", right, right_quant, constant=0.5)
    y = m.output("int16", quant=d.quant("int16", left_quant.scale * right_quant.scale * depth**0.5 * d.magnitude(1, 200)))
    m.operator("BATCH_MATMUL", [x, w], [y], "BatchMatMulOptions", version=4, **options)
    return m


@generator("BATCH_MATMUL")
def hybrid(d):
    m = d.model()
    left, right, _, options = batch_shapes(d)
    # One matrix on the right and one axis of batches on the left: of more the reference takes other rows' sums and scales
    # (batch_matmul.h, num_weights_matrices and ioff_ext0).
    left, right = left[-3:], right[-2:]
    x = m.input("float32", d.values("float32", left))
    # No weight of -128: LiteRT's vector code takes its product with a negative code for the opposite (measured).
    w = m.constant("int8", d.values("int8", right, -127, 127), d.quant("int8", zero_point=0))
    m.operator(
        "BATCH_MATMUL", [x, w], [m.output("float32")], "BatchMatMulOptions", version=1,
        asymmetric_quantize_inputs=d.chance(0.5), **options,
    )
    return m


def rows(d, depth):
    """An input's shape whose elements are rows of `depth`, and whether the result keeps its axes."""
    keep = d.chance(0.5)
    shape = d.shape((0, 3), high=4) + [depth]
    if not keep and d.chance(0.3) and depth % 2 == 0:
        shape = shape[:-1] + [depth // 2, 2]
    return shape, keep


def fully_connected(d, activation, weights, bias_type, output=None, per_channel=False, bias=0.8, declared=None):
    m = d.model()
    output = output or activation
    depth, units = d.integer(1, 40), d.integer(1, 9)
    shape, keep = rows(d, depth)
    x_quant = d.quant(activation)
    zero_point = None if weights == "uint8" else 0
    w_quant = d.per_channel(units, 0) if per_channel else d.quant(weights, d.scale(1e-3, 0.05), zero_point)
    x = m.input(activation, d.values(activation, shape), x_quant)
    w = m.constant(weights, d.values(weights, [units, depth]), w_quant)
    inputs = [x, w]
    if d.chance(bias):
        bias_quant = Quant(w_quant.scales * x_quant.scales[0], 0)
        inputs.append(m.constant(bias_type, d.values(bias_type, [units], -20_000, 20_000), bias_quant))
    elif d.chance(0.5):
        inputs.append(None)
    spread = {"int16": 30.0}.get(weights, 1.0) / (4.0 if output == "int16" and activation != "int16" else 1.0)
    y_quant = d.quant(output, x_quant.scale * float(w_quant.scales.max()) * depth**0.5 * spread * d.magnitude(2, 300))
    options = {} if declared is None else {"quantized_bias_type": declared}
    m.operator(
        "FULLY_CONNECTED", inputs, [m.output(output, quant=y_quant)], "FullyConnectedOptions", version=4,
        keep_num_dims=keep, fused_activation_function=d.activation(), **options,
    )
    return m


@generator("FULLY_CONNECTED", types=[("int8", "int8"), ("uint8", "uint8"), ("int8", "int4")], weight=2)
def quantized(d, types):
    return fully_connected(d, *types, "int32")


@generator("FULLY_CONNECTED", weight=2)
def int16(d):
    return fully_connected(d, "int16", "int8", "int64")


@generator("FULLY_CONNECTED")
def int16_int16(d):
    return fully_connected(d, "int16", "int16", "int64", declared="INT64")


@generator("FULLY_CONNECTED")
def int16_bias32(d):
    return fully_connected(d, "int16", "int8", "int32", declared="INT32", bias=1.0)


@generator("FULLY_CONNECTED", types=["int8", "int16"], weight=2)
def channels(d, activation):
    m = fully_connected(d, activation, "int8", "int64" if activation == "int16" else "int32", per_channel=True)
    # tflite-runtime reads the results' shape as two axes here, whatever it is.
    return m if len(m.input_data[0][1][0].shape) == 2 else m.only("litert")


@generator("FULLY_CONNECTED")
def uint8_to_int16(d):
    return fully_connected(d, "uint8", "uint8", "int32", output="int16", bias=1.0)


@generator("FULLY_CONNECTED")
def float32(d):
    m = d.model()
    depth, units = d.integer(1, 40), d.integer(1, 9)
    shape, keep = rows(d, depth)
    x = m.input("float32", d.values("float32", shape))
    w = d.operand(m, "float32", [units, depth], constant=0.8)
    inputs = [x, w] + ([m.constant("float32", d.values("float32", [units]))] if d.chance(0.7) else [])
    m.operator(
        "FULLY_CONNECTED", inputs, [m.output("float32")], "FullyConnectedOptions", version=1, keep_num_dims=keep,
        fused_activation_function=d.activation(),
    )
    return m


@generator("FULLY_CONNECTED", types=["int8", "int4"])
def hybrid_rows(d, weights):
    m = d.model()
    depth, units = d.integer(1, 40), d.integer(1, 9)
    shape, keep = rows(d, depth)
    x = m.input("float32", d.values("float32", shape))
    w_quant = d.per_channel(units, 0) if d.chance(0.5) else d.quant(weights, d.scale(1e-3, 0.05), 0)
    w = m.constant(weights, d.values(weights, [units, depth], *((-127, 127) if weights == "int8" else ())), w_quant)
    inputs = [x, w] + ([m.constant("float32", d.values("float32", [units]))] if d.chance(0.7) else [])
    m.operator(
        "FULLY_CONNECTED", inputs, [m.output("float32")], "FullyConnectedOptions", version=9, keep_num_dims=keep,
        fused_activation_function=d.activation(), asymmetric_quantize_inputs=d.chance(0.5),
    )
    # tflite-runtime takes the first scale for all.
    return m.only("litert") if len(w_quant.scales) > 1 else m
