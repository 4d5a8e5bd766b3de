"""S6: a small gradient means features close to the minimiser's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from verification import hypotheses
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.points import Point
from verification.proved import settled
from verification.records import Check, Measurement, Statement

from . import sharper

RESOLVED = 1e-9
TOLERANCE = 1e-6


def measure(evidence: Evidence) -> Measurement:
    """Largest distance over the bound, at random points, along the flow and at the points of S3's region."""
    if evidence.distance_left is None:
        raise NotStatedError("the bound divides by sqrt(mu) rho1 rho2, which is not positive.")
    # F does not grow along the flow, so the constants of its start hold at its points too.
    on_flow = [replace(p, constants=evidence.constants) if p.fails_a1_or_a2 else p for p in evidence.flow_points]
    away = [point for point in (*evidence.covered_points, *on_flow) if _distance(evidence, point) > RESOLVED]
    points, notes = settled(evidence.manifold, away, lambda point: share(evidence, point) <= 1.0 + TOLERANCE)
    measured = max((share(evidence, point) for point in points), default=float("nan"))
    reason = "1e-6: distances above 1e-9 with an error of 1e-15"
    check = Check("|z - z*| over its bound", measured, "<=", 1.0, TOLERANCE, reason, len(points))
    halved = (float(sharper.distance_shares(evidence, point).max()) for point in points)
    sharp = sharper.note(evidence, "S6*", "|z - z*| over its bound", halved, largest=True)
    return Measurement((check,), (*notes, *sharp))


def _distance(evidence: Evidence, point: Point) -> float:
    return float(np.abs(point.Z - evidence.minimum.Z).max())


def share(evidence: Evidence, point: Point) -> float:
    """max over units and samples of |z - z*| 2 s_i sqrt(mu) rho1 rho2 / |grad F|, constants of that point."""
    found, s = point.constants, evidence.manifold.problem.s
    scale = 2.0 * s * np.sqrt(found.mu) * found.rho1 * found.rho2 / point.gradient_norm
    return float((np.abs(point.Z - evidence.minimum.Z) * scale).max())


STATEMENT = Statement(
    id="S6",
    title="distance to the minimiser",
    formula=r"\left|z_{ji} - \varphi^{-1}(y_i/m)\right| \leq "
    r"\dfrac{\Vert\mathrm{grad}\,F\Vert}{2\,s_i\sqrt{\mu}\,\rho_1\rho_2}",
    source="follows from S1",
    hypotheses=hypotheses.GLOBAL,
    measure=measure,
    scope=(hypotheses.unit_weights,),
    blind_spot="The bound is loose on most data: constants that are wrong by a factor may pass where "
    "the share is small. The constants of each point are from a refined grid, and proved only where the bound is "
    "exceeded with those.",
)
