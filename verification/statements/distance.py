"""S6: a small gradient means features close to the minimiser's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from verification import hypotheses
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.points import Point
from verification.records import Check, Measurement, Statement

from . import sharper

RESOLVED = 1e-9


def measure(evidence: Evidence) -> Measurement:
    """Largest distance over the bound, at random points, along the flow and at the points of S3's region."""
    if evidence.distance_left is None:
        raise NotStatedError("the bound divides by sqrt(mu) rho1 rho2, which is not positive.")
    # F does not grow along the flow, so the constants of its start hold at its points too.
    on_flow = [replace(p, constants=evidence.constants) if p.fails_a1_or_a2 else p for p in evidence.flow_points]
    points = [*evidence.covered_points, *on_flow]
    resolved = [point for point in points if _distance(evidence, point) > RESOLVED]
    shares = [share(evidence, point) for point in resolved]
    measured = max(shares, default=float("nan"))
    reason = "1e-6: distances above 1e-9 with an error of 1e-15"
    check = Check("|z - z*| over its bound", measured, "<=", 1.0, 1e-6, reason, len(shares))
    halved = (float(sharper.distance_shares(evidence, point).max()) for point in resolved)
    return Measurement((check,), sharper.note(evidence, "S6*", "|z - z*| over its bound", halved, largest=True))


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
    hypotheses=(hypotheses.slopes, hypotheses.independence, hypotheses.confinement),
    measure=measure,
    scope=(hypotheses.unit_weights,),
    blind_spot="The bound is loose on most data: constants that are wrong by a factor may pass where "
    "the share is small. The constants of each point are from a refined grid; those of the start are proved.",
)
