"""The two numerical ways, as values: which space, which numbers, which tolerance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from derivations.checks import automatic, digits
from derivations.checks.evaluate import Arithmetic
from derivations.checks.points import FLOATS
from derivations.checks.result import Method
from derivations.checks.space import Point, Space
from derivations.unit import UnitFunction

Array = Any


@dataclass(frozen=True, eq=False)
class Way:
    """A numerical way of checking; there are two, which are told apart by identity.

    Args:
        method: Its name.
        space: Makes the space of a point and a unit.
        number: Makes a number from a float.
        arithmetic: The elementary functions in these numbers.
        tolerance: The largest deviation of an equation that passes.
        nearness: Distance to the case of equality at which an inequality is tried.
        slack: The largest deviation from equality there that passes; it is of the order of the nearness.
        rounding: The relative error of F that stays in the difference of two values so near each other.
        spread: How many times as large as its slope a unit and its derivatives may be.
        room: In an inequality, how many times as small as phi' may phi'' and phi''' be, and phi as large.
    """

    method: Method
    space: Callable[[Point, UnitFunction], Space]
    number: Callable[[float], Any]
    arithmetic: Arithmetic
    tolerance: float
    nearness: float
    slack: float
    rounding: float
    spread: float
    room: float

    def array(self, values: Array) -> Array:
        """An array of this way's numbers."""
        made = np.frompyfunc(self.number, 1, 1)(np.asarray(values, dtype=object))
        return made.astype(float) if self.number is float else made

    def point(self, point: Point) -> Point:
        """A point in this way's numbers."""
        return Point(*[self.array(x) for x in (point.X, point.a, point.W, point.U, point.y)])


DIGITS = Way(
    "fifty digits",
    digits.DigitSpace,
    digits.exactly,
    digits.PLAIN,
    digits.TOLERANCE,
    nearness=1e-20,
    slack=1e-15,
    rounding=1e-80,  # the truncation of a difference, 1e-60, is that of both values; its rounding is 1e-170
    spread=1e6,
    room=1e6,
)
AUTOGRAD = Way(
    "autograd",
    automatic.AutogradSpace,
    float,
    FLOATS,
    automatic.TOLERANCE,
    nearness=1e-5,
    slack=5e-4,
    rounding=2e-15,  # ten units in the last place
    spread=1e4,
    room=1e2,
)
