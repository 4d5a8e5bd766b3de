"""S2: the rank-one point is the global minimum, and its sharpness has a formula."""

from __future__ import annotations

import numpy as np

from verification import hypotheses
from verification.evidence import EPS, Evidence
from verification.points import onto_manifold
from verification.records import Check, Measurement, Statement

from . import stationary

AMPLITUDES = (1e-3, 1e-2, 1e-1, 0.5, 1.0) * 4


def measure(evidence: Evidence) -> Measurement:
    """F at the flow's end against F*; F elsewhere not below F*."""
    lowest = nothing_below(evidence)
    note = f"F* = {evidence.minimum.sharpness:.10g} by the formula; F = {evidence.flow.sharpness[0]:.6g} at the start"
    return Measurement((end_value(evidence), lowest), (note,), (evidence.survey.flattest.certificate,))


def end_value(evidence: Evidence) -> Check:
    """Relative difference of F where the flow stops from F*."""
    excess = float(evidence.flow.sharpness[-1]) - evidence.minimum.sharpness
    measured = excess / _scale(evidence) if evidence.settled else float("nan")
    tolerance, reason = _left_over(evidence)
    way = (float(evidence.flow.sharpness[0]) - evidence.minimum.sharpness) / _scale(evidence)
    resolution = max(1e-11, stationary.TELLING * way)
    return Check("(F - F*)/F* where the flow stops", measured, "==", 0.0, tolerance, reason, 1, resolution=resolution)


def _scale(evidence: Evidence) -> float:
    """F*, or the rounding of F at the start, next to which an F* of nearly 0 is not known."""
    return max(evidence.minimum.sharpness, EPS * float(evidence.flow.sharpness[0]))


def _left_over(evidence: Evidence) -> tuple[float, str]:
    found = evidence.constants
    if evidence.distance_left is None:
        return 1e-8, "1e-8 is a choice: no bound holds where A1 or A2 fails"
    excess = evidence.flow.gradient_norm[-1] ** 2 / found.global_rate()
    return float(
        excess / _scale(evidence) + 1e-11
    ), "excess that S13 allows at the gradient where the flow stopped, and 1e-11 for rounding"


def nothing_below(evidence: Evidence) -> Check:
    """Smallest (F - F*)/F* over random points, the flow, and moves away from the rank-one point."""
    best = evidence.minimum.sharpness
    values = [point.sharpness for point in evidence.random_points]
    values += list(evidence.flow.sharpness) + _nearby(evidence)
    measured = (min(values) - best) / _scale(evidence)
    return Check(
        "smallest (F - F*)/F* over points of M",
        float(measured),
        ">=",
        0.0,
        1e-11,
        "rounding of F",
        len(values),
    )


def _nearby(evidence: Evidence) -> list[float]:
    manifold, end, rng = evidence.manifold, evidence.minimum.theta, evidence.rng(400)
    size = float(np.linalg.norm(end))
    values = []
    for amplitude in AMPLITUDES:
        direction = manifold.projection(end, rng.normal(size=manifold.shape))
        theta = onto_manifold(manifold, end + amplitude * size / np.linalg.norm(direction) * direction)
        if theta is not None:
            values.append(manifold.sharpness(theta))
    return values


STATEMENT = Statement(
    id="S2",
    title="the rank-one point is the global minimum",
    formula=r"\min_{\mathcal{M}} F = F^* = 2m\sum_i s_i\,\varphi'\left(\varphi^{-1}(y_i/m)\right)^2",
    source="Gatmiry, Li, Reddi and Jegelka (ICML 2024)",
    hypotheses=hypotheses.RANK_ONE,
    measure=measure,
    scope=(hypotheses.unit_weights,),
    blind_spot="Finitely many points: a lower basin that none of them is in would be missed. S13 "
    "excludes one by convexity.",
)
