"""S7: the constants are known when the flow starts."""

from __future__ import annotations

import numpy as np

from verification import hypotheses
from verification.evidence import Evidence
from verification.points import activation_table
from verification.records import Check, Measurement, Statement


def measure(evidence: Evidence) -> Measurement:
    """Pre-activations along the flow within the interval; phi'^2 within its bound; F never up."""
    checks = (slope_bound(evidence), monotone(evidence))
    return Measurement((within(evidence), *checks) if evidence.constants.confined else checks)


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
    """max phi'(z)^2 2 s_i / F(0) along the flow."""
    features = evidence.features
    slopes = activation_table(evidence.manifold, features)[1]
    share = (slopes**2 * 2.0 * evidence.manifold.problem.s).max() / evidence.constants.sharpness
    return Check("phi'(z)^2 2 s_i / F(0)", float(share), "<=", 1.0, 1e-10, "rounding", features.size)


def monotone(evidence: Evidence) -> Check:
    """Largest increase of F in a step, relative to F(0)."""
    F = evidence.flow.sharpness
    rise = float(np.diff(F).max() / F[0]) if F.size > 1 else float("nan")
    return Check(
        "largest rise of F in a step, over F(0)",
        rise,
        "<=",
        0.0,
        1e-12,
        "rounding of a sum of m n terms",
        F.size,
    )


STATEMENT = Statement(
    id="S7",
    title="constants known at the start",
    formula=r"\varphi'(z_{ji}(t))^2 \leq \dfrac{F(\Theta_0)}{2s_i}\ \mathrm{for\ all}\ t\geq 0",
    source="this toolkit; used by Gatmiry et al. as a boundedness assumption",
    hypotheses=(hypotheses.slopes, hypotheses.confinement),
    measure=measure,
    blind_spot="Points between two steps of the integrator. The extrema over the interval come from "
    "a grid with a local "
    "refinement, and not from interval arithmetic.",
)
