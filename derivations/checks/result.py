"""What a machine check says: a verdict and a number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Method = Literal["symbolic", "fifty digits", "autograd"]


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check of one record.

    Args:
        record: Name of the record.
        method: Which of the three ways ran.
        passed: Whether it agrees; False as well where it could not be checked.
        deviation: The largest relative deviation seen; NaN where nothing could be compared.
        tolerance: The largest that passes.
        detail: What was compared, or why nothing could be.
    """

    record: str
    method: Method
    passed: bool
    deviation: float
    tolerance: float
    detail: str

    @property
    def checked(self) -> bool:
        """Whether anything was compared."""
        return not math.isnan(self.deviation)


def entries(array: Any) -> str:
    """How many entries an array has, in words.

    >>> entries([[1]]), entries([1, 2])
    ('1 entry', '2 entries')
    """
    count = np.size(array)
    return "1 entry" if count == 1 else f"{count} entries"


def verdict(record: str, method: Method, deviation: float, tolerance: float, detail: str) -> CheckResult:
    """Pass where the deviation is within the tolerance; NaN never passes.

    >>> verdict("loss", "autograd", 1e-16, 1e-12, "").passed
    True
    """
    return CheckResult(record, method, bool(deviation <= tolerance), float(deviation), tolerance, detail)


def unchecked(record: str, method: Method, tolerance: float, reason: str) -> CheckResult:
    """Say that nothing could be compared, and why.

    >>> unchecked("loss", "autograd", 1e-12, "no point").passed
    False
    """
    return CheckResult(record, method, False, math.nan, tolerance, f"not checked: {reason}")
