"""The model file's tables, read from the project's own wording of the format (src/schema/tflite.fbs), and a writer over them."""

import re
from pathlib import Path

import flatbuffers
import numpy as np

SCHEMA = Path(__file__).resolve().parents[2] / "src/schema/tflite.fbs"

# Scalar types of the schema language: how a builder prepends one, and its width in bytes.
SCALARS = {
    "bool": ("Bool", 1), "byte": ("Int8", 1), "ubyte": ("Uint8", 1), "short": ("Int16", 2), "ushort": ("Uint16", 2),
    "int": ("Int32", 4), "uint": ("Uint32", 4), "long": ("Int64", 8), "ulong": ("Uint64", 8), "float": ("Float32", 4),
}


class Schema:
    """Enums by name as `{member: number}`, unions alike, tables as `{field: (slot, type, default)}`."""

    def __init__(self, text):
        text = re.sub(r"//[^\n]*", "", text)
        self.enums, self.enum_types, self.unions, self.tables = {}, {}, {}, {}
        for name, kind, body in re.findall(r"enum (\w+): (\w+) \{([^}]*)\}", text):
            self.enums[name] = {m: int(n) for m, n in re.findall(r"(\w+) = (\d+)", body)}
            self.enum_types[name] = kind
        for name, body in re.findall(r"union (\w+) \{([^}]*)\}", text):
            self.unions[name] = {m: int(n) for m, n in re.findall(r"(\w+) = (\d+)", body)}
        for name, body in re.findall(r"table (\w+) \{([^}]*)\}", text):
            self.tables[name] = self._fields(body)

    def _fields(self, body):
        fields, slot = {}, 0
        for field, kind, default in re.findall(r"(\w+): (\[?\w+\]?)(?: = ([-\w.]+))?[^;]*;", body):
            slot += kind in self.unions  # the number of the member comes first
            fields[field] = (slot, kind, default)
            slot += 1
        return fields

    def number(self, enum, member):
        """The number of an enum's member, which may be given as its number."""
        return member if isinstance(member, (int, np.integer)) else self.enums[enum][member]

    def write(self, builder, table, values):
        """Writes a table from `{field: value}`; nested tables are dictionaries, a union is `(table, dictionary)`."""
        fields = self.tables[table]
        unknown = set(values) - set(fields)
        if unknown:
            raise ValueError(f"{table} has no {sorted(unknown)}; it has {sorted(fields)}")
        ready = [(*fields[f][:2], self._prepare(builder, table, f, fields[f][1], v)) for f, v in values.items() if v is not None]
        count = max((slot for slot, _, _ in fields.values()), default=-1) + 1
        builder.StartObject(count)
        for slot, kind, value in ready:
            if kind in SCALARS or kind in self.enums:
                name, _ = SCALARS[self.enum_types.get(kind, kind)]
                # No default equals None: every given value is written.
                getattr(builder, f"Prepend{name}")(value)
                builder.Slot(slot)
            elif kind in self.unions:
                number, offset = value
                builder.PrependUint8(number)
                builder.Slot(slot - 1)
                builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
            else:
                builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return builder.EndObject()

    def _prepare(self, builder, table, field, kind, value):
        """Everything but scalars must be written before the table that refers to it."""
        if kind in self.enums:
            return self.number(kind, value)
        if kind in SCALARS:
            return float(value) if kind == "float" else bool(value) if kind == "bool" else int(value)
        if kind in self.unions:
            member, values = value
            return self.unions[kind][member], self.write(builder, member, values)
        if kind == "string":
            return builder.CreateString(value)
        if kind.startswith("["):
            return self._vector(builder, table, field, kind[1:-1], value)
        return self.write(builder, kind, value)

    def _vector(self, builder, table, field, kind, values):
        if kind == "ubyte":
            data = bytes(values)
            builder.StartVector(1, len(data), 16 if (table, field) == ("Buffer", "data") else 4)
            builder.head = builder.head - len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            return builder.EndVector()
        if kind in SCALARS:
            name, width = SCALARS[kind]
            builder.StartVector(width, len(values), width)
            for value in reversed(list(values)):
                getattr(builder, f"Prepend{name}")(value)
            return builder.EndVector()
        offsets = [builder.CreateString(v) if kind == "string" else self.write(builder, kind, v) for v in values]
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()


TFLITE = Schema(SCHEMA.read_text())


def file_bytes(model):
    """A model file from a dictionary of the `Model` table."""
    builder = flatbuffers.Builder(4096)
    builder.Finish(TFLITE.write(builder, "Model", model), file_identifier=b"TFL3")
    return bytes(builder.Output())
