"""S11: what happens where A1 fails. Tested on the case itself where it fails, else on the case's samples with tanh."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

import manifoldflow as mf
from manifoldflow.certificates import (
    Certificate,
    DisagreeingPoint,
    Thresholds,
    disagreeing_critical_point,
    rank_one_point,
    stability_thresholds,
)
from verification import hypotheses
from verification.evidence import EPS, Evidence
from verification.feature_moves import Curvatures, curvatures, measured_flip
from verification.points import activation_table, random_points
from verification.records import Check, Hypothesis, Measurement, Statement

from . import stationary

NAMED = ("atan(z)", "1/(1 + exp(-z))", "softplus(z)")  # beside tanh, the problem's own
Z_RANGE = (-10.0, 10.0)
_FLIP = 1e-4  # of z: differences of order 4 with steps of 0.02
_SCALES = (0.5, 1.0, 2.0)


def a1_fails(evidence: Evidence) -> Hypothesis:
    """A1 is refuted on the interval of the problem: what the statement is about."""
    proof = evidence.enclosure.certificate("A1")
    detail = proof.reason if proof.refuted else f"A1 is {proof.verdict}: {proof.text}"
    return Hypothesis("A1 fails", proof.refuted, detail, "proved" if proof.refuted else "grid")


def measure(evidence: Evidence) -> Measurement:
    """The rank-one point: critical, of the kind that the sign of phi''' says; thresholds; units that disagree; z^2."""
    found = curvatures(evidence.manifold, evidence.minimum.Z[0])
    kinds = rank_one_point(evidence.manifold)
    apart = disagreeing_critical_point(evidence.manifold)
    own = evidence.manifold.network.unit.formula
    tables = [(name, thresholds(name)) for name in (own, *NAMED)]
    checks = [curvature(found), sign(evidence, found), stationary.no_gradient(evidence), constant_for_square(evidence)]
    checks += flips(tables)
    if apart.certificate.proved:
        checks += [gradient_where_units_disagree(evidence, apart), disagreement(apart)]
    notes = (
        _kind_note(kinds.kinds),
        *(_threshold_note(*item) for item in tables),
    )
    return Measurement(tuple(checks), notes, (kinds.certificate, apart.certificate, *_proofs(tables)))


def _kind_note(kinds: tuple[str, ...]) -> str:
    found = ", ".join(f"a strict {kind} in those of {kinds.count(kind)}" for kind in ("maximum", "minimum"))
    return f"Of the features of {len(kinds)} samples the rank-one point is proved to be {found}."


def curvature(found: Curvatures) -> Check:
    """Second difference of F along a move of one sample's features, less 8 s phi' phi''', over its error."""
    worst = float((np.abs(found.measured - found.predicted) / found.error).max())
    reason = "exact: the error is what two step sizes differ by, and 32 eps F over the step squared"
    name = "|second difference of F in a sample's features - 8 s phi' phi'''|, over its error"
    return Check(name, worst, "<=", 1.0, 0.0, reason, found.measured.size)


def sign(evidence: Evidence, found: Curvatures) -> Check:
    """Share of the samples in which the measured curvature has the sign of phi' phi''', of those told from 0."""
    table = activation_table(evidence.manifold, evidence.minimum.Z[0])
    told = np.abs(found.measured) > found.error
    if not told.any():  # F is constant: nothing has a sign
        return Check("samples whose curvature has the sign of phi'''", 1.0, "==", 1.0, 0.0, "a count, of none", 1)
    agrees = np.sign(found.measured) == np.sign(table[1] * table[3])
    share = float(agrees[told].mean())
    return Check("samples whose curvature has the sign of phi'''", share, "==", 1.0, 0.0, "a count", int(told.sum()))


@lru_cache(maxsize=64)  # of the activation alone: cases share it
def thresholds(formula: str) -> Thresholds:
    """Zeros of phi''' at which it changes its sign, enclosed."""
    return stability_thresholds(formula, Z_RANGE)


def flips(tables: list[tuple[str, Thresholds]]) -> list[Check]:
    """Where the measured curvature of F changes its sign, found by bisection, against the enclosures."""
    checks = []
    for name, found in tables:
        zeros = tuple(map(float, found.z.mid))
        gaps = [abs(measured_flip(name, zeros, k) - zero) for k, zero in enumerate(zeros)]
        if gaps:
            quantity = f"{name}: z at which the rank-one point turns, measured - enclosed"
            reason = "1e-4 is a choice: differences of order 4 with steps of 0.02"
            checks.append(Check(quantity, max(gaps), "<=", 0.0, _FLIP, reason, len(gaps)))
    return checks


def _threshold_note(name: str, found: Thresholds) -> str:
    values = ", ".join(f"{value:.9g}" for value in np.sort(found.values.mid))
    where = f"y/m = {values}" if found.values.lo.size else "no y/m"
    return f"{name}: the rank-one point turns between minimum and maximum at {where}, z within [-10, 10]."


def _proofs(tables: list[tuple[str, Thresholds]]) -> tuple[Certificate, ...]:
    return tuple(found.certificate for _, found in tables)


def gradient_where_units_disagree(evidence: Evidence, found: DisagreeingPoint) -> Check:
    """|grad F| at the point that was proved to be near a critical one with units that differ."""
    manifold = evidence.manifold
    norm = float(np.linalg.norm(manifold.gradient(found.theta)))
    steepest = float(np.abs(manifold.hessian_spectrum(found.theta)).max())
    tolerance = evidence.gradient_rounding(found.theta) + 2.0 * steepest * found.distance
    reason = "100 eps sqrt(cond J J^T) times the Euclidean gradient, and twice the Hessian's norm times the distance"
    return Check("|grad F| where the units disagree", norm, "<=", 0.0, tolerance, reason, 1)


def disagreement(found: DisagreeingPoint) -> Check:
    """How far apart the features of two units are at least, there."""
    low, high = found.low[:, found.sample], found.high[:, found.sample]
    reason = "the width of the enclosures, which is subtracted"
    return Check("distance of two units' features there", float(low.max() - high.min()), ">=", 1e-3, 0.0, reason, 1)


def constant_for_square(evidence: Evidence) -> Check:
    """For z^2, |F - 8 sum_i s_i y_i| relative, over random points of the case's samples with positive labels."""
    data = evidence.case.data
    y = np.abs(data.y) + (float(np.abs(data.y).mean()) or 1.0)
    network = mf.TwoLayerNetwork(mf.UnitFunction("z**2"), width=evidence.manifold.m)
    manifold = mf.ZeroLossManifold(network, data.X, y)
    expected = 8.0 * float(np.sum(manifold.problem.s * y))
    points = random_points(manifold, evidence.rng(450), _SCALES)
    gaps = [abs(manifold.sharpness(theta) - expected) / expected for theta in points]
    reason = "1e3 eps m n for the sums, and the residual that Newton's method leaves"
    missed = 8.0 * float(manifold.problem.s.sum()) * manifold.projection_tolerance()
    tolerance = 1e3 * EPS * manifold.a.size + missed / expected
    measured = max(gaps, default=float("nan"))
    return Check("z^2: |F - 8 sum_i s_i y_i| / F", measured, "<=", 0.0, tolerance, reason, len(gaps))


STATEMENT = Statement(
    id="S11",
    title="A1 is needed",
    formula=r"\mathrm{Hess}\,F[U,U] = 4\,s_i\,(\varphi'\varphi''')\left(\varphi^{-1}(y_i/m)\right)\sum_j u_j^2"
    r"\ \mathrm{at\ the\ rank\ one\ point}",
    source="this toolkit",
    hypotheses=(hypotheses.existence, a1_fails, hypotheses.independence),
    measure=measure,
    scope=(hypotheses.plain_units,),
    problem=lambda evidence: evidence.outside,
    blind_spot="Moves of one sample's features by two units, at the rank-one point of one set of labels. Critical "
    "points whose units disagree are looked for from a grid of starts: that none is found proves nothing, and "
    "where one is found others may exist. Thresholds are those with z in [-10, 10].",
)
