"""A mean that was measured in independent runs, next to what was predicted for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from verification.points import Array
from verification.records import Status

LEVEL = 0.95  # of the intervals that are shown
VERDICT_LEVEL = 0.999  # of a verdict: all comparisons of a part together; a correct program fails once in a thousand
RESOLUTION = 0.1  # an interval of this half-width or more cannot tell a clock from one wrong by a factor 1.2


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error and the degrees of freedom of the latter."""

    value: float
    error: float
    dof: float

    def half_width(self, family: int = 1, level: float = LEVEL) -> float:
        """Of Student's interval; so many intervals all cover with that probability or more (Bonferroni).

        >>> estimate = Estimate(0.0, 1.0, 10.0)
        >>> round(estimate.half_width(), 2), round(estimate.half_width(15, VERDICT_LEVEL), 2)
        (2.23, 6.53)
        """
        return float(stdtrit(self.dof, 1.0 - (1.0 - level) / (2.0 * family)) * self.error)


def mean(values: Array) -> Estimate:
    """Of independent runs.

    >>> mean(np.array([1.0, 2.0, 3.0])).dof
    2.0
    """
    error = values.std(ddof=1) / np.sqrt(values.size)
    return Estimate(float(values.mean()), float(error), float(values.size - 1))


def at_zero(x: Array, estimates: Sequence[Estimate]) -> Estimate:
    """The value at x = 0 of the polynomial through independent estimates at x (Richardson), Welch-Satterthwaite dof.

    >>> float(round(at_zero(np.array([1.0, 0.5]), [Estimate(3.0, 0.1, 9.0), Estimate(2.0, 0.1, 9.0)]).value, 12))
    1.0
    """
    weights = zero_weights(x)
    values = np.array([estimate.value for estimate in estimates])
    parts = weights**2 * np.array([estimate.error for estimate in estimates]) ** 2
    dof = parts.sum() ** 2 / np.sum(parts**2 / np.array([estimate.dof for estimate in estimates]))
    return Estimate(float(weights @ values), float(np.sqrt(parts.sum())), float(dof))


def zero_weights(x: Array) -> Array:
    """Weights of the values at x in the interpolating polynomial at 0.

    >>> zero_weights(np.array([1.0, 0.5])).tolist()
    [-1.0, 2.0]
    """
    others = [np.delete(x, k) for k in range(x.size)]
    return np.array([np.prod(other / (other - x[k])) for k, other in enumerate(others)])


@dataclass(frozen=True)
class Comparison:
    """`estimate` of a number that `predicted` predicts, one of a `family` that is judged together, from so many runs.

    `tolerance` is what the prediction itself leaves out.
    """

    name: str
    estimate: Estimate
    predicted: float
    runs: int
    family: int = 1
    tolerance: float = 0.0

    @property
    def half_width(self) -> float:
        """Of the interval that the verdict is by: all of the family cover with 99.9 %."""
        return self.estimate.half_width(self.family, VERDICT_LEVEL)

    @property
    def status(self) -> Status:
        """holds: the prediction is in the family's interval, and the interval tells it from one 1.2 times as large.

        >>> Comparison("clock", Estimate(1.001, 0.002, 30.0), 1.0, 16).status
        'holds'
        >>> Comparison("clock", Estimate(1.001, 0.002, 30.0), 1.2, 16).status
        'fails'
        >>> Comparison("clock", Estimate(1.001, 0.2, 30.0), 1.0, 16).status
        'inconclusive'
        """
        half = self.half_width
        if not half < RESOLUTION * abs(self.predicted):
            return "inconclusive"
        return "holds" if abs(self.estimate.value - self.predicted) <= half + self.tolerance else "fails"
