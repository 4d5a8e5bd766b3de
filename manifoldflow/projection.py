"""Moving parameters onto the zero-loss manifold along normal spaces, and when a residual counts as rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .compiled import geometry, landing
from .errors import ProjectionError
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

MAX_STEPS = 200
SHARES = 60  # halvings of a refused step that are tried for the message
# A choice with room: Newton has stopped at some eps times the sizes of `rounding_sizes`, for m = 4 to 8.
ROUNDING = 8.0 * np.finfo(float).eps
CONVERGED = 1e-12  # largest |f - y| / (1 + max |y|) that passes anywhere; over max |y| where units meet no inputs
LABELS_KEPT = 1e-2  # and that may be rounding: of the labels some digits must be left


def tolerance(manifold: ZeroLossManifold, W: Array | None) -> float:
    """See `ZeroLossManifold.projection_tolerance`."""
    largest = float(np.abs(manifold.y).max(initial=0.0))
    size = largest if manifold.inputs.shape[1] == 0 and largest > 0.0 else 1.0 + largest
    level = 0.0 if W is None else rounding_level(manifold, W)
    return max(CONVERGED * size, min(level, LABELS_KEPT * size))


def rounding_level(manifold: ZeroLossManifold, W: Array) -> float:
    """What rounding leaves of max |f - y| at W: 8 eps max_i sum_j (|psi_ji| + |g_ji| . |A_i| |w_j|)."""
    sizes = np.empty(manifold.n)
    landing.rounding_sizes(W, manifold.problem, manifold.workspace(), sizes)
    return ROUNDING * float(sizes.max(initial=0.0))


def newton(manifold: ZeroLossManifold, W: Array) -> str | None:
    """Move W onto M in place, by Newton steps halved until max |f - y| falls; None, or why it failed."""
    size, iterations, info = geometry.newton_projection(
        W, manifold.problem, manifold.workspace(), np.empty_like(W), manifold.projection_tolerance(), MAX_STEPS
    )
    if _converged(manifold, W, size, info):
        return None
    reason = "J J^T is singular" if info else "the residual stopped falling, or is rounding of summands that cancel"
    return (
        f"The projection onto the manifold did not converge: max |f - y| = {size:.1e} after {iterations} Newton "
        f"steps, needed {manifold.projection_tolerance(W):.1e}; {reason}. Start closer to the manifold, or use a "
        "shorter step."
    )


def retracted(manifold: ZeroLossManifold, W: Array, U: Array) -> Array:
    """See `ZeroLossManifold.retraction`; in reduced coordinates."""
    found = _undamped(manifold, W + U)
    if found is not None:
        return found
    share = next((share for share in 0.5 ** np.arange(1, SHARES) if _undamped(manifold, W + share * U) is not None), 0)
    advice = f"{share:.3g} u, of length {share * np.linalg.norm(U):.3g}, can be taken" if share else "no share of u can"
    raise ProjectionError(
        f"The step u of length {np.linalg.norm(U):.3g} is too long for a retraction: Newton's whole steps from theta + "
        f"u do not halve max |f - y| each down to a point of M, and damped ones would end at one that jumps with u. Of "
        f"those halved, {advice}; or use nearest_point(theta + u)."
    )


def _undamped(manifold: ZeroLossManifold, W: Array) -> Array | None:
    """The point that whole Newton steps reach from W; None where they do not converge."""
    end = W.copy()
    size, _, info = landing.undamped_projection(
        end, manifold.problem, manifold.workspace(), np.empty_like(W), np.empty_like(W),
        manifold.projection_tolerance(), MAX_STEPS,
    )  # fmt: skip
    return end if _converged(manifold, end, size, info) else None


def _converged(manifold: ZeroLossManifold, W: Array, size: float, info: int) -> bool:
    return info == 0 and bool(size <= manifold.projection_tolerance() or size <= manifold.projection_tolerance(W))
