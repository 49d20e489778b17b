"""The generators of cases: one decorator, and the files under cases/ that use it."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from draw import Draw


@dataclass
class Generator:
    operator: str
    variant: str
    make: Callable
    arguments: tuple
    weight: float

    @property
    def name(self):
        return f"{self.operator}/{self.variant}"

    def case(self, seed, index):
        return self.make(Draw(seed, self.name, index), *self.arguments)


GENERATORS: dict[str, Generator] = {}


def generator(*operators, types=None, weight=1.0):
    """Registers a function that draws one model.

    `operators`: the names the cases count for. Of several, the function is called as `make(draw, operator)`.
    `types`: one generator per entry, called with it: `make(draw, [operator,] type)`. An entry may be a tuple of types.
    `weight`: how many cases, relative to others.
    """

    def register(make):
        for operator in operators:
            for entry in types if types is not None else [None]:
                arguments: tuple[Any, ...] = (operator,) if len(operators) > 1 else ()
                variant = make.__name__
                if entry is not None:
                    arguments += (entry,)
                    variant += "-" + (entry if isinstance(entry, str) else "-".join(map(str, entry)))
                found = Generator(operator, variant, make, arguments, weight)
                if found.name in GENERATORS:
                    raise ValueError(f"two generators are called {found.name}")
                GENERATORS[found.name] = found
        return make

    return register


def load_all():
    """Imports every file under cases/ and returns the generators in order of name."""
    for path in sorted((Path(__file__).parent / "cases").glob("*.py")):
        importlib.import_module(f"cases.{path.stem}")
    return [GENERATORS[name] for name in sorted(GENERATORS)]
