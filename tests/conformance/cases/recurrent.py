"""SVDF and the LSTMs: several inferences in a row, with the state kept."""

from model import Quant
from registry import generator


def series(d, ty, shape):
    """Inputs of a few inferences in a row."""
    return [d.values(ty, shape) for _ in range(d.integer(1, 4))]


def svdf_shapes(d):
    rank, units = d.integer(1, 3), d.integer(1, 5)
    return d.integer(1, 3), d.integer(1, 12), rank, units, rank * units, d.integer(1, 8)


@generator("SVDF", weight=2)
def int8(d):
    m = d.model()
    batches, inputs, rank, units, filters, memory = svdf_shapes(d)
    x_quant = d.quant("int8")
    feature_quant, time_quant = Quant(d.scale(1e-3, 0.1)), Quant(d.scale(1e-5, 1e-3))
    state_quant = Quant(x_quant.scale * feature_quant.scale * inputs**0.5 * d.magnitude(0.05, 5.0))
    x = m.input("int8", series(d, "int8", [batches, inputs]), x_quant)
    features = m.constant("int8", d.values("int8", [filters, inputs]), feature_quant)
    times = m.constant("int16", d.values("int16", [filters, memory], -8000, 8000), time_quant)
    bias = m.constant("int32", d.values("int32", [units], -200_000, 200_000), Quant(state_quant.scale * time_quant.scale)) if d.chance(0.7) else None
    state = m.variable("int16", [batches, filters * memory], state_quant)
    spread = state_quant.scale * time_quant.scale * 1000 * 4000 * (rank * memory) ** 0.5
    y = m.output("int8", [batches, units], d.quant("int8", spread * d.magnitude(0.005, 0.1)))
    m.operator("SVDF", [x, features, times, bias, state], [y], "SVDFOptions", version=3, rank=rank, fused_activation_function="RELU")
    return m


@generator("SVDF", types=["float32", "int8"])
def floats(d, weights):
    """float32, and float activations with int8 weights."""
    m = d.model()
    batches, inputs, rank, units, filters, memory = svdf_shapes(d)
    x = m.input("float32", series(d, "float32", [batches, inputs]))
    features = m.constant(weights, d.values(weights, [filters, inputs]), d.quant(weights, zero_point=0))
    times = m.constant(weights, d.values(weights, [filters, memory]), d.quant(weights, zero_point=0))
    bias = m.constant("float32", d.values("float32", [units])) if d.chance(0.7) else None
    state = m.variable("float32", [batches, filters * memory])
    y = m.output("float32", [batches, units])
    m.operator(
        "SVDF", [x, features, times, bias, state], [y], "SVDFOptions", version=4 if weights == "int8" else 1, rank=rank,
        fused_activation_function=d.activation(), asymmetric_quantize_inputs=d.chance(0.5),
    )
    return m


# The LSTMs' operands by slot: weights of the four gates, peepholes, biases, projection, states, layer norm coefficients.


class Lstm:
    """Shapes and which of the optional operands there are."""

    def __init__(self, d, sequence, cifg=None, norm=None, projection=None):
        self.batches, self.steps = d.integer(1, 3), d.integer(1, 4) if sequence else 1
        self.inputs, self.cells = d.integer(1, 9), d.integer(1, 8)
        self.cifg = d.chance(0.3) if cifg is None else cifg
        self.norm = d.chance(0.3) if norm is None else norm
        self.projection = d.chance(0.4) if projection is None else projection
        # With peepholes and a projection of another length the reference takes the length for the cells' (lstm_eval.cc).
        self.outputs = d.integer(1, 8) if self.projection else self.cells
        self.peephole = d.chance(0.3) and self.outputs == self.cells
        self.time_major = sequence and d.chance(0.4)
        self.sequence = sequence

    def input_shape(self):
        if not self.sequence:
            return [self.batches, self.inputs]
        return [self.steps, self.batches, self.inputs] if self.time_major else [self.batches, self.steps, self.inputs]

    def operands(self, weight, peephole, bias, projection_bias, norm):
        """The constants by slot; each argument is a function of a shape, `bias` and `projection_bias` included."""
        operands = [None] * 24
        for gate in range(1 if self.cifg else 0, 4):
            operands[1 + gate] = weight([self.cells, self.inputs])
            operands[5 + gate] = weight([self.cells, self.outputs])
            operands[12 + gate] = bias([self.cells])
            if self.norm:
                operands[20 + gate] = norm([self.cells])
        if self.peephole:
            for slot in range(10 if self.cifg else 9, 12):
                operands[slot] = peephole([self.cells])
        if self.projection:
            operands[16] = weight([self.outputs, self.cells])
            operands[17] = projection_bias([self.outputs])
        return operands

    def add(self, d, m, x, operands, states, y, intermediates=None, **extra):
        operands = [x, *operands[1:18], *states, *operands[20:24]]
        if not self.norm and d.chance(0.3):
            operands = operands[:20]
        clips = {"cell_clip": d.pick(0.0, 0.0, 0.5, 4.0), "proj_clip": d.pick(0.0, 0.0, 0.3)}
        if self.sequence:
            m.operator(
                "UNIDIRECTIONAL_SEQUENCE_LSTM", operands, [y], "UnidirectionalSequenceLSTMOptions", version=3,
                fused_activation_function="TANH", time_major=self.time_major, intermediates=intermediates, **clips, **extra,
            )
        else:
            m.operator(
                "LSTM", operands, [y], "LSTMOptions", version=4, fused_activation_function="TANH", kernel_type="FULL",
                intermediates=intermediates, **clips, **extra,
            )


