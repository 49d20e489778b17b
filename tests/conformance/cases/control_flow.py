"""IF, WHILE, CALL_ONCE and resource variables: subgraphs that run once, in turn, again and again, and what they leave."""

import numpy as np

from registry import generator

VALUES = ["int8", "uint8", "int16", "int32", "float32"]
QUANTIZED = ["int8", "uint8", "int16"]


def index(subgraph):
    return subgraph.model.subgraphs.index(subgraph)


def limit(d, graph, ty, shape, quant, x, y):
    """y = the larger, or the smaller, of x and a constant."""
    graph.operator(d.pick("MAXIMUM", "MINIMUM"), [x, graph.constant(ty, d.values(ty, shape), quant)], [y], "MaximumMinimumOptions")


def cut(d, graph, shape, x, y):
    """y = a part of x along the first axis. Returns its shape."""
    begin = d.integer(0, shape[0])
    end = d.integer(begin, shape[0])
    rank = len(shape)
    bounds = [[begin] + [0] * (rank - 1), [end] + shape[1:], [1] * rank]
    graph.operator("STRIDED_SLICE", [x, *(graph.constant("int32", b) for b in bounds)], [y], "StridedSliceOptions")
    return [end - begin] + shape[1:]


@generator("IF", types=VALUES)
def either(d, ty):
    m = d.model()
    shape, quant = d.shape((1, 4)), d.quant(ty)
    condition = m.input("bool", d.chance(0.5))
    x = m.input(ty, d.values(ty, shape), quant)
    branches = []
    for _ in range(2):
        branch = m.subgraph()
        limit(d, branch, ty, shape, quant, branch.parameter(ty, shape, quant), branch.output(ty, shape, quant))
        branches.append(index(branch))
    y = m.inner(ty, shape, quant)
    m.operator("IF", [condition, x], [y], "IfOptions", then_subgraph_index=branches[0], else_subgraph_index=branches[1])
    limit(d, m, ty, [], quant, y, m.output(ty, shape, quant))
    return m


@generator("IF", types=VALUES)
def either_shape(d, ty):
    """The branches give results of unlike shapes, and operators follow."""
    m = d.model()
    shape, quant = d.shape((1, 4)), d.quant(ty)
    condition = m.input("bool", d.chance(0.5))
    x = m.input(ty, d.values(ty, shape), quant)
    branches = []
    for _ in range(2):
        branch = m.subgraph()
        cut(d, branch, shape, branch.parameter(ty, shape, quant), branch.output(ty, shape, quant))
        branches.append(index(branch))
    y = m.inner(ty, shape, quant)
    m.operator("IF", [condition, x], [y], "IfOptions", then_subgraph_index=branches[0], else_subgraph_index=branches[1])
    limit(d, m, ty, [], quant, y, m.output(ty, shape, quant))
    m.operator("SHAPE", [y], [m.output("int32", [len(shape)])], "ShapeOptions", out_type="INT32")
    return m


@generator("IF")
def neither(d):
    """A branch that takes another number of operands than it is given."""
    m = d.model()
    condition, x = m.input("bool", True), m.input("int32", d.values("int32", [3]))
    branches = []
    for takes_one in (True, False):
        branch = m.subgraph()
        branch.result(branch.parameter("int32", [3]) if takes_one else branch.constant("int32", [1, 2, 3]))
        branches.append(index(branch))
    m.operator("IF", [condition, x], [m.output("int32", [3])], "IfOptions", then_subgraph_index=branches[0], else_subgraph_index=branches[1])
    return m.refused()


def loop(m, rounds_in_condition, carried):
    """Condition and body of a loop that counts up to a bound; `carried` are the (type, shape, quant) beside the counter.

    Returns both, with the counter's and the others' parameters in the body.
    """
    condition, body = m.subgraph(), m.subgraph()
    counter = condition.parameter("int32", [])
    others = [condition.parameter(*c) for c in carried]
    bound = condition.constant("int32", rounds_in_condition) if rounds_in_condition is not None else others[-1]
    condition.operator("LESS", [counter, bound], [condition.output("bool", [])], "LessOptions")
    counter = body.parameter("int32", [])
    parameters = [body.parameter(*c) for c in carried]
    body.operator("ADD", [counter, body.constant("int32", 1)], [body.output("int32", [])], "AddOptions")
    return condition, body, parameters


