"""Samples that are still on their way where the gradient is rounding: short rows of X beside long ones."""

from __future__ import annotations

import numpy as np

from .compiled import geometry
from .manifold import ZeroLossManifold
from .validation import Array

# A pre-activation that is to move by more than this share of its size has not come to rest.
ON_THE_WAY = 1e-10
# Curvature of a pre-activation's part of F, times its size squared over that part, below which a way that the curvature
# tells is not believed: next to a minimum of order 4 and more it is as long as what is left, and does not end.
BENT = 1e-6


def is_underway(manifold: ZeroLossManifold, W: Array, work: geometry.Workspace) -> bool:
    """Whether a pre-activation has way to go at W, on M: its own part C_ji of the gradient over its curvature E_ji.

    Rates grow as the fourth power of a row's length: beside long rows the gradient is rounding before short ones have
    moved. Units with own parameters, and dependent samples, whose C is not unique, are not looked at.
    """
    if manifold.network.p or not manifold.coordinates.frame.wide:
        return False
    problem = manifold.problem
    geometry.second_derivatives(W, problem, work, np.empty_like(W))
    sizes = np.linalg.norm(W, axis=1)[:, None] * np.sqrt(problem.s)
    force = np.abs(work.alpha[0] - work.scratch[0] * work.g[0])  # less what the second projection took
    curvature = work.E[0, 0] * sizes
    bent = curvature * sizes > BENT * problem.s * work.g[0] ** 2
    return bool(np.any(bent & (force > ON_THE_WAY * curvature)))
