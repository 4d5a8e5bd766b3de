"""How well J J^T can be inverted: a number for results, and a warning where a computation loses most of its digits."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg.lapack import dpocon

from .errors import IllConditionedWarning
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

# Multipliers, and with them the gradient, lose as many digits as the condition has. Beyond 1e10, about half of those
# that the gradient's own cancellation near stationarity needs are gone; at about 1e14 J J^T counts as singular.
ILL = 1e10
SINGULAR = 1e13
_PARALLEL = 1e-12  # 1 - |cos| of the angle between rows that count as multiples of each other


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


def why_singular(manifold: ZeroLossManifold) -> str:
    """What to say where J J^T is not positive definite: the rows that may be the cause, and what to do."""
    size = f"n = {manifold.n}, rank of the data {np.linalg.matrix_rank(manifold.X)}, m = {manifold.m}"
    return (
        f"J J^T is not positive definite here ({size}): M need not be a manifold here. "
        f"{dependent_rows(manifold)}Remove dependent samples or widen the network."
    )


def dependent_rows(manifold: ZeroLossManifold) -> str:
    """The first two rows of the data that are equal or multiples of each other; nothing where there are none."""
    lengths = np.sqrt(manifold.problem.s)
    if not lengths.all():
        return ""
    cosines = np.triu(manifold.gram / np.outer(lengths, lengths), 1)
    i, k = np.unravel_index(int(np.argmax(np.abs(cosines))), cosines.shape)
    if not abs(cosines[i, k]) > 1.0 - _PARALLEL:
        return ""
    if manifold.repeats.group[i] == manifold.repeats.group[k] and manifold.n > 1:
        return (
            f"Rows {i} and {k} of X are equal, and cannot be taken as one: the coefficients a differ from unit to unit "
            f"and are no factor of {manifold.network.unit.psi}. "
        )
    return f"Row {k} of X is {np.sign(cosines[i, k]) * lengths[k] / lengths[i]:.6g} times row {i}, to rounding. "
