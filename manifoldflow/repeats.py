"""Samples that no unit tells apart: k of them act as one whose outputs and label are multiplied by the root of k.

The loss is then the same function, and with it F = tr D^2 L and M; J J^T, which equal rows make singular, is no longer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import sympy
from numpy.typing import NDArray

from derivations import UnitFunction

from .network import FixedCoefficients
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Repeats:
    """Which samples are equal: `group` (n,) numbers the distinct ones, `first` (n',) is the first sample of each."""

    group: NDArray[np.intp]
    first: NDArray[np.intp]

    @property
    def any(self) -> bool:
        """Whether some sample repeats another."""
        return self.first.size < self.group.size

    @property
    def roots(self) -> Array:
        """The root of the number of samples in each group, (n',)."""
        return np.sqrt(np.bincount(self.group))


def repeats_of(inputs: Array, a: Array, unit: UnitFunction) -> Repeats:
    """Find equal samples: equal inputs (n, d'), where the unit has z, and equal fixed coefficients a (m, n).

    >>> X = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 2.0]])
    >>> repeats_of(X, np.ones((1, 3)), UnitFunction("z**3")).group
    array([0, 1, 0])
    """
    if _has_z(unit) and (_are_apart(inputs[:, :1]) or _are_apart(inputs)):
        return Repeats(np.arange(len(inputs)), np.arange(len(inputs)))
    varying = (a != a[:, :1]).any(axis=1)
    seen = [inputs if _has_z(unit) else inputs[:, :0], a[varying].T]
    numbers: dict[bytes, int] = {}
    group = np.array([numbers.setdefault(row, len(numbers)) for row in _as_bytes(np.concatenate(seen, axis=1))])
    return Repeats(group, np.unique(group, return_index=True)[1])


@lru_cache(maxsize=256)
def _has_z(unit: UnitFunction) -> bool:
    return unit.z in unit.psi.free_symbols


def _are_apart(rows: Array) -> bool:
    return len(set(_as_bytes(rows))) == len(rows)


def _as_bytes(rows: Array) -> list[bytes]:
    """Equal for equal rows, and for no others."""
    return [row.tobytes() for row in rows + 0.0]  # -0.0 becomes 0.0


def without_repeats(manifold: ZeroLossManifold) -> tuple[FixedCoefficients, Array, Array] | None:
    """Network, data and labels of `ZeroLossManifold.distinct`; None where no samples are equal.

    None too where the coefficients differ from unit to unit and psi is not a times something: no multiple of psi is
    then of its form.
    """
    unit, a = manifold.network.unit, manifold.a
    if not manifold.repeats.any or not (unit.is_multiple or (a == a[0, 0]).all()):
        return None
    if not unit.is_multiple:
        unit, a = UnitFunction(unit.psi.subs(unit.a, sympy.Rational(repr(float(a[0, 0])))), unit.own), np.ones_like(a)
    return _taken_once(manifold, unit, a, manifold.repeats.roots)


def constraints_once(manifold: ZeroLossManifold) -> tuple[FixedCoefficients, Array, Array]:
    """Network, data and labels with one of equal samples each, as it is: the same M, of another F."""
    return _taken_once(manifold, manifold.network.unit, manifold.a, np.ones(manifold.repeats.first.size))


def _taken_once(
    manifold: ZeroLossManifold, unit: UnitFunction, a: Array, factors: Array
) -> tuple[FixedCoefficients, Array, Array]:
    first = manifold.repeats.first
    network = FixedCoefficients(unit, a[:, first] * factors, manifold.inputs[first])
    return network, manifold.X[first], manifold.y[first] * factors


def on_distinct_samples(method: F) -> F:
    """Run a method of `ZeroLossManifold` on `ZeroLossManifold.distinct`."""

    @functools.wraps(method)
    def wrapped(self: ZeroLossManifold, *args: Any, **keywords: Any) -> Any:
        return method(self.distinct, *args, **keywords)

    return wrapped  # type: ignore[return-value]
