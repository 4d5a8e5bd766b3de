"""S1: which points are stationary."""

from __future__ import annotations

import numpy as np

from verification import hypotheses
from verification.evidence import Evidence
from verification.points import Array, Point, activation_table
from verification.records import Check, Measurement, Statement

TELLING = 0.01  # of what a wrong statement would show, or of the way that the flow has come: the least that is told


def measure(evidence: Evidence) -> Measurement:
    """Rank one at the flow's end; no gradient at the rank-one point; a gradient wherever the units
    disagree.
    """
    checks = (rank_one(evidence), gradient_elsewhere(evidence))
    proofs = (evidence.survey.flattest.certificate,)
    if not evidence.has_minimum:
        return Measurement(checks, ("The rank-one point phi^-1(y/m) does not exist here.",), proofs)
    return Measurement((*checks, no_gradient(evidence), end_features(evidence)), (), proofs)


def rank_one(evidence: Evidence) -> Check:
    """Second over first singular value of Z where the flow stops."""
    values = np.linalg.svd(evidence.features[-1], compute_uv=False)
    largest = max(float(values[0]), 1e-3 * float(np.linalg.norm(evidence.features[0], 2)))  # labels of 0 end at Z = 0
    tolerance, reason = _distance_left(evidence, largest)
    ratio = values[1] / largest if values.size > 1 else 0.0
    measured = float(ratio) if evidence.settled else float("nan")
    return Check(
        "second over first singular value of Z where the flow stops",
        measured,
        "<=",
        0.0,
        tolerance,
        reason,
        1,
        resolution=TELLING,
    )


def end_features(evidence: Evidence) -> Check:
    """Largest |z - phi^{-1}(y/m)| where the flow stops: rank one alone would allow units of different size."""
    measured = float(np.abs(evidence.features[-1] - evidence.minimum.Z).max()) if evidence.settled else float("nan")
    each = evidence.distance_left
    tolerance, reason = (1e-4, "1e-4 is a choice: S6 gives no bound here")
    if each is not None:
        tolerance, reason = float(each.max()) + 1e-12, "distance that S6 allows at the gradient where the flow stopped"
    name, size = "|z - phi^-1(y/m)| where the flow stops", evidence.features[-1].size
    return Check(name, measured, "<=", 0.0, tolerance, reason, size, resolution=TELLING * way(evidence))


def way(evidence: Evidence) -> float:
    """Largest |z - z*| where the flow starts, and at least its rounding."""
    return float(np.abs(evidence.features[0] - evidence.minimum.Z).max()) + 1e-10


def _distance_left(evidence: Evidence, largest: float) -> tuple[float, str]:
    """How far from rank one Z may be, since the flow is stopped at a small gradient and not at none."""
    each = evidence.distance_left
    if each is None:
        return 1e-4, "1e-4 is a choice: S6 gives no bound here"
    total = np.sqrt(evidence.manifold.m) * np.linalg.norm(each)
    return float(total / largest + 1e-13), "distance that S6 allows at the gradient where the flow stopped"


def no_gradient(evidence: Evidence) -> Check:
    """|grad F| at the point of S2 (of S10 for other output weights), against rounding."""
    theta = evidence.minimum.theta
    norm = float(np.linalg.norm(evidence.manifold.gradient(theta)))
    tolerance = evidence.gradient_rounding(theta) + _missed_by_newton(evidence)
    reason = (
        "100 eps sqrt(cond J J^T) times the Euclidean gradient, and what the residual left by Newton's method moves"
    )
    return Check("|grad F| at the flattest point", norm, "<=", 0.0, tolerance, reason, 1)


def _missed_by_newton(evidence: Evidence) -> float:
    """Change of the gradient, 4 a^2 s phi' phi''' dz X, for the dz that the tolerance of |f - y| leaves."""
    manifold = evidence.manifold
    table = activation_table(manifold, evidence.minimum.Z)
    B = np.abs(manifold.a * table[1])
    dz = manifold.projection_tolerance() * B / np.sum(B * B, axis=0)
    change = 4.0 * manifold.a**2 * manifold.problem.s * table[1] * table[3] * dz
    return float(np.linalg.norm(change @ manifold.problem.R))


def gradient_elsewhere(evidence: Evidence) -> Check:
    """|grad F| over the bound that the units' disagreement in phi'' gives; at least 1."""
    points = (*evidence.random_points, *evidence.flow_points)
    ratios = [_ratio(evidence, point) for point in points]
    kept = [ratio for ratio in ratios if np.isfinite(ratio)]
    return Check(
        "|grad F| over its lower bound by the spread of phi''",
        min(kept, default=float("nan")),
        ">=",
        1.0,
        1e-9,
        "rounding of two sums of m n terms; that of the gradient itself is added to it",
        len(kept),
    )


def _ratio(evidence: Evidence, point: Point) -> float:
    """|grad F|^2 >= mu min phi'^2 sum_i 16 s_i^2 sum_j (phi''_ji - mean_j)^2, whatever the multipliers
    are.
    """
    table = activation_table(evidence.manifold, point.Z)
    bound = (
        np.sqrt(evidence.constants.mu) * np.abs(table[1]).min() * _disagreement(table[2], evidence.manifold.problem.s)
    )
    rounding = evidence.gradient_rounding(point.theta)
    resolved = point.gradient_norm > 1e4 * rounding
    return float((point.gradient_norm + rounding) / bound) if resolved and bound > 0.0 else float("nan")


def _disagreement(second: Array, s: Array) -> float:
    return float(np.linalg.norm(4.0 * s * (second - second.mean(axis=0))))


STATEMENT = Statement(
    id="S1",
    title="stationary points have equal units",
    formula=r"\mathrm{grad}\,F = 0 \;\Longleftrightarrow\; z_{ji} = \varphi^{-1}(y_i/m)\ \mathrm{for\ "
    r"all}\ j",
    source="Gatmiry, Li, Reddi and Jegelka (ICML 2024)",
    hypotheses=hypotheses.RANK_ONE,
    measure=measure,
    scope=(hypotheses.unit_weights,),
    blind_spot="One flow is followed to its end. Stationary points that attract nothing would be "
    "seen only if a random "
    "point or a point of the flow came close to one.",
)
