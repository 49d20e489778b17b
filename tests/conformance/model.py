"""A small model under construction, with the data of its inputs."""

import numpy as np

import sparse
from schema import TFLITE, file_bytes

# NumPy's types of TFLite's; int4 is held in int8, one value each, and packed when the file is written.
DTYPES = {
    "float32": np.float32, "float16": np.float16, "float64": np.float64, "int8": np.int8, "uint8": np.uint8,
    "int16": np.int16, "uint16": np.uint16, "int32": np.int32, "uint32": np.uint32, "int64": np.int64,
    "uint64": np.uint64, "bool": np.bool_, "int4": np.int8,
}


class Quant:
    """Scale and zero point of a tensor, or one pair per index of `axis`. Scales are rounded to float32."""

    def __init__(self, scale, zero_point=0, axis=0):
        self.scales = np.atleast_1d(np.asarray(scale, np.float32))
        zero_points = np.atleast_1d(np.asarray(zero_point, np.int64))
        self.zero_points = np.broadcast_to(zero_points, self.scales.shape)
        self.axis = axis

    @property
    def scale(self):
        return float(self.scales[0])

    @property
    def zero_point(self):
        return int(self.zero_points[0])

    def table(self):
        return {"scale": self.scales.tolist(), "zero_point": self.zero_points.tolist(), "quantized_dimension": self.axis}


class Subgraph:
    """Tensors and operators; every method that adds a tensor returns its index."""

    def __init__(self, model):
        self.model = model
        self.tensors, self.operators, self.inputs, self.outputs = [], [], [], []

    def _tensor(self, ty, shape, quant, data=None, **fields):
        if ty not in DTYPES and ty != "resource":
            raise ValueError(f"no type {ty}")
        table = {"shape": [int(n) for n in shape], "type": ty.upper(), "buffer": 0, "has_rank": True, **fields}
        if quant is not None:
            table["quantization"] = quant.table()
        if data is not None:
            table["buffer"] = self.model._buffer(packed(ty, data))
        table["name"] = f"t{len(self.tensors)}"
        self.tensors.append(table)
        return len(self.tensors) - 1

    def input(self, ty, data, quant=None, declared=None, signature=None):
        """A run-time input, with its value: an array, or a list of arrays, one for each invocation in a row.

        `declared`: the shape in the file, where the caller resizes the input to the data's shape before running.
        `signature`: the shape with -1 on open axes.
        """
        steps = [np.asarray(a, DTYPES[ty]) for a in (data if isinstance(data, list) else [data])]
        fields = {} if signature is None else {"shape_signature": [int(n) for n in signature]}
        index = self._tensor(ty, steps[0].shape if declared is None else declared, quant, **fields)
        self.inputs.append(index)
        if self is self.model.main:
            self.model.input_data.append((ty, steps))
        return index

    def parameter(self, ty, shape, quant=None):
        """An input of a subgraph that another operator calls: it has no data of its own."""
        index = self._tensor(ty, shape, quant)
        self.inputs.append(index)
        return index

    def constant(self, ty, data, quant=None):
        data = np.asarray(data, DTYPES[ty])
        return self._tensor(ty, data.shape, quant, data)

    def sparse(self, ty, data, quant=None, **encoding):
        """A constant that the file stores sparsely; `encoding` as `sparse.encode` takes it."""
        data = np.asarray(data, DTYPES[ty])
        values, table = sparse.encode(data, **encoding)
        return self._tensor(ty, data.shape, quant, values, sparsity=table)

    def inner(self, ty, shape=(), quant=None):
        """A tensor between two operators."""
        return self._tensor(ty, shape, quant)

    def variable(self, ty, shape, quant=None):
        """A tensor that keeps its value from one invocation to the next."""
        return self._tensor(ty, shape, quant, is_variable=True)

    def output(self, ty, shape=(), quant=None, signature=None):
        """A result of the subgraph. The peer computes the real shape; give it where it is known."""
        fields = {} if signature is None else {"shape_signature": [int(n) for n in signature]}
        index = self._tensor(ty, shape, quant, **fields)
        self.outputs.append(index)
        return index

    def result(self, index):
        """Lists a tensor that exists already as a result."""
        self.outputs.append(index)
        return index

    def operator(self, name, inputs, outputs, options=None, *, version=1, custom=None, intermediates=None, **fields):
        """Adds an operator. `options` names its option table and `fields` are its fields; None or -1 leaves an input out.

        A name that is no builtin operator is a custom one, with the bytes `custom` as its options.
        """
        table = {
            "opcode_index": self.model._code(name, version),
            "inputs": [-1 if i is None else i for i in inputs],
            "outputs": list(outputs),
        }
        if options is not None:
            union = "builtin_options" if options in TFLITE.unions["BuiltinOptions"] else "builtin_options_2"
            table[union] = (options, fields)
        elif fields:
            raise ValueError(f"{name}: fields {sorted(fields)} without an option table")
        if custom is not None:
            table["custom_options"] = custom
        if intermediates is not None:
            table["intermediates"] = list(intermediates)
        self.operators.append(table)

    def table(self):
        return {
            "tensors": self.tensors, "inputs": self.inputs, "outputs": self.outputs, "operators": self.operators,
            "name": "",
        }


