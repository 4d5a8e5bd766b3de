"""Pickles and copies of records whose formulas stay as they are written.

SymPy rebuilds an expression from its arguments, and 2*(x + y), which a record may hold, becomes 2*x + 2*y on the way:
equal in value, but another formula to read, to print and to compare. Here sums and products are put together unchanged.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sympy import Add, Basic, Mul


class KeepsFormulas:
    """Base of frozen dataclasses that hold SymPy expressions.

    >>> import pickle
    >>> from derivations import UnitFunction, derive
    >>> record = derive(UnitFunction("sinh(z)"))["loss_hessian"]
    >>> pickle.loads(pickle.dumps(record)) == record
    True
    """

    def __reduce__(self) -> tuple[Any, ...]:
        values = tuple(_apart(getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]
        return _remade, (type(self), values)


class _Node(tuple[Any, ...]):
    """An expression taken apart: its class and its arguments."""

    __slots__ = ()


def _remade(cls: Any, values: tuple[Any, ...]) -> Any:
    return cls(*map(_together, values))


def _apart(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_apart, value))
    if isinstance(value, Basic) and value.has(Add, Mul):
        return _Node((value.func, *map(_apart, value.args)))
    return value


def _together(value: Any) -> Any:
    if isinstance(value, _Node):
        make, *arguments = value
        parts = tuple(map(_together, arguments))
        return make._from_args(parts) if make in (Add, Mul) else make(*parts)
    return tuple(map(_together, value)) if isinstance(value, tuple) else value