@generator("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", weight=3)
def int8x8_16(d, operator):
    m = d.model()
    lstm = Lstm(d, operator != "LSTM")
    x_quant = d.quant("int8", d.scale(0.005, 0.05))
    state_quant = d.quant("int8", d.scale(0.004, 0.02))
    cell_quant = Quant(2.0 ** d.integer(-15, -10))
    weight = lambda shape: m.constant("int8", d.values("int8", shape, -127, 127), Quant(d.scale(1e-3, 2e-2)))
    peephole = lambda shape: m.constant("int16", d.values("int16", shape), Quant(d.scale(1e-5, 1e-4)))
    bias = lambda shape: m.constant("int32", d.values("int32", shape, -30_000, 30_000), Quant(1e-4))
    norm = lambda shape: m.constant("int16", d.values("int16", shape, 0, 32767), Quant(d.scale(1e-5, 1e-4)))
    x = m.input("int8", series(d, "int8", lstm.input_shape()), x_quant)
    operands = lstm.operands(weight, peephole, bias, bias, norm)
    states = [
        m.variable("int8", [lstm.batches, lstm.outputs], state_quant),
        m.variable("int16", [lstm.batches, lstm.cells], cell_quant),
    ]
    inner = [m.inner("int16", [], Quant(d.scale(1e-4, 1e-3))) for _ in range(4)]
    inner.append(m.inner("int8", [], d.quant("int8", d.scale(0.004, 0.02)) if lstm.projection else state_quant))
    y = m.output("int8", [*lstm.input_shape()[:-1], lstm.outputs], state_quant)
    lstm.add(d, m, x, operands, states, y, inner)
    return m


@generator("LSTM", weight=2)
def int8x8_8(d):
    m = d.model()
    lstm = Lstm(d, False, cifg=True, norm=True, projection=True)
    lstm.peephole = False
    x_quant, state_quant = d.quant("int8", d.scale(0.005, 0.05)), d.quant("int8", d.scale(0.004, 0.02))
    weight = lambda shape: m.constant("int8", d.values("int8", shape, -127, 127), Quant(d.scale(1e-3, 2e-2)))
    bias = lambda shape: m.constant("int32", d.values("int32", shape, -30_000, 30_000), Quant(1e-4))
    norm = lambda shape: m.constant("int16", d.values("int16", shape, 0, 32767), Quant(d.scale(1e-5, 1e-4)))
    x = m.input("int8", series(d, "int8", lstm.input_shape()), x_quant)
    operands = lstm.operands(weight, None, bias, bias, norm)
    states = [
        m.variable("int8", [lstm.batches, lstm.outputs], state_quant),
        m.variable("int16", [lstm.batches, lstm.cells], Quant(2.0**-15)),
    ]
    inner = []
    for _ in range(4):
        inner.append(m.inner("int16", [], Quant(d.scale(1e-4, 1e-3))))
        inner += [m.inner("int8", [], d.quant("int8", d.scale(0.01, 0.1))) for _ in range(2)]
    y = m.output("int8", [lstm.batches, lstm.outputs], state_quant)
    lstm.add(d, m, x, operands, states, y, inner)
    return m


def floats_of(d, m, lstm, weights, inferences):
    quant = lambda: Quant(d.scale(1e-3, 2e-2)) if weights == "int8" else None
    low, high = (-127, 127) if weights == "int8" else (-1.0, 1.0)
    weight = lambda shape: m.constant(weights, d.values(weights, shape, low, high), quant())
    real = lambda shape: m.constant("float32", d.values("float32", shape, -1.0, 1.0))
    x = m.input("float32", [d.values("float32", lstm.input_shape()) for _ in range(inferences)])
    operands = lstm.operands(weight, weight, real, real, real)
    states = [m.variable("float32", [lstm.batches, lstm.outputs]), m.variable("float32", [lstm.batches, lstm.cells])]
    y = m.output("float32", [*lstm.input_shape()[:-1], lstm.outputs])
    lstm.add(d, m, x, operands, states, y, asymmetric_quantize_inputs=d.chance(0.5))
    return m


@generator("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", types=["float32", "int8"], weight=2)
def float_lstm(d, operator, weights):
    """float32, and float activations with int8 weights: of these one step, before anything is quantized twice."""
    lstm = Lstm(d, operator != "LSTM", projection=False if weights == "int8" else None)
    lstm.steps = 1 if weights == "int8" else lstm.steps
    return floats_of(d, d.model(), lstm, weights, 1 if weights == "int8" else d.integer(1, 4))


@generator("LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM")
def hybrid_series(d, operator):
    return floats_of(d, d.model(), Lstm(d, operator != "LSTM"), "int8", d.integer(1, 3))
