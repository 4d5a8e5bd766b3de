"""How well J J^T can be inverted: a number for results, and a warning where a computation loses most of its digits."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.linalg.lapack import dpocon

from .errors import IllConditionedWarning
from .validation import Array

# Multipliers, and with them the gradient, lose as many digits as the condition has. Beyond 1e10, about half of those
# that the gradient's own cancellation near stationarity needs are gone; at about 1e14 J J^T counts as singular.
ILL = 1e10
SINGULAR = 1e13


def condition_number(K: Array) -> float:
    """Largest over smallest eigenvalue of a positive semi-definite matrix; infinite where that is 0 to rounding.

    >>> condition_number(np.diag([4.0, 2.0])), condition_number(np.ones((2, 2)))
    (2.0, inf)
    """
    if not np.isfinite(K).all():
        return np.inf
    eigenvalues = np.linalg.eigvalsh(K)
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    return largest / smallest if smallest > np.finfo(float).eps * largest else np.inf


def is_clearly_well_conditioned(factor: Array) -> bool:
    """Whether a matrix U^T U is far from condition 1e10, seen by U, (n, n), of which the upper half is read.

    By LAPACK's estimate of the trace times the 1-norm of the inverse, which bounds the condition. It takes n^2
    operations, and is hardly ever below a third of what it estimates; a thousandth would do.
    """
    trace = float(np.square(np.triu(factor)).sum())
    reciprocal, info = dpocon(factor.T, trace, uplo="L")
    return bool(info == 0 and reciprocal * ILL > 1e3)


def warn_where_ill_conditioned(condition: float, stacklevel: int) -> None:
    """Issue an `IllConditionedWarning` where the condition of J J^T is above 1e10."""
    if condition > ILL:
        warnings.warn(
            f"J J^T has condition {condition:.1e} at theta, so multipliers keep about "
            f"{int(max(0.0, 16.0 - np.log10(condition)))} digits. The computation goes on. Remove samples that almost "
            "repeat others, or add units.",
            IllConditionedWarning,
            stacklevel=stacklevel,
        )