def run_loop(m, condition, body, inputs, outputs):
    m.operator("WHILE", inputs, outputs, "WhileOptions", cond_subgraph_index=index(condition), body_subgraph_index=index(body))


@generator("WHILE", types=VALUES)
def repeat(d, ty):
    """Numbers computed again and again; the bound is a constant, or carried along untouched."""
    m = d.model()
    shape, quant, rounds = d.shape((0, 4)), d.quant(ty), d.integer(0, 6)
    is_carried = d.chance(0.5)
    carried = [(ty, shape, quant)] + ([("int32", [], None)] if is_carried else [])
    condition, body, parameters = loop(m, None if is_carried else rounds, carried)
    y = body.output(ty, shape, quant)
    step = body.constant(ty, d.values(ty, shape), quant)
    if ty in QUANTIZED and d.chance(0.5):
        body.operator("ADD", [parameters[0], step], [y], "AddOptions", version=2, pot_scale_int16=False)
    else:
        limit(d, body, ty, shape, quant, parameters[0], y)
    start = m.input("int32", d.integer(0, 2))
    inputs = [start, m.input(ty, d.values(ty, shape), quant)]
    outputs = [m.output("int32", []), m.output(ty, shape, quant)]
    if is_carried:
        body.result(parameters[1])
        inputs.append(d.integers(m, rounds))
        outputs.append(m.output("int32", []))
    run_loop(m, condition, body, inputs, outputs)
    return m


@generator("WHILE", types=["int8", "float32"])
def take_turns(d, ty):
    """The body hands its operands on in another order. TFLite copies what is carried one after the other and so overwrites
    what it still has to copy; expected here is what the operator says."""
    m = d.model()
    shape, quant, rounds = d.shape((1, 3)), d.quant(ty), d.integer(0, 5)
    carried, order = [(ty, shape, quant)] * 3, d.permutation(3)
    condition, body, parameters = loop(m, rounds, carried)
    for place in order:
        body.result(parameters[place])
    values = [d.values(ty, shape) for _ in carried]
    inputs = [m.input("int32", 0), *(m.input(ty, v, quant) for v in values)]
    outputs = [m.output("int32", []), *(m.output(ty, shape, quant) for _ in carried)]
    run_loop(m, condition, body, inputs, outputs)
    for _ in range(rounds):
        values = [values[place] for place in order]
    return m.expect([("int32", rounds), *((ty, v) for v in values)])


@generator("WHILE", types=VALUES)
def grow(d, ty):
    """What is carried grows with every round."""
    m = d.model()
    shape, quant = d.shape((1, 3), high=4), d.quant(ty)
    condition, body, (x,) = loop(m, d.integer(0, 4), [(ty, shape, quant)])
    paddings = [[d.integer(0, 1), d.integer(0, 2)] for _ in shape]
    body.operator("PAD", [x, body.constant("int32", paddings)], [body.output(ty, shape, quant)], "PadOptions", version=2)
    y = m.inner(ty, shape, quant)
    run_loop(m, condition, body, [m.input("int32", 0), m.input(ty, d.values(ty, shape), quant)], [m.output("int32", []), y])
    limit(d, m, ty, [], quant, y, m.output(ty, shape, quant))
    return m


@generator("WHILE")
def choose_in_a_loop(d):
    """An IF within a WHILE."""
    m = d.model()
    shape, quant = d.shape((1, 3)), d.quant("int8")
    condition, body, (x,) = loop(m, d.integer(0, 6), [("int8", shape, quant)])
    counter, y = body.inputs[0], body.output("int8", shape, quant)
    is_early = body.inner("bool", [])
    body.operator("LESS", [counter, body.constant("int32", d.integer(0, 6))], [is_early], "LessOptions")
    branches = []
    for _ in range(2):
        branch = m.subgraph()
        a, b = branch.parameter("int8", shape, quant), branch.output("int8", shape, quant)
        branch.operator("ADD", [a, branch.constant("int8", d.values("int8", shape), quant)], [b], "AddOptions", version=2)
        branches.append(index(branch))
    body.operator("IF", [is_early, x], [y], "IfOptions", then_subgraph_index=branches[0], else_subgraph_index=branches[1])
    outputs = [m.output("int32", []), m.output("int8", shape, quant)]
    run_loop(m, condition, body, [m.input("int32", 0), m.input("int8", d.values("int8", shape), quant)], outputs)
    return m


