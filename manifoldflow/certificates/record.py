"""What every certificate returns beside its numbers: a claim, whether it is proved, by which arithmetic, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import numpy as np

from .interval import Interval, interval


@dataclass(frozen=True)
class Enclosure:
    """Two float64 between which a number is proved to lie; an infinite one where nothing is known on that side.

    >>> print(Enclosure(0.1, 0.1000000000000001))
    [0.1, 0.1000001]
    >>> Enclosure(1.0, 2.0).contains(1.5)
    True
    """

    low: float
    high: float

    @classmethod
    def of(cls, value: Interval) -> Enclosure:
        """From an interval of one number."""
        return cls(float(value.lo), float(value.hi))

    @property
    def width(self) -> float:
        """Length of the interval."""
        return self.high - self.low

    @property
    def interval(self) -> Interval:
        """As an interval, to compute with."""
        return Interval(self.low, self.high)

    @property
    def is_positive(self) -> bool:
        """Whether the number is proved to be positive."""
        return self.low > 0.0

    def contains(self, value: float) -> bool:
        """Whether the value lies between the ends."""
        return self.low <= value <= self.high

    def within(self, digits: int) -> str:
        """The ends in decimal, rounded outward to that many significant digits."""
        low, high = _outward(self.low, digits, ROUND_FLOOR), _outward(self.high, digits, ROUND_CEILING)
        return low if low == high else f"[{low}, {high}]"

    def __str__(self) -> str:
        return self.within(7)


def _outward(value: float, digits: int, rounding: str) -> str:
    """A float64 in decimal, rounded in one direction.

    >>> _outward(0.1, 3, ROUND_FLOOR), _outward(-1e-300, 3, ROUND_CEILING), _outward(6.0, 3, ROUND_FLOOR)
    ('0.1', '-1e-300', '6')
    """
    if not np.isfinite(value) or value == 0.0:
        return f"{value + 0.0:g}"
    number = Context(prec=digits, rounding=rounding).create_decimal(Decimal(value)).normalize()
    plain = -5 <= number.adjusted() < digits
    return f"{number:f}" if plain else f"{number:E}".replace("E+", "e").replace("E", "e")


@dataclass(frozen=True)
class Certificate:
    """A claim about one network and data set, and whether it is proved.

    Args:
        name: A few words.
        proved: True only where rigorous arithmetic has proved the claim.
        claim: What is claimed, with its numbers.
        reason: Why it could not be proved; empty where it is.
        arithmetic: The arithmetic that was used.
        refuted: True where the opposite was proved.

    >>> Certificate("A1", True, "phi' >= 1", "", "float64 intervals").line
    "A1: proved (float64 intervals): phi' >= 1"
    """

    name: str
    proved: bool
    claim: str
    reason: str
    arithmetic: str
    refuted: bool = False

    @property
    def verdict(self) -> str:
        """One of "proved", "refuted", "not proved"."""
        return "proved" if self.proved else "refuted" if self.refuted else "not proved"

    @property
    def text(self) -> str:
        """The claim, and why it is not proved where it is not."""
        return self.claim if self.proved else f"{self.claim}: {self.reason}"

    @property
    def line(self) -> str:
        """What a report prints."""
        return f"{self.name}: {self.verdict} ({self.arithmetic}): {self.text}"


def below(value: float, digits: int = 4) -> str:
    """A number in decimal, rounded down: what a lower bound is printed with."""
    return _outward(value, digits, ROUND_FLOOR)


def above(value: float, digits: int = 4) -> str:
    """A number in decimal, rounded up: what an upper bound is printed with.

    >>> above(1.00003), below(1.00003)
    ('1.001', '1')
    """
    return _outward(value, digits, ROUND_CEILING)


def smallest(value: Interval) -> Enclosure:
    """An enclosure of the smallest of several numbers."""
    value = interval(value)
    return Enclosure(float(value.lo.min()), float(value.hi.min()))
