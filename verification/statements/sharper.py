"""Notes with the measured ratio of the sharper forms of S3, S5, S6 and S13; they decide nothing.

The forms and their proofs are in docs/counterexamples.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from verification.evidence import Evidence
from verification.points import Array, Point
from verification.search.geometry import inverse_diagonal
from verification.search.inequalities import Region
from verification.search.measured import Data


def data(evidence: Evidence) -> Data:
    """nu and tau of the user's data."""
    return Data.of(evidence.manifold.gram)


def region(evidence: Evidence, point: Point) -> Region:
    """The region of S3* that holds the point: tau and nu in place of sqrt(mu) s_min and mu s_min."""
    known, found = evidence.constants, data(evidence)
    radius = known.beta * found.t * known.weight
    return Region(radius, known.rho1 * known.rho2 * found.nu * known.weight, point.gradient_norm / radius)


def distance_shares(evidence: Evidence, point: Point) -> Array:
    """|z - z*| over the bound of S6*, (m, n), constants of that point."""
    reach = np.sqrt(inverse_diagonal(evidence.manifold.gram))
    scale = 4.0 * evidence.manifold.problem.s * point.constants.rho1 * point.constants.rho2 / reach
    return np.asarray(np.abs(point.Z - evidence.minimum.Z) * scale / point.gradient_norm)


def note(
    evidence: Evidence, name: str, quantity: str, values: Iterable[float], *, largest: bool = False
) -> tuple[str, ...]:  # fmt: skip
    """One sentence with the extreme ratio; nothing, and `values` not computed, where an assumption fails."""
    if evidence.constants.failing:
        return ()
    finite = [value for value in values if np.isfinite(value)]
    if not finite:
        return ()
    word, value = ("largest", max(finite)) if largest else ("smallest", min(finite))
    return (f"Sharper form {name}: {word} {quantity} {value:.4g} over {len(finite)} points.",)
