"""The value of every symbol that a record's right side may contain, at one network and point.

What a record uses (K, lambda, w, C, f) is computed from the records that define it, in the given arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sympy import Expr

from derivations import symbols as sym
from derivations.blocks import components
from derivations.checks.definitions import Definition
from derivations.checks.evaluate import Arithmetic, Number, evaluate_array
from derivations.checks.space import Point, eliminate
from derivations.records import Record
from derivations.rules.convexity import row_weight

Array = Any


class Environment:
    """Looks values up by name; arrays are computed when first asked for.

    Args:
        point: The network and the point, in numbers of the arithmetic.
        records: The records that define K, lambda, w, C and f.
        arithmetic: The kind of number.
    """

    def __init__(self, point: Point, records: Mapping[str, Record], arithmetic: Arithmetic) -> None:
        self.point = point
        self.records = records
        self.arithmetic = arithmetic
        self.arrays: dict[str, Array] = _given(point)
        self.sizes = {"m": len(point.W), "n": len(point.X), "d": point.d}

    def entry(self, name: str, index: tuple[int, ...]) -> Number:
        """The value of a symbol or of an array's entry."""
        if name in self.sizes:
            return self.sizes[name]
        if name not in self.arrays:
            self.arrays[name] = _MAKERS[name](self)
        return self.arrays[name][index]

    def right(self, record: Record, definition: Definition) -> Array:
        """The record's right side, in the shape that its definition's left side has."""
        parts = components(record.right)
        if not definition.block:
            return self.over(parts[0], *definition.indices)
        theta = self.over(parts[0], *definition.indices)
        own = [self.over(part, *definition.indices[:-1])[..., None] for part in parts[1:]]
        return np.concatenate([theta, *own], axis=-1)

    def over(self, expr: Expr, *indices: Any) -> Array:
        """An expression as an array over its free indices."""
        shape = tuple(self.sizes[sym.SIZE[index].name] for index in indices)
        return evaluate_array(expr, indices, shape, self.entry, self.arithmetic)


def _given(point: Point) -> dict[str, Array]:
    data, own = point.X, range(point.d, point.W.shape[1])
    arrays = {
        "X": data,
        "a": point.a,
        "y": point.y,
        "Theta": point.W[:, : point.d],
        "U": point.U[:, : point.d],
    }
    arrays |= {f"c_{q - point.d + 1}": point.W[:, q] for q in own}
    arrays |= {f"U_{q - point.d + 1}": point.U[:, q] for q in own}
    gram = np.dot(data, data.T)
    arrays |= {
        "z": np.dot(arrays["Theta"], data.T),
        "u": np.dot(arrays["U"], data.T),
        "G": gram,
        "s": np.diag(gram),
    }
    return arrays


def _solved(name: str) -> Callable[[Environment], Array]:
    """The solution x of K x = the right side of a record."""
    return lambda env: eliminate(np, env.over(_gram(env), sym.i, sym.l), env.over(env.records[name].right, sym.i))


def _inverse(env: Environment) -> Array:
    gram = env.over(_gram(env), sym.i, sym.l)
    return eliminate(np, gram, np.eye(len(gram), dtype=object))


def _gram(env: Environment) -> Expr:
    return env.records["gram_of_jacobian"].right


_MAKERS: Mapping[str, Callable[[Environment], Array]] = {
    "f": lambda env: env.over(env.records["output"].right, sym.i),
    "K": lambda env: env.over(_gram(env), sym.i, sym.l),
    "Kinv": _inverse,
    "lambda_": _solved("multipliers"),
    "w": _solved("flow_multipliers"),
    "C": lambda env: env.over(row_weight(env.records), sym.j, sym.i),
}
