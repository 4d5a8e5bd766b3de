"""The assumptions of the statements, each examined on the range of pre-activations that occurs."""

from __future__ import annotations

import numpy as np

from .evidence import Evidence
from .points import activation_table
from .records import Hypothesis


def slopes(evidence: Evidence) -> Hypothesis:
    """A1: phi' >= rho1 > 0 and phi''' >= rho2 > 0, over the interval of S7 or else over everything that occurred."""
    found = evidence.constants
    if not found.confined and "A1" not in found.failing:
        return _slopes_seen(evidence)
    low, high = found.interval
    return Hypothesis(
        "A1",
        "A1" not in found.failing,
        f"rho1 = {found.rho1:.4g}, rho2 = {found.rho2:.4g} for z in [{low:.4g}, {high:.4g}]",
    )


def _slopes_seen(evidence: Evidence) -> Hypothesis:
    """A1 where nothing confines z: over the range of the flow and of the random points."""
    low, high = evidence.seen
    table = activation_table(evidence.manifold, np.linspace(low, high, 4001))
    rho1, rho2 = float(table[1].min()), float(table[3].min())
    return Hypothesis(
        "A1",
        rho1 > 0.0 and rho2 > 0.0,
        f"min phi' = {rho1:.4g}, min phi''' = {rho2:.4g} for the z seen, in [{low:.4g}, {high:.4g}]",
    )


def independence(evidence: Evidence) -> Hypothesis:
    """A2: the samples are linearly independent, mu > 0."""
    n, d = evidence.case.data.X.shape
    return Hypothesis("A2", evidence.constants.mu > 0.0, f"mu = {evidence.constants.mu:.4g} with n = {n}, d = {d}")


def normality(evidence: Evidence) -> Hypothesis:
    """A3: beta |phi''| <= phi'^2 phi''' with beta > 0."""
    beta = evidence.constants.beta
    return Hypothesis(
        "A3",
        "A3" not in evidence.constants.failing,
        f"beta = {beta:.4g}" if beta > 0 else "no beta > 0 will do",
    )


def confinement(evidence: Evidence) -> Hypothesis:
    """The sublevel set of F bounds the pre-activations: |phi'| leaves every bound at both ends."""
    found = evidence.constants
    low, high = found.interval
    return Hypothesis(
        "confinement",
        found.confined,
        f"z in [{low:.4g}, {high:.4g}]" if found.confined else "phi' is bounded",
    )
