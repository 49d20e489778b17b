"""CONV_2D and DEPTHWISE_CONV_2D: geometry, types of activations and weights, per-tensor and per-channel scales."""

from model import Quant
from registry import generator

VALID_OR_SAME = ("VALID", "SAME")


def geometry(d):
    """Input height and width, filter height and width, strides, dilations and a padding under which results exist."""
    filter_h, filter_w = d.integer(1, 4), d.integer(1, 4)
    dilation_h, dilation_w = (d.integer(1, 3), d.integer(1, 3)) if d.chance(0.3) else (1, 1)
    padding = d.pick(*VALID_OR_SAME)
    least_h, least_w = (filter_h - 1) * dilation_h + 1, (filter_w - 1) * dilation_w + 1
    if padding == "SAME":
        least_h = least_w = 1
    options = {
        "padding": padding, "stride_h": d.integer(1, 3), "stride_w": d.integer(1, 3),
        "dilation_h_factor": dilation_h, "dilation_w_factor": dilation_w,
    }
    return d.integer(least_h, least_h + 6), d.integer(least_w, least_w + 6), filter_h, filter_w, options


def weights_and_bias(d, m, activation, weights, shape, channels, axis, x_quant, terms, bias_type=None):
    """The filter, the bias or None, and the output's parameters; uint8 has one scale for all channels."""
    per_channel = activation != "uint8" and d.chance(0.7)
    w_quant = d.per_channel(channels, axis) if per_channel else d.quant(weights, d.scale(1e-3, 0.05), None if weights == "uint8" else 0)
    w = m.constant(weights, d.values(weights, shape), w_quant)
    bias = None
    if bias_type is not None or d.chance(0.9):
        bias_type = bias_type or ("int64" if activation == "int16" else "int32")
        bias_quant = Quant(w_quant.scales * x_quant.scales[0], 0)
        bias = m.constant(bias_type, d.values(bias_type, [channels], -20_000, 20_000), bias_quant)
    accumulator = x_quant.scale * float(w_quant.scales.max()) * 40
    return w, bias, d.quant(activation, d.output_scale(accumulator, terms, "int8" if activation != "int16" else "int16") / 64)


TYPES = [("int8", "int8"), ("uint8", "uint8"), ("int16", "int8"), ("int8", "int4")]


@generator("CONV_2D", types=TYPES, weight=2)
def quantized(d, types):
    activation, weights = types
    m = d.model()
    in_h, in_w, filter_h, filter_w, options = geometry(d)
    groups = d.integer(1, 3) if weights != "int4" and d.chance(0.3) else 1
    depth, channels = d.integer(1, 5), groups * d.integer(1, 5)
    x_quant = d.quant(activation)
    x = m.input(activation, d.values(activation, [d.integer(1, 2), in_h, in_w, depth * groups]), x_quant)
    shape = [channels, filter_h, filter_w, depth]
    w, bias, y_quant = weights_and_bias(d, m, activation, weights, shape, channels, 0, x_quant, filter_h * filter_w * depth)
    y = m.output(activation, quant=y_quant)
    inputs = [x, w] if bias is None else [x, w, bias]
    m.operator("CONV_2D", inputs, [y], "Conv2DOptions", version=3, fused_activation_function=d.activation(), **options)
    return m


@generator("CONV_2D")
def float32(d):
    m = d.model()
    in_h, in_w, filter_h, filter_w, options = geometry(d)
    groups = d.integer(1, 3) if d.chance(0.3) else 1
    depth, channels = d.integer(1, 5), groups * d.integer(1, 5)
    x = m.input("float32", d.values("float32", [d.integer(1, 2), in_h, in_w, depth * groups]))
    w = m.constant("float32", d.values("float32", [channels, filter_h, filter_w, depth]))
    inputs = [x, w, m.constant("float32", d.values("float32", [channels]))][: d.pick(2, 3, 3, 3)]
    m.operator("CONV_2D", inputs, [m.output("float32")], "Conv2DOptions", fused_activation_function=d.activation(), **options)
    return m


