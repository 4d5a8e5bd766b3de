"""The third way: autograd differentiates the loss as a NumPy function in double precision."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import autograd.numpy as anp
import autograd.scipy.special as special
from autograd import elementwise_grad, jacobian

from derivations.checks.evaluate import Arithmetic, evaluate
from derivations.checks.space import Field, Point, Space
from derivations.unit import UnitFunction

Array = Any

TOLERANCE = 1e-9
"""Rounding, 1e-16, times the condition of K, at most 1e4, and of up to four nested derivatives."""


def _functions() -> Mapping[str, Callable[[Array], Array]]:
    plain = ["exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh"]
    return {name: getattr(anp, name) for name in plain} | {
        "asinh": anp.arcsinh,
        "atan": anp.arctan,
        "erf": special.erf,
        "sigmoid": lambda x: 0.5 * (1.0 + anp.tanh(0.5 * x)),
        "softplus": lambda x: anp.logaddexp(0.0, x),
    }


BOXES = Arithmetic(lambda x: float(x.p) / float(x.q), constant=float, functions=_functions())


class AutogradSpace(Space):
    """Arrays of floats, differentiated by autograd."""

    xp = anp

    def __init__(self, point: Point, unit: UnitFunction) -> None:
        super().__init__(point)
        self._names = ["z", *unit.own, "a"]
        self._psi = unit.psi

    def unit(self, z: Array, own: tuple[Array, ...], a: Array) -> Array:
        """The unit at hand."""
        values = (z, *own, a)
        return evaluate(self._psi, lambda name, _: values[self._names.index(name)], BOXES)

    def derivative(self, function: Field) -> Field:
        """Autograd's Jacobian."""
        return _quiet(jacobian(function))

    def laplacian(self, function: Field) -> Field:
        """The trace of autograd's Hessian."""

        def value(w: Array) -> Array:
            hessian = _quiet(jacobian(jacobian(function)))(w)
            return anp.trace(anp.reshape(hessian, (w.size, w.size)))

        return value

    def along(self, function: Field, direction: Array) -> Field:
        """Autograd's derivative by the length of a step."""
        return lambda w: _quiet(jacobian(lambda step: function(w + step * direction)))(0.0)

    def by_z(self, function: Field) -> Field:
        """Autograd's entrywise derivative."""
        return _quiet(elementwise_grad(function))


def _quiet(function: Field) -> Field:
    """Without autograd's warning that something does not depend on its argument: of a linear unit nothing does."""

    def value(x: Array) -> Array:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Output seems independent of input", UserWarning)
            return function(x)

    return value
