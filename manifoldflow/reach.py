"""Can a network reach the labels at all? A bounded activation cannot reach every number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .errors import UnreachableLabelsError
from .interpolation import check_interpolable, is_diagonal
from .validation import Array

if TYPE_CHECKING:
    from .manifold import ZeroLossManifold

# Close together up to 1e6, then eight a decade to the largest float64: where phi overflows there, it is unbounded.
LARGEST = float(np.finfo(float).max)
_HALF = np.concatenate([np.logspace(-6, 6, 2001), np.logspace(6, 308, 2417)[1:], [LARGEST]])
_GRID = np.concatenate([-_HALF[::-1], [0.0], _HALF])


def check_labels_reachable(manifold: ZeroLossManifold) -> None:
    """Raise `UnreachableLabelsError` when a label lies outside sum_j a_j phi(R), as seen on a grid of all float64.

    For diagonal linear networks, where X w = y has no solution of the signs allowed. Other units with own parameters
    are not examined: their range is rarely bounded.
    """
    _check_equal_samples(manifold)
    if is_diagonal(manifold):
        check_interpolable(manifold)
    if manifold.network.unit.phi is None:
        return
    values = manifold.kernel.table(_GRID)[0]
    if not np.isfinite(values).any():
        raise UnreachableLabelsError(
            f"The activation is not a finite real number at any of {_GRID.size} z with |z| <= {LARGEST:.2g}; use "
            "another formula."
        )
    values = values[~np.isnan(values)]
    with np.errstate(over="ignore"):
        extremes = np.stack([manifold.a * values.min(), manifold.a * values.max()])
        low, high = extremes.min(axis=0).sum(axis=0), extremes.max(axis=0).sum(axis=0)
    outside = np.flatnonzero((manifold.y < low) | (manifold.y > high))
    if outside.size:
        i = int(outside[0])
        raise UnreachableLabelsError(
            f"{outside.size} of {manifold.n} labels are out of reach: y[{i}] = {manifold.y[i]:.6g}, and with "
            f"{manifold.m} units the output lies in [{low[i]:.6g}, {high[i]:.6g}] (activation seen at "
            f"{_GRID.size} z with |z| <= {LARGEST:.2g}). Rescale y or widen the network."
        )


def _check_equal_samples(manifold: ZeroLossManifold) -> None:
    """Samples that no unit tells apart get equal outputs, so they need equal labels."""
    if not manifold.repeats.any:
        return
    twins = manifold.repeats.first[manifold.repeats.group]
    # Labels that are a network's own outputs may differ by rounding.
    conflict = np.flatnonzero(np.abs(manifold.y - manifold.y[twins]) > manifold.projection_tolerance())
    if conflict.size:
        i, k = int(twins[conflict[0]]), int(conflict[0])
        labels = f"their labels are {manifold.y[i]:.10g} and {manifold.y[k]:.10g}"
        meets_data = manifold.network.unit.z in manifold.network.unit.psi.free_symbols
        raise UnreachableLabelsError(
            f"Rows {i} and {k} of X are equal but {labels}: no network reaches both. Remove one of them or give both "
            "one label."
            if meets_data or is_diagonal(manifold)
            else f"The unit function {manifold.network.unit.formula!r} has no z, so that samples {i} and {k} get the "
            f"same output whatever X is, but {labels}. Put the pre-activation z into the formula."
        )


def features_in_domain(manifold: ZeroLossManifold, stream: np.random.Generator, spread: float) -> Array:
    """Pre-activations (m, n) inside the activation's domain, near the rank-one point a_j phi(z_ji) = y_i / m.

    Each is moved by at most `spread` times its distance from the nearest point where phi is not finite (at most 1).
    """
    grid = np.concatenate([-np.logspace(2, -3, 1001), np.logspace(-3, 2, 1001)])
    values = manifold.kernel.table(grid)[0]
    finite, gaps = np.isfinite(values), grid[~np.isfinite(values)]
    outputs = manifold.a.sum(axis=0)[:, None] * np.where(finite, values, np.inf)
    centre = grid[np.argmin(np.abs(outputs - manifold.y[:, None]), axis=1)]
    room = np.abs(centre[:, None] - gaps).min(axis=1, initial=1.0)
    return centre + spread * room * stream.uniform(-1.0, 1.0, size=manifold.a.shape)
