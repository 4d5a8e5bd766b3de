"""S7: the constants are known when the flow starts."""

from __future__ import annotations

import numpy as np

from verification import hypotheses
from verification.evidence import ATOL, RTOL, Evidence
from verification.points import activation_table
from verification.records import Check, Measurement, Statement


def measure(evidence: Evidence) -> Measurement:
    """Pre-activations along the flow within the interval; phi'^2 within its bound; F never up."""
    checks: tuple[Check, ...] = (slope_bound(evidence), monotone(evidence))
    checks = (within(evidence), *checks) if evidence.constants.confined else checks
    return Measurement(checks, (), evidence.enclosure.certificates)


def within(evidence: Evidence) -> Check:
    """Largest distance of a pre-activation from the interval's centre, over half its length."""
    low, high = evidence.constants.interval
    features = evidence.features
    share = max(features.max() - (low + high) / 2.0, (low + high) / 2.0 - features.min()) / ((high - low) / 2.0)
    return Check(
        "reach of z over the interval known at t = 0",
        float(share),
        "<=",
        1.0,
        1e-10,
        "rounding",
        features.size,
    )


def slope_bound(evidence: Evidence) -> Check:
    """max a_j^2 phi'(z)^2 2 s_i / F(0) along the flow."""
    features = evidence.features
    slopes = activation_table(evidence.manifold, features)[1]
    share = (evidence.manifold.a**2 * slopes**2 * 2.0 * evidence.manifold.problem.s).max()
    share /= evidence.constants.sharpness
    return Check("a_j^2 phi'(z)^2 2 s_i / F(0)", float(share), "<=", 1.0, 1e-10, "rounding", features.size)


def monotone(evidence: Evidence) -> Check:
    """Largest increase of F in a step, over what the integrator's local error, the residual and rounding allow."""
    flow = evidence.flow
    rises = np.diff(flow.sharpness)
    sizes = np.linalg.norm(flow.W[1:], axis=(1, 2))
    # The integrator bounds the root mean square of error / (atol + rtol |W|), so the norm of atol grows with the size.
    allowed = flow.gradient_norm[1:] * (RTOL * sizes + ATOL * np.sqrt(flow.W[0].size)) + 1e-12 * flow.sharpness[0]
    for k in map(int, np.flatnonzero(rises > allowed)):
        allowed[k] += off_manifold(evidence, k) + off_manifold(evidence, k + 1)
    measured = float((rises / allowed).max()) if rises.size else 0.0
    reason = (
        "1e-8 |Theta| |grad F|, the error that the integrator allows a step; "
        "|lambda| |f - y|, what the residual moves F; and 1e-12 F(0) for rounding"
    )
    return Check("largest rise of F in a step, over the error allowed", measured, "<=", 0.0, 1.0, reason, flow.t.size)


def off_manifold(evidence: Evidence, k: int) -> float:
    """First-order change of F at step k for a residual f - y: at most sum_i |lambda_i| times its largest entry."""
    flow = evidence.flow
    return float(np.abs(evidence.manifold.multipliers(flow.theta[k])).sum() * flow.residual[k])


STATEMENT = Statement(
    id="S7",
    title="constants known at the start",
    formula=r"a_j^2\,\varphi'(z_{ji}(t))^2 \leq \dfrac{F(\Theta_0)}{2s_i}\ \mathrm{for\ all}\ t\geq 0",
    source="this toolkit; used by Gatmiry et al. as a boundedness assumption",
    hypotheses=(hypotheses.existence, hypotheses.slopes, hypotheses.confinement),
    measure=measure,
    scope=(hypotheses.plain_units,),
    blind_spot="Points between two steps of the integrator; and how much smaller the interval could be, which one flow "
    "does not fill. The interval and the extrema over it are "
    "proved where a certificate says so; elsewhere they come from a grid with a local refinement, which "
    "can miss a dip narrower than its spacing.",
)
