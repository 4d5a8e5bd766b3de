"""S3: the Hessian is bounded below where the gradient is small."""

from __future__ import annotations

from manifoldflow.certificates import Certificate
from verification import hypotheses
from verification.evidence import EPS, Evidence
from verification.points import RegionPoint
from verification.records import Check, Measurement, Statement

from . import sharper, stationary

LARGEST_KAPPA = 3.9  # beyond, the bound is so near to 0 that rounding decides


def measure(evidence: Evidence) -> Measurement:
    """Smallest eigenvalue over the bound, each point with the smallest kappa that admits it; and with
    kappa = 2.
    """
    points = [point for point in evidence.region if own_kappa(evidence, point) <= LARGEST_KAPPA]
    own = Check(
        "lambda_min(Hess F) / (4 - kappa) rho1 rho2 s_min mu, each point with its own kappa",
        min((ratio(evidence, point, own_kappa(evidence, point)) for point in points), default=float("nan")),
        ">=",
        1.0,
        _rounding(evidence, points),
        "eps lambda_max of a dense eigenvalue problem, relative to the bound",
        len(points),
        resolution=stationary.TELLING,
    )
    return Measurement((own, _at_two(evidence, points)), _notes(evidence) + _sharper(evidence), _proofs(evidence))


def _at_two(evidence: Evidence, points: list[RegionPoint]) -> Check:
    inside = [point for point in points if own_kappa(evidence, point) <= 2.0]
    measured = min((point.smallest for point in inside), default=float("nan"))
    bound = evidence.constants.convexity(2.0)
    tolerance = _rounding(evidence, inside) * bound
    return Check(
        "lambda_min(Hess F) where |grad F| <= r, kappa = 2",
        measured,
        ">=",
        bound,
        tolerance,
        "the same",
        len(inside),
        resolution=stationary.TELLING * bound,
    )


def own_kappa(evidence: Evidence, point: RegionPoint) -> float:
    """The smallest kappa whose region holds the point."""
    return point.point.gradient_norm / evidence.constants.radius(1.0)


def ratio(evidence: Evidence, point: RegionPoint, kappa: float) -> float:
    """Smallest eigenvalue over the bound for this kappa."""
    return point.smallest / evidence.constants.convexity(kappa)


def _rounding(evidence: Evidence, points: list[RegionPoint]) -> float:
    largest = max((point.largest for point in points), default=0.0)
    kappas = [own_kappa(evidence, point) for point in points]
    bound = evidence.constants.convexity(max(kappas, default=0.0))
    return float(100.0 * EPS * largest / bound)


def _proofs(evidence: Evidence) -> tuple[Certificate, ...]:
    """Convexity in a ball around the flattest point, negative curvature in a ball around a point far from it."""
    found = evidence.survey.hessian, evidence.proved_saddle
    return tuple(item.certificate for item in found if item is not None)


def _notes(evidence: Evidence) -> tuple[str, ...]:
    found = evidence.saddle
    if found is None:
        return ("No negative Hessian eigenvalue was met at the points that were tried far from the minimum.",)
    share = found.point.gradient_norm / evidence.constants.radius(2.0)
    text = f"lambda_min = {found.smallest:.4g} at |grad F| = {share:.3g} r"
    return (f"Local only: {text}, kappa = 2, so that the Hessian is not positive on all of M.",)


def _sharper(evidence: Evidence) -> tuple[str, ...]:
    regions = ((point.smallest, sharper.region(evidence, point.point)) for point in evidence.region)
    ratios = (smallest / held.rate for smallest, held in regions if held.kappa <= LARGEST_KAPPA)
    return sharper.note(evidence, "S3*", "lambda_min over its bound", ratios)


STATEMENT = Statement(
    id="S3",
    title="local geodesic convexity",
    formula=r"\Vert\mathrm{grad}\,F\Vert \leq \kappa\sqrt{\mu}\,\beta\,s_{\min}\;\Longrightarrow\;"
    r"\mathrm{Hess}\,F \succeq (4-\kappa)\,\rho_1\rho_2\,s_{\min}\,\mu",
    source="Gatmiry, Li, Reddi and Jegelka (ICML 2024)",
    hypotheses=hypotheses.LOCAL,
    measure=measure,
    scope=(hypotheses.unit_weights,),
    blind_spot="The points lie along one flow and on random tangent moves from its end; the worst "
    "point of the region is "
    "not searched for. Directions orthogonal to the data are left out, F is constant along them.",
)
