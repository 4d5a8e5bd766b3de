"""S13: convexity in the coordinates q = phi(z), the global inequality, and the flattest point."""

from __future__ import annotations

import numpy as np

from verification import hypotheses
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.points import Array, Point, activation_table, inverse_activation
from verification.proved import settled
from verification.records import Check, Measurement, Statement

from . import sharper

PAIRS = 4
RESOLVED = 1e-9
TOLERANCE = 1e-4


def measure(evidence: Evidence) -> Measurement:
    """The global inequality, the exponential bound, strict convexity on segments, and the flattest point."""
    checks: list[Check] = [convex_segments(evidence)]
    notes: tuple[str, ...] = ()
    if not {"A1", "A2"} & set(evidence.constants.failing):
        inequality, notes = global_inequality(evidence)
        checks = [inequality, exponential(evidence), *checks, flattest(evidence)]
        notes = (*notes, *_sharper(evidence, inequality))
    return Measurement(tuple(checks), notes, (evidence.survey.flattest.certificate,))


def global_inequality(evidence: Evidence) -> tuple[Check, tuple[str, ...]]:
    """Smallest |grad F|^2 / (rate (F - F*)): random points each with its own rate, the flow with the
    rate of its start; and a note on random points that were left out.
    """
    best, flow = evidence.minimum.sharpness, evidence.flow
    away = [point for point in evidence.covered_points if point.sharpness - best > RESOLVED * best]
    points, notes = settled(evidence.manifold, away, lambda point: _share(point, best) >= 1.0 - TOLERANCE)
    excess = flow.sharpness - best
    kept = excess > RESOLVED * best
    along = flow.gradient_norm[kept] ** 2 / (evidence.constants.global_rate() * excess[kept])
    ratios = [*(_share(point, best) for point in points), *along]
    reason = "1e-4: rounding of F over the smallest F - F* that is kept (1e-9 F*)"
    measured = float(min(ratios, default=float("nan")))
    name = "|grad F|^2 / (rate (F - F*)) anywhere on M"
    return Check(name, measured, ">=", 1.0, TOLERANCE, reason, len(ratios)), notes


def _share(point: Point, best: float) -> float:
    return point.gradient_norm**2 / (point.constants.global_rate() * (point.sharpness - best))


def _sharper(evidence: Evidence, check: Check) -> tuple[str, ...]:
    """nu in place of s_min mu; the infima stay those of S7's interval, so that the ratio could be smaller yet."""
    found = sharper.data(evidence)
    ratio = check.measured * float(found.s_min * found.mu / found.nu)
    return sharper.note(evidence, "S13*", "|grad F|^2 over its bound", [ratio])


def exponential(evidence: Evidence) -> Check:
    """Smallest -log((F - F*)/(F(0) - F*)) / (rate t) along the flow."""
    best, flow = evidence.minimum.sharpness, evidence.flow
    excess = flow.sharpness - best
    kept = (excess > RESOLVED * best) & (flow.t > 0.0)
    shares = -np.log(excess[kept] / excess[0]) / (evidence.constants.global_rate() * flow.t[kept])
    measured = float(shares.min()) if shares.size else float("nan")
    return Check("mean rate of decay of F - F* over the bound", measured, ">=", 1.0, 1e-4, "the same", int(kept.sum()))


def convex_segments(evidence: Evidence) -> Check:
    """Gap below the chord over the modulus 4 s_i inf phi'''/phi' of each coordinate, in the middle of
    segments in q.
    """
    points = evidence.covered_points or evidence.random_points
    if len(points) < 2:
        raise NotStatedError("fewer than two random points were found.")
    pairs = [(points[k], points[(k + 1) % len(points)]) for k in range(0, min(2 * PAIRS, len(points)), 2)]
    values = [_gap(evidence, *pair) for pair in pairs]
    reason = "rounding; the inverse of phi is found by bisection"
    return Check("gap below the chord of F in q, over its bound", min(values), ">=", 1.0, 1e-6, reason, len(values))


def _gap(evidence: Evidence, first: Point, second: Point) -> float:
    """Chord minus F at the middle of a segment in q, over what the modulus of convexity predicts."""
    ends = [activation_table(evidence.manifold, point.Z)[0] for point in (first, second)]
    middle = _sharpness(evidence, inverse_activation(evidence.manifold, 0.5 * (ends[0] + ends[1])))
    gap = 0.5 * (first.sharpness + second.sharpness) - middle
    ratio = _smallest_ratio(evidence, first.Z, second.Z)
    steps = evidence.manifold.a * (ends[1] - ends[0])
    predicted = 0.5 * ratio * float(np.sum(evidence.manifold.problem.s * steps**2))
    if predicted > 0.0:
        return float(gap / predicted)
    return 1.0 if gap > 0.0 else -1.0  # no modulus: below or above the chord is all that can be said


def _smallest_ratio(evidence: Evidence, *features: Array) -> float:
    grid = np.linspace(min(Z.min() for Z in features), max(Z.max() for Z in features), 2001)
    table = activation_table(evidence.manifold, grid)
    return float((table[3] / table[1]).min())


def _sharpness(evidence: Evidence, Z: Array) -> float:
    slope = activation_table(evidence.manifold, Z)[1]
    return float(2.0 * np.sum(evidence.manifold.a**2 * evidence.manifold.problem.s * slope**2))


def flattest(evidence: Evidence) -> Check:
    """Distance of `flattest_point`'s features from those of bisection."""
    Z = evidence.manifold.preactivations(evidence.flattest.x)
    measured = float(np.abs(Z - evidence.minimum.Z).max())
    reason = "rounding of two independent solutions of scalar equations"
    return Check("features of flattest_point - those by bisection", measured, "<=", 0.0, 1e-11, reason, Z.size)


STATEMENT = Statement(
    id="S13",
    title="hidden convexity and a global rate",
    formula=r"\Vert\mathrm{grad}\,F\Vert^2 \geq "
    r"8\,s_{\min}\,\mu\,\rho_1^2\,\inf\dfrac{\varphi'''}{\varphi'}\,(F - F^*)"
    r"\ \mathrm{on\ all\ of}\ \mathcal{M}",
    source="this toolkit",
    hypotheses=hypotheses.GLOBAL,
    measure=measure,
    scope=(hypotheses.plain_units,),
    blind_spot="Random points at a few scales and one flow: the inequality is nearly an equality "
    "only at special points, "
    "which these need not come near. The constants of the random points are from a refined grid, and proved only where "
    "the inequality fails with those; those of the start, which the flow is judged by, are proved.",
)
