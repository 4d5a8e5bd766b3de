"""S5: the local Polyak-Lojasiewicz inequality."""

from __future__ import annotations

from verification import hypotheses
from verification.evidence import Evidence
from verification.points import Point
from verification.records import Check, Measurement, Statement

from . import sharper

KAPPA = 2.0
RESOLVED = 1e-9  # smallest (F - F*)/F* that counts: F - F* is a difference of nearly equal numbers


def measure(evidence: Evidence) -> Measurement:
    """Smallest |grad F|^2 / (2 c (F - F*)) over points of the region."""
    radius = evidence.constants.radius(KAPPA)
    near = [item.point for item in evidence.region] + list(evidence.flow_points)
    inside = [point for point in near if point.gradient_norm <= radius]
    kept = [point for point in inside if _excess(evidence, point) > RESOLVED * evidence.minimum.sharpness]
    bound = 2.0 * evidence.constants.convexity(KAPPA)
    measured = min((point.gradient_norm**2 / _excess(evidence, point) for point in kept), default=float("nan"))
    reason = "1e-4: rounding of F (1e-13) over the smallest F - F* that is kept (1e-9 F*)"
    check = Check("|grad F|^2 / (F - F*), kappa = 2", float(measured), ">=", bound, 1e-4 * bound, reason, len(kept))
    left_out = f"{len(inside) - len(kept)} points with F - F* below 1e-9 F* were left out."
    ratios = (float(sharper.region(evidence, point).integrated_excess) / _excess(evidence, point) for point in kept)
    return Measurement((check,), (left_out, *sharper.note(evidence, "S5*", "bound over F - F*", ratios)))


def _excess(evidence: Evidence, point: Point) -> float:
    return point.sharpness - evidence.minimum.sharpness


STATEMENT = Statement(
    id="S5",
    title="local Polyak-Lojasiewicz inequality",
    formula=r"\Vert\mathrm{grad}\,F\Vert \leq r \;\Longrightarrow\; \Vert\mathrm{grad}\,F\Vert^2 \geq "
    r"2c\,(F - F^*)",
    source="follows from S3 and S4",
    hypotheses=hypotheses.LOCAL,
    measure=measure,
    scope=(hypotheses.unit_weights,),
    blind_spot="Points so close to the minimum that F - F* drowns in rounding are left out. On most data the bound is "
    "not attained, and constants wrong by a factor would pass.",
)
