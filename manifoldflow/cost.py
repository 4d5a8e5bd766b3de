"""What steps of the flow cost: by it the methods are chosen."""

from __future__ import annotations

from .manifold import ZeroLossManifold


def cost_ratio(manifold: ZeroLossManifold) -> float:
    """Time of an implicit step over that of an explicit one.

    From counts of operations and their rates as measured on one machine (ns); a wrong ratio costs time only.
    """
    n, r = manifold.problem.R.shape
    m, p, wide = manifold.m, manifold.network.p, manifold.coordinates.frame.wide
    N, D = n + p, r + p
    evaluation = 1000.0 + 3.0 * m * n + (7.0 * m * n**2 + n**3 / 3.0) / min(50.0, 12.0 + 0.35 * n)
    if wide and p == 0:
        block = 800.0 + 60.0 * n + 3.0 * n**2 + n**3 / 30.0
    else:
        block = 2000.0 + (4.0 * N * D**2 + 2.0 * N**2 * D + D**3) / 14.0
    solve = 500.0 + m * (2.0 * n**2 / 25.0 + 0.25 * (N if wide else D) ** 2 + 4.0 * n)
    return (10.0 * evaluation + 8.0 * solve + m * block) / (16.0 * evaluation)
