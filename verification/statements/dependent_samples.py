"""S12: dependent samples. Tested on the case itself where they are dependent, else on the case cut to half the rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from manifoldflow.certificates import Certificate, exact_zero_loss_point
from verification import hypotheses
from verification.errors import NotStatedError, UnfinishedError
from verification.evidence import EPS, Evidence
from verification.points import has_weights, minimising_features
from verification.records import Check, Measurement, Statement

from . import conservation
from .constants import monotone

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

_INVERTIBLE = float(np.sqrt(EPS))
_RANK_ONE = 1e-12  # second over first singular value: rounding


def measure(evidence: Evidence) -> Measurement:
    """J J^T invertible, the flow on M with F falling, and a local minimum of F where Z has rank two or more."""
    if not hypotheses.moving(evidence).met:
        raise NotStatedError("F is constant, and every point of M is flattest.")
    if _has_flattest_features(evidence):
        raise NotStatedError("weights give the flattest features of all even so, which may have rank one.")
    if not evidence.flattest.attained:
        raise NotStatedError("F falls towards a value that it takes only at infinity; there is no flattest point.")
    if not evidence.flattest.success:
        raise UnfinishedError(_unfound(evidence.flattest))
    checks = (
        rank_above_one(evidence),
        no_gradient(evidence),
        curvature(evidence),
        invertible(evidence),
        conservation.residual(evidence),
        monotone(evidence),
    )
    return Measurement(checks, _notes(evidence), _proofs(evidence))


def _unfound(found: OptimizeResult) -> str:
    """What `flattest_point` advises is for its callers; here another start is another seed."""
    end = "a saddle" if found.status == 2 else f"|grad F| = {found.gradient_norm:.1e}"
    return f"the flattest point was not found: {found.nit} steps from the start end at {end}. Try another seed."


def _has_flattest_features(evidence: Evidence) -> bool:
    """Are the features of S2 or S10 in reach? They minimise F over all features, whatever the samples."""
    try:
        return has_weights(evidence.manifold, minimising_features(evidence.manifold))
    except NotStatedError:
        return False


def rank_above_one(evidence: Evidence) -> Check:
    """Second over first singular value of Z at the flattest point found; the exact point's may differ from it."""
    values = np.linalg.svd(evidence.manifold.preactivations(evidence.flattest.x), compute_uv=False)
    reason = "the bound is rounding; uncertainty: 10 |X| |grad F| / lambda_min, ten times how far the minimum may be"
    name = "second over first singular value of Z at the flattest point"
    ratio, error = values[1] / values[0], 10.0 * _reach(evidence) / values[0]
    return Check(name, float(ratio), ">=", _RANK_ONE, 0.0, reason, 1, uncertainty=float(error))


def _reach(evidence: Evidence) -> float:
    """|X| |grad F| / lambda_min: what separates Z from that of the minimum, to first order."""
    found = evidence.flattest
    least = found.smallest_curvature
    if least is None or not least > 0.0:
        return float("inf")
    return float(np.linalg.norm(evidence.manifold.problem.R, 2) * found.gradient_norm / least)


def no_gradient(evidence: Evidence) -> Check:
    """|grad F| at the flattest point found."""
    found = evidence.flattest
    norm = float(np.linalg.norm(evidence.manifold.gradient(found.x)))
    tolerance = 100.0 * evidence.gradient_rounding(found.x)
    reason = "1e4 eps sqrt(cond J J^T) times the Euclidean gradient: rounding, and the point's own residual"
    return Check("|grad F| at the flattest point", norm, "<=", 0.0, tolerance, reason, 1)


def curvature(evidence: Evidence) -> Check:
    """Smallest Hessian eigenvalue there, by the dense spectrum."""
    values = evidence.manifold.hessian_spectrum(evidence.flattest.x)
    tolerance = 100.0 * EPS * float(np.abs(values).max())
    reason = "100 eps lambda_max of a dense eigenvalue problem"
    return Check("lambda_min(Hess F) there", float(values[0]), ">=", 0.0, tolerance, reason, values.size)


def invertible(evidence: Evidence) -> Check:
    """Smallest over largest singular value of J along the flow, though G is singular."""
    ratios = [_conditioning(evidence, k) for k in evidence.sampled]
    reason = "the bound is sqrt(eps): below it J J^T is singular to working precision"
    name = "smallest over largest singular value of J along the flow"
    return Check(name, min(ratios), ">=", _INVERTIBLE, 0.0, reason, len(ratios))


def _conditioning(evidence: Evidence, k: int) -> float:
    man = evidence.manifold.distinct
    J = man.jacobian(evidence.flow.theta[k]).reshape(man.n, -1)
    values = np.linalg.svd(J, compute_uv=False)
    return float(values[-1] / values[0])


def _notes(evidence: Evidence) -> tuple[str, ...]:
    found = evidence.flattest
    notes = [f"F = {found.fun:.8g} at the flattest point found: {found.message}"]
    if found.lower_bound > 0.0:
        notes.append(f"Over features that no weights need give, the least F is {found.lower_bound:.8g} (S13).")
    return tuple(notes)


def _proofs(evidence: Evidence) -> tuple[Certificate, ...]:
    """An exact zero-loss point near the flattest one."""
    return (exact_zero_loss_point(evidence.manifold, evidence.flattest.x).certificate,)


STATEMENT = Statement(
    id="S12",
    title="dependent samples: a flow, but no rank one",
    formula=r"\mu = 0,\quad J J^\top\ \mathrm{invertible}:\quad f(\Theta(t)) = y,\quad "
    r"\mathrm{rank}\,Z(\mathrm{argmin}\,F) > 1",
    source="this toolkit",
    hypotheses=(hypotheses.existence, hypotheses.dependence),
    measure=measure,
    scope=(hypotheses.plain_units,),
    problem=lambda evidence: evidence.dependent,
    blind_spot="One data set and one local minimum, which need not be the lowest: the statement is that rank one need "
    "not come out, and one example shows it. An exact minimum nearby is not proved; the second singular value is more "
    "than ten times what its distance, to first order, could change.",
)
