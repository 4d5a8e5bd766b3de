"""Two kinds of number that carry something along: the size of what was added up, and a degree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sized:
    """A value with its size: what it would be had nothing cancelled.

    Rounding errors are relative to the size, so deviations are measured in it.

    >>> Sized(3.0, 3.0) - Sized(3.0, 3.0)
    Sized(value=0.0, size=6.0)
    """

    value: Any
    size: Any

    def __add__(self, other: Any) -> Sized:
        other = sized(other)
        return Sized(self.value + other.value, self.size + other.size)

    def __sub__(self, other: Any) -> Sized:
        other = sized(other)
        return Sized(self.value - other.value, self.size + other.size)

    def __mul__(self, other: Any) -> Sized:
        other = sized(other)
        return Sized(self.value * other.value, self.size * other.size)

    def __truediv__(self, other: Any) -> Sized:
        other = sized(other)
        return Sized(self.value / other.value, self.size / abs(other.value))

    def __pow__(self, exponent: Any) -> Sized:
        power = sized(exponent).value
        return Sized(self.value**power, self.size**power) if isinstance(power, int) else sized(self.value**power)

    def __neg__(self) -> Sized:
        return Sized(-self.value, self.size)

    def __radd__(self, other: Any) -> Sized:
        return sized(other) + self

    def __rsub__(self, other: Any) -> Sized:
        return sized(other) - self

    def __rmul__(self, other: Any) -> Sized:
        return sized(other) * self

    def __rtruediv__(self, other: Any) -> Sized:
        return sized(other) / self


def sized(number: Any) -> Sized:
    """A plain number with its absolute value as its size.

    >>> sized(-2.0)
    Sized(value=-2.0, size=2.0)
    """
    return number if isinstance(number, Sized) else Sized(number, abs(number))


@dataclass(frozen=True)
class Degree:
    """Bounds on the degrees of numerator and denominator of a rational function.

    >>> Degree(1, 0) / Degree(2, 0) + Degree(1, 0)
    Degree(top=3, bottom=2)
    """

    top: int
    bottom: int

    def __add__(self, other: Any) -> Degree:
        other = degree(other)
        return Degree(max(self.top + other.bottom, other.top + self.bottom), self.bottom + other.bottom)

    def __mul__(self, other: Any) -> Degree:
        other = degree(other)
        return Degree(self.top + other.top, self.bottom + other.bottom)

    def __truediv__(self, other: Any) -> Degree:
        other = degree(other)
        return self * Degree(other.bottom, other.top)

    def __pow__(self, exponent: int) -> Degree:
        return Degree(self.top * exponent, self.bottom * exponent)

    def __neg__(self) -> Degree:
        return self

    def __rtruediv__(self, other: Any) -> Degree:
        return degree(other) / self

    __sub__ = __add__
    __radd__ = __add__
    __rsub__ = __add__
    __rmul__ = __mul__


def degree(number: Any) -> Degree:
    """A constant has degree nought.

    >>> degree(7)
    Degree(top=0, bottom=0)
    """
    return number if isinstance(number, Degree) else Degree(0, 0)