class Model:
    """A model file and the values of its inputs. Methods of the main subgraph can be called on it directly."""

    def __init__(self):
        self.buffers, self.codes, self.subgraphs, self.signatures = [b""], [], [], []
        self.input_data = []
        self.main = None
        self.main = self.subgraph()
        # Filled by a generator that knows better than the peer; see README.md.
        self.must_refuse = False
        self.resolver = "reference"
        self.expected = None
        self.mask = None
        self.profiles = ("tflite", "litert")

    def __getattr__(self, name):
        if name.startswith("_") or name == "main":
            raise AttributeError(name)
        return getattr(self.main, name)

    def subgraph(self):
        """A further subgraph, for control flow; its index is its place in `subgraphs`."""
        self.subgraphs.append(Subgraph(self))
        return self.subgraphs[-1]

    def signature(self, key, inputs, outputs, subgraph=0):
        """Names tensors: `inputs` and `outputs` are `{name: tensor}`."""
        tensor_maps = [[{"name": n, "tensor_index": t} for n, t in d.items()] for d in (inputs, outputs)]
        self.signatures.append(
            {"inputs": tensor_maps[0], "outputs": tensor_maps[1], "signature_key": key, "subgraph_index": subgraph}
        )

    def refused(self):
        """The library must refuse this model, provided that the peer does."""
        self.must_refuse = True
        return self

    def optimised(self):
        """Expected values come from the peer's default kernels, for operators that its reference resolver lacks."""
        self.resolver = "default"
        return self

    def only(self, *profiles):
        """The case counts for these profiles alone."""
        self.profiles = profiles
        return self

    def expect(self, outputs):
        """Expected values by arithmetic, as `[(type, array), ...]`, where the peer's are an accident; say why at the call."""
        self.expected = [(ty, np.asarray(a, DTYPES[ty])) for ty, a in outputs]
        return self

    def _buffer(self, data):
        # An empty buffer would read as "computed at run time"; TFLite treats a constant without elements so as well.
        self.buffers.append(data)
        return len(self.buffers) - 1

    def _code(self, name, version):
        builtin = TFLITE.enums["BuiltinOperator"].get(name)
        number = TFLITE.enums["BuiltinOperator"]["CUSTOM"] if builtin is None else builtin
        code = {"deprecated_builtin_code": min(number, 127), "builtin_code": number, "version": version}
        if builtin is None:
            code["custom_code"] = name
        if code not in self.codes:
            self.codes.append(code)
        return self.codes.index(code)

    def bytes(self):
        return file_bytes({
            "version": 3,
            "operator_codes": self.codes,
            "subgraphs": [s.table() for s in self.subgraphs],
            "buffers": [{"data": b} if b else {} for b in self.buffers],
            "signature_defs": self.signatures or None,
        })


def packed(ty, data):
    """The bytes of an array in a file: little-endian, int4 with the first of two values in the low half."""
    if ty != "int4":
        return np.ascontiguousarray(data).tobytes()
    flat = data.reshape(-1) & 15
    flat = np.append(flat, np.zeros(len(flat) % 2, flat.dtype))
    return (flat[0::2] | flat[1::2] << 4).astype(np.uint8).tobytes()
