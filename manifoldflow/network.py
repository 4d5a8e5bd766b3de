"""Networks as sums over units: which unit function, how many units, and how a unit meets a sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
import sympy
from numpy.typing import ArrayLike

from derivations import UnitFunction

from .errors import InputError
from .immutable import ReadOnlyArrays
from .validation import Array, instance, positive_integer, real_array

_WIDEST = 10**8


@runtime_checkable
class Network(Protocol):
    """What a manifold needs of a network: its unit, what its parameters are multiplied with, its fixed coefficients."""

    @property
    def unit(self) -> UnitFunction:
        """The unit function psi(z, c; a)."""

    @property
    def p(self) -> int:
        """Number of own parameters of a unit."""

    def inputs(self, X: Array) -> Array:
        """The matrix (n, d') that a unit's first d' parameters are multiplied with to give z."""

    def coefficients(self, X: Array) -> Array:
        """The fixed coefficients a_ji, (m, n), for the data X (n, d)."""


@dataclass(frozen=True, eq=False)
class TwoLayerNetwork(ReadOnlyArrays):
    """Two-layer network f(x) = sum_j psi(theta_j . x, c_j; a_j), in the paper's case sum_j a_j phi(theta_j . x).

    Parameters: `unit`, a `UnitFunction` or its formula; `width` m; `output_weights` a, (m,) and non-zero and not
    trained (None: all ones), or "trained": the output weight becomes the unit's own parameter c, and theta is (m, d +
    1).

    Raises `InputError` for weights of another shape, zero or not finite, and for "trained" with a unit that already has
    own parameters.

    Source: Gatmiry et al. (ICML 2024), section 3; signed weights S10.

    >>> net = TwoLayerNetwork(UnitFunction("z**3 + z"), width=3)
    >>> net.output_weights
    array([1., 1., 1.])
    >>> TwoLayerNetwork("tanh(z)", width=2, output_weights="trained").unit
    UnitFunction(formula='c*tanh(z)', own=('c',))
    """

    unit: UnitFunction
    width: int
    output_weights: Any = None

    def __post_init__(self) -> None:
        unit = self.unit if isinstance(self.unit, UnitFunction) else UnitFunction(self.unit)
        trained = isinstance(self.output_weights, str)
        weights = None if trained else self.output_weights
        object.__setattr__(self, "width", _width(self.width))
        object.__setattr__(self, "unit", _with_trained_weight(unit, self.output_weights) if trained else unit)
        object.__setattr__(self, "output_weights", self._weights(weights))

    def _weights(self, value: ArrayLike | None) -> Array:
        given = np.ones(self.width) if value is None else value
        weights = real_array("output_weights", given, shape=(self.width,)).copy()
        if np.any(weights == 0.0):
            raise InputError(
                f"output_weights must be non-zero; entry {int(np.flatnonzero(weights == 0.0)[0])} is 0. "
                "A unit of weight 0 does not act: leave it out."
            )
        weights.flags.writeable = False
        return weights

    @property
    def p(self) -> int:
        """Number of own parameters of a unit."""
        return self.unit.p

    def inputs(self, X: Array) -> Array:
        """What the parameters' first columns are multiplied with: the data, (n, d)."""
        return X

    def coefficients(self, X: Array) -> Array:
        """Fixed coefficients a_ji, (m, n): the output weight of unit j for every sample."""
        return np.repeat(self.output_weights[:, None], X.shape[0], axis=1)


@dataclass(frozen=True, eq=False)
class DiagonalLinearNetwork:
    """Diagonal linear network f(x) = sum_j x_j (u_j^2 - v_j^2), or sum_j x_j v_j^2 with signed=False.

    A unit is a feature: theta is (d, 2) with the columns u and v, or (d, 1). Its fixed coefficient is the feature
    itself, a_ji = x_ij, and it meets no weights: z does not occur. f is linear in w = u^2 - v^2, and on the zero-loss
    manifold F = 8 sum_j s_j (u_j^2 + v_j^2) with s_j = sum_i x_ij^2.

    Raises `InputError` for a `signed` that is not a truth value.

    Source: HaoChen et al. (2021) for v^2; Woodworth et al. (2020) and Li, Wang and Arora (2022) for u^2 - v^2.

    >>> net = DiagonalLinearNetwork()
    >>> net.unit
    UnitFunction(formula='u**2 - v**2', own=('u', 'v'))
    >>> net.coefficients(np.array([[1.0, 2.0, 3.0]])).shape
    (3, 1)
    """

    signed: bool = True

    def __post_init__(self) -> None:
        instance("signed", self.signed, bool)

    @property
    def unit(self) -> UnitFunction:
        """The unit function, a (u^2 - v^2) or a v^2."""
        return SIGNED_SQUARES if self.signed else SQUARES

    @property
    def p(self) -> int:
        """Number of own parameters of a unit, all that it has."""
        return self.unit.p

    def inputs(self, X: Array) -> Array:
        """What the parameters' first columns are multiplied with: nothing, (n, 0)."""
        return X[:, :0]

    def coefficients(self, X: Array) -> Array:
        """Fixed coefficients a_ji = x_ij, (d, n)."""
        return X.T


@dataclass(frozen=True, eq=False)
class FixedCoefficients:
    """The network of a unit whose coefficients (m, n), and inputs (n, d'), are given, whatever the data."""

    unit: UnitFunction
    a: Array
    given: Array

    @property
    def p(self) -> int:
        """Number of own parameters of a unit."""
        return self.unit.p

    def inputs(self, X: Array) -> Array:
        """What the parameters' first columns are multiplied with, (n, d')."""
        return self.given

    def coefficients(self, X: Array) -> Array:
        """Fixed coefficients a_ji, (m, n)."""
        return self.a


SIGNED_SQUARES = UnitFunction("u**2 - v**2", own=("u", "v"))
SQUARES = UnitFunction("v**2", own=("v",))


@lru_cache(maxsize=256)
def trains_at_zero(unit: UnitFunction) -> bool:
    """Whether the output at a sample of zeros, z = 0, can be trained: it depends on an own parameter there."""
    return unit.z in unit.psi.free_symbols and not unit.psi.subs(unit.z, 0).free_symbols.isdisjoint(unit.c)


def _width(value: Any) -> int:
    width = positive_integer("width", value)
    if width > _WIDEST:  # a slip, which would only be noticed when the memory is full
        raise InputError(f"width must be at most {_WIDEST}: every unit takes some numbers a sample; got {width}.")
    return width


def _with_trained_weight(unit: UnitFunction, word: str) -> UnitFunction:
    if word != "trained":
        raise InputError(f"output_weights must be None, an array or 'trained'; got {word!r}.")
    if unit.phi is None:
        raise InputError(
            f"output_weights='trained' needs a unit a*phi(z); {unit.formula!r} is not of this form. "
            "Give the trained weight as one of the unit's own parameters."
        )
    return UnitFunction(sympy.Symbol("c") * unit.phi, own=("c",))
