"""Geodesics and parallel transport on the zero-loss manifold, integrated with SciPy's eighth-order method.

Record geodesic: W'' = -J^T K^{-1} q(W', W'); a vector V is carried by V' = -J^T K^{-1} q(W', V).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from scipy.integrate import solve_ivp

from .compiled import geometry
from .errors import GeometryError
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

RTOL, ATOL = 1e-12, 1e-13
MAX_EVALUATIONS = 100_000  # a geodesic of the manifold's own scale takes some hundreds


def geodesic(manifold: ZeroLossManifold, W: Array, U: Array) -> Array:
    """End point at time 1 of the geodesic from W with velocity U (reduced coordinates), before projection onto M."""
    return _integrate(manifold, [W, U])[0]


def parallel_transport(manifold: ZeroLossManifold, W: Array, U: Array, V: Array) -> Array:
    """V carried along the geodesic from W with velocity U to time 1 (reduced coordinates)."""
    return _integrate(manifold, [W, U, V])[2]


def _integrate(manifold: ZeroLossManifold, parts: list[Array]) -> Array:
    start = np.stack(parts)
    solution = solve_ivp(
        _field(manifold, start.shape), (0.0, 1.0), start.ravel(), method="DOP853", rtol=RTOL, atol=ATOL
    )  # fmt: skip
    if not solution.success:
        raise GeometryError(
            f"The geodesic could not be integrated to time 1: {solution.message} Use a shorter velocity."
        )
    return solution.y[:, -1].reshape(start.shape)


def _field(manifold: ZeroLossManifold, shape: tuple[int, ...]) -> Callable[[float, Array], Array]:
    problem, work = manifold.problem, manifold.workspace()

    evaluations = count()

    def field(_: float, flat: Array) -> Array:
        if next(evaluations) > MAX_EVALUATIONS or not np.isfinite(flat).all():
            raise GeometryError("The geodesic left every region in which it can be followed. Use a shorter velocity.")
        parts = flat.reshape(shape)
        out = np.empty(shape)
        out[0] = parts[1]
        for k in range(1, shape[0]):
            if geometry.normal_acceleration(parts[0], problem, work, parts[1], parts[k], out[k]) != 0:
                raise GeometryError("J J^T became singular along the geodesic. Use a shorter velocity.")
        return out.ravel()

    return field