@generator("DEPTHWISE_CONV_2D", types=TYPES, weight=2)
def depthwise(d, types):
    activation, weights = types
    m = d.model()
    in_h, in_w, filter_h, filter_w, options = geometry(d)
    depth, multiplier = d.integer(1, 6), d.pick(1, 1, 2, 3)
    channels = depth * multiplier
    x_quant = d.quant(activation)
    x = m.input(activation, d.values(activation, [d.integer(1, 2), in_h, in_w, depth]), x_quant)
    shape = [1, filter_h, filter_w, channels]
    w, bias, y_quant = weights_and_bias(d, m, activation, weights, shape, channels, 3, x_quant, filter_h * filter_w)
    y = m.output(activation, quant=y_quant)
    inputs = [x, w] if bias is None else [x, w, bias]
    m.operator(
        "DEPTHWISE_CONV_2D", inputs, [y], "DepthwiseConv2DOptions", version=3, depth_multiplier=multiplier,
        fused_activation_function=d.activation(), **options,
    )
    return m


@generator("DEPTHWISE_CONV_2D")
def depthwise_float32(d):
    m = d.model()
    in_h, in_w, filter_h, filter_w, options = geometry(d)
    depth, multiplier = d.integer(1, 6), d.pick(1, 1, 2, 3)
    x = m.input("float32", d.values("float32", [d.integer(1, 2), in_h, in_w, depth]))
    w = m.constant("float32", d.values("float32", [1, filter_h, filter_w, depth * multiplier]))
    inputs = [x, w, m.constant("float32", d.values("float32", [depth * multiplier]))][: d.integer(2, 3)]
    m.operator(
        "DEPTHWISE_CONV_2D", inputs, [m.output("float32")], "DepthwiseConv2DOptions", depth_multiplier=multiplier,
        fused_activation_function=d.activation(), **options,
    )
    return m


@generator("TRANSPOSE_CONV", types=["int8", "uint8", "int16"], weight=2)
def transposed(d, activation):
    m = d.model()
    weights = "uint8" if activation == "uint8" else "int8"
    shape, in_h, in_w, filter_h, filter_w, options = transposed_geometry(d)
    depth, channels = d.integer(1, 5), d.integer(1, 5)
    batches = d.integer(1, 2)
    x_quant = d.quant(activation)
    w, bias, y_quant = weights_and_bias(
        d, m, activation, weights, [channels, filter_h, filter_w, depth], channels, 0, x_quant, filter_h * filter_w * depth
    )
    x = m.input(activation, d.values(activation, [batches, in_h, in_w, depth]), x_quant)
    size = d.integers(m, [batches, *shape, channels], constant=0.8)
    inputs = [size, w, x] + ([] if bias is None else [bias])
    y = m.output(activation, quant=y_quant)
    m.operator("TRANSPOSE_CONV", inputs, [y], "TransposeConvOptions", version=3, **options)
    return m


@generator("TRANSPOSE_CONV")
def transposed_float32(d):
    m = d.model()
    shape, in_h, in_w, filter_h, filter_w, options = transposed_geometry(d)
    depth, channels, batches = d.integer(1, 5), d.integer(1, 5), d.integer(1, 2)
    w = m.constant("float32", d.values("float32", [channels, filter_h, filter_w, depth]))
    x = m.input("float32", d.values("float32", [batches, in_h, in_w, depth]))
    size = d.integers(m, [batches, *shape, channels], constant=0.8)
    inputs = [size, w, x] + ([m.constant("float32", d.values("float32", [channels]))] if d.chance(0.5) else [])
    m.operator("TRANSPOSE_CONV", inputs, [m.output("float32")], "TransposeConvOptions", version=3, **options)
    return m


def transposed_geometry(d):
    """The result's height and width, the input's, the filter's, and options under which they fit."""
    filter_h, filter_w = d.integer(1, 4), d.integer(1, 4)
    stride_h, stride_w = d.integer(1, 3), d.integer(1, 3)
    in_h, in_w = d.integer(1, 5), d.integer(1, 5)
    padding = d.pick(*VALID_OR_SAME)
    if padding == "SAME":
        shape = [in_h * stride_h - d.integer(0, stride_h - 1), in_w * stride_w - d.integer(0, stride_w - 1)]
    else:
        shape = [(in_h - 1) * stride_h + filter_h, (in_w - 1) * stride_w + filter_w]
    options = {
        "padding": padding, "stride_h": stride_h, "stride_w": stride_w, "fused_activation_function": d.activation(),
    }
    return shape, in_h, in_w, filter_h, filter_w, options