def handle(graph, name):
    y = graph.inner("resource", [])
    graph.operator("VAR_HANDLE", [], [y], "VarHandleOptions", container="", shared_name=name)
    return y


def initial(d, m, ty, names, shape, quant):
    """A subgraph that assigns random values to variables; CALL_ONCE runs it."""
    init = m.subgraph()
    for name in names:
        init.operator("ASSIGN_VARIABLE", [handle(init, name), init.constant(ty, d.values(ty, shape), quant)], [], "AssignVariableOptions")
    m.operator("CALL_ONCE", [], [], "CallOnceOptions", init_subgraph_index=index(init))


# How a variable's new value comes of its old one and an input, where MAXIMUM does not take the type.
COMBINE = {"bool": ("LOGICAL_OR", "LogicalOrOptions"), "uint32": ("BITWISE_XOR", "BitwiseXorOptions")}


@generator("READ_VARIABLE", "ASSIGN_VARIABLE", "VAR_HANDLE", "CALL_ONCE", types=[*VALUES, "uint32", "int64", "bool"])
def remember(d, _operator, ty):
    """Two variables that change with every inference, one of them by the other."""
    m = d.model()
    shape, quant = d.shape((0, 4)), d.quant(ty)
    initial(d, m, ty, ["a", "b"], shape, quant)
    x = m.input(ty, [d.values(ty, shape) for _ in range(4)], quant)
    values = {}
    for name in ("a", "b"):
        values[name] = m.output(ty, shape, quant)
        m.operator("READ_VARIABLE", [handle(m, name)], [values[name]], "ReadVariableOptions")
    combined = m.inner(ty, shape, quant)
    operator, options = COMBINE.get(ty, ("MAXIMUM", "MaximumMinimumOptions"))
    m.operator(operator, [x, values["b"]], [combined], options)
    m.operator("ASSIGN_VARIABLE", [handle(m, "a"), combined], [], "AssignVariableOptions")
    m.operator("ASSIGN_VARIABLE", [handle(m, "b"), x], [], "AssignVariableOptions")
    again = m.output(ty, shape, quant)
    m.operator("READ_VARIABLE", [handle(m, "a")], [again], "ReadVariableOptions")
    return m


@generator("ASSIGN_VARIABLE", types=["int8", "float32"])
def remember_in_a_loop(d, ty):
    """A variable that a loop's body reads and assigns."""
    m = d.model()
    shape, quant = d.shape((1, 3)), d.quant(ty)
    initial(d, m, ty, ["a"], shape, quant)
    condition, body, (x,) = loop(m, d.integer(1, 3), [(ty, shape, quant)])
    value, larger = body.inner(ty, shape, quant), body.inner(ty, shape, quant)
    body.operator("READ_VARIABLE", [handle(body, "a")], [value], "ReadVariableOptions")
    body.operator("MAXIMUM", [x, value], [larger], "MaximumMinimumOptions")
    body.operator("ASSIGN_VARIABLE", [handle(body, "a"), x], [], "AssignVariableOptions")
    body.result(larger)
    outputs = [m.output("int32", []), m.output(ty, shape, quant)]
    xs = m.input(ty, [d.values(ty, shape) for _ in range(3)], quant)
    run_loop(m, condition, body, [m.constant("int32", 0), xs], outputs)
    return m


@generator("READ_VARIABLE")
def never_assigned(d):
    m = d.model()
    m.input("int32", [1, 2])
    y = m.output("int32", [2])
    m.operator("READ_VARIABLE", [handle(m, "a")], [y], "ReadVariableOptions")
    return m.refused()
