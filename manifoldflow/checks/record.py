"""The outcome of a check: a verdict, the numbers behind it, and the smallest error that it would have noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from ..validation import Array

Outcome = Literal["ok", "wrong", "not decided"]
SAFETY = 4.0  # times the estimated error of a difference, which is an estimate


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Args:
        check: "gradient", "hessian", "retraction" or "geodesic".
        verdict: "ok": no error above `detection_floor`; "wrong": an error beyond what differences and rounding explain;
            "not decided": the check could not have seen an error of the size asked for, or does not apply.
        relative_error: the largest difference seen between claimed and measured, relative to the derivative's size.
        detection_floor: the smallest relative error that this check, at this point with these directions, would have
            called wrong: errors in random directions are added to the claim until it is. Infinite where none is.
        order: the slope of the Taylor remainder in the step, where it stands clear of rounding; None where it never
            does. A wrong derivative has a smaller one; the verdict does not rest on it.
        expected_order: the slope that a right derivative has (or more, by symmetry).
        window: the steps between which that slope was taken.
        reason: one sentence.
    """

    check: str
    verdict: Outcome
    relative_error: float
    detection_floor: float
    order: float | None
    expected_order: int
    window: tuple[float, float]
    reason: str

    @property
    def ok(self) -> bool:
        """Whether the verdict is "ok"."""
        return self.verdict == "ok"

    def __str__(self) -> str:
        order = "none seen" if self.order is None else f"{self.order:.2f}"
        return (
            f"{self.check}: {self.verdict} (relative error {self.relative_error:.1e}, floor "
            f"{self.detection_floor:.1e}, order {order} for {self.expected_order}): {self.reason}"
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """Claimed numbers (k,) against measured ones of estimated error; `scale` is the size of the derivative.

    `rounding`: by how much a claim may be off for its own rounding or tolerance.
    `effects` (j, k): how the claims change where the derivative is wrong by `scale` in the j-th injected direction.
    """

    claimed: Array
    measured: Array
    error: Array
    scale: float
    effects: Array
    rounding: float

    @property
    def relative_error(self) -> float:
        """Largest difference over the scale."""
        return float(np.abs(self.claimed - self.measured).max() / self.scale) if self.scale > 0.0 else 0.0

    def notices(self, claimed: Array) -> bool:
        """Whether such claims are beyond the error of what was measured."""
        return bool(np.any(np.abs(claimed - self.measured) > SAFETY * self.error + self.rounding))

    @property
    def decided(self) -> bool:
        """Whether there is a measured number to compare each claim with."""
        return bool(np.all(np.isfinite([self.claimed, self.measured, self.error])))

    def floor(self) -> float:
        """The smallest error that is noticed in every injected direction."""
        base = self.measured if self.notices(self.claimed) else self.claimed
        return max(_smallest(partial(self._notices_with, base, effect)) for effect in self.effects)

    def _notices_with(self, base: Array, effect: Array, size: float) -> bool:
        return self.notices(base + size * effect)


def _smallest(noticed: Callable[[float], bool]) -> float:
    """The smallest size, to 5 %, that is noticed, between 1e-16 and 1; infinite where 1 is not."""
    if not noticed(1.0):
        return np.inf
    low, high = 1e-16, 1.0
    while high > 1.05 * low:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if noticed(middle) else (middle, high)
    return high


def outcome(comparison: Comparison, floor: float, resolution: float, faults: list[str]) -> tuple[Outcome, str]:
    """Verdict and reason, given what else was found at fault."""
    if faults:
        return "wrong", faults[0]
    if not comparison.decided:
        return "not decided", (
            "Steps of every length were refused or gave values that are not finite: use a shorter tangent vector."
        )
    if comparison.notices(comparison.claimed):
        return "wrong", (
            f"Claimed and measured differ by {comparison.relative_error:.1e} of the derivative's size, beyond the "
            "error of the differences."
        )
    if not floor <= resolution:
        return "not decided", (
            f"An error below {floor:.1e} would not have been noticed, and resolution = {resolution:.0e} was asked for: "
            "the function's rounding is too coarse here, or its derivative nearly zero."
        )
    return "ok", "Claimed and measured agree within the error of the differences."