def hybrid_convolution(d, operator, weights):
    """Float activations with int8 or int4 weights."""
    m = d.model()
    in_h, in_w, filter_h, filter_w, options = geometry(d)
    depth, channels = d.integer(1, 5), d.integer(1, 5)
    depthwise = operator == "DEPTHWISE_CONV_2D"
    shape = [1, filter_h, filter_w, depth] if depthwise else [channels, filter_h, filter_w, depth]
    channels = depth if depthwise else channels
    x = m.input("float32", d.values("float32", [d.integer(1, 2), in_h, in_w, depth]))
    quant = d.per_channel(channels, 3 if depthwise else 0)
    w = m.constant(weights, d.values(weights, shape, *((-127, 127) if weights == "int8" else ())), quant)
    bias = m.constant("float32", d.values("float32", [channels]))
    table = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    extra = {"depth_multiplier": 1} if depthwise else {}
    m.operator(
        operator, [x, w, bias], [m.output("float32")], table, version=6 if depthwise else 5,
        fused_activation_function=d.activation(), **options, **extra,
    )
    # tflite-runtime takes equal scales for one and then has none, and reads int4 as int8.
    is_broken = weights == "int4" or (not depthwise and channels > 1 and len(set(quant.scales)) == 1)
    return m.only("litert") if is_broken else m


@generator("CONV_2D", types=["int8", "int4"])
def hybrid(d, weights):
    return hybrid_convolution(d, "CONV_2D", weights)


@generator("DEPTHWISE_CONV_2D")
def depthwise_hybrid(d):
    return hybrid_convolution(d, "DEPTHWISE_CONV_2D", "int8")


@generator("CONV_3D")
def volume(d):
    m = d.model()
    taps, padding = [d.integer(1, 3) for _ in range(3)], d.pick(*VALID_OR_SAME)
    lengths = [d.integer(n if padding == "VALID" else 1, n + 3) for n in taps]
    depth, channels = d.integer(1, 4), d.integer(1, 4)
    x = m.input("float32", d.values("float32", [d.integer(1, 2), *lengths, depth]))
    w = m.constant("float32", d.values("float32", [*taps, depth, channels]))
    inputs = [x, w] + ([m.constant("float32", d.values("float32", [channels]))] if d.chance(0.7) else [])
    m.operator(
        "CONV_3D", inputs, [m.output("float32")], "Conv3DOptions", padding=padding, stride_d=d.integer(1, 2),
        stride_h=d.integer(1, 2), stride_w=d.integer(1, 3), fused_activation_function=d.activation(),
    )
    return m


@generator("CONV_2D", "TRANSPOSE_CONV")
def int16_bias32(d, operator):
    """int16 activations with a bias, and so a sum, of 32 bits: LiteRT alone reads the option that declares it."""
    m = d.model()
    transposed = operator == "TRANSPOSE_CONV"
    if transposed:
        size, in_h, in_w, filter_h, filter_w, options = transposed_geometry(d)
    else:
        in_h, in_w, filter_h, filter_w, options = geometry(d)
        options["fused_activation_function"] = d.activation()
    depth, channels, batches = d.integer(1, 5), d.integer(1, 5), d.integer(1, 2)
    x_quant = d.quant("int16")
    x = m.input("int16", d.values("int16", [batches, in_h, in_w, depth], -8000, 8000), x_quant)
    w, bias, y_quant = weights_and_bias(
        d, m, "int16", "int8", [channels, filter_h, filter_w, depth], channels, 0, x_quant, filter_h * filter_w * depth, "int32"
    )
    inputs = [m.constant("int32", [batches, *size, channels]), w, x, bias] if transposed else [x, w, bias]
    table = "TransposeConvOptions" if transposed else "Conv2DOptions"
    y = m.output("int16", quant=y_quant)
    m.operator(operator, inputs, [y], table, version=5 if transposed else 8, quantized_bias_type="INT32", **options)
    return m.only("litert")
