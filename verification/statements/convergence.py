"""S4: the flow enters the region in known time, stays, and converges exponentially."""

from __future__ import annotations

import numpy as np

from verification import hypotheses
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.points import Array
from verification.records import Check, Measurement, Statement

KAPPA = 2.0


def measure(evidence: Evidence) -> Measurement:
    """Slope of log |grad F|^2, curvature along the gradient, time of entry, and whether the flow ever
    leaves.
    """
    radius = evidence.constants.radius(KAPPA)
    if not (np.isfinite(radius) and radius > 0.0):
        raise NotStatedError("there is no region |grad F| <= r to enter: r is not positive.")
    norms = evidence.flow.gradient_norm
    inside = norms <= radius
    if not inside.any():
        missing = Check("time of entry", float("nan"), "<=", _latest(evidence, radius), 0.0, "none", 0)
        return Measurement((missing,))
    entry = int(np.argmax(inside))
    checks = (
        decay(evidence, entry),
        curvature_along_gradient(evidence, radius),
        time_of_entry(evidence, entry, radius),
        staying(evidence, entry, radius),
    )
    return Measurement(checks)


def decay(evidence: Evidence, entry: int) -> Check:
    """Smallest rate of decay of |grad F|^2 after entry, each over a factor 10 of |grad F|, against 2 c."""
    norms = evidence.flow.gradient_norm
    rates = _rates(evidence.flow.t[entry:], norms[entry:], 1e-13 * norms.max())
    bound = 2.0 * evidence.constants.convexity(KAPPA)
    reason = (
        "1e-3: relative error of the gradient where it is above 1000 times its stopping value, rtol 1e-8 and rounding"
    )
    return Check(
        "-d/dt log |grad F|^2 after entry",
        min(rates, default=float("nan")),
        ">=",
        bound,
        1e-3 * bound,
        reason,
        len(rates),
    )


def _rates(t: Array, norms: Array, rounding: float) -> list[float]:
    """Mean decay rates of the squared norm over factors of 10, down to 1000 times the end or to rounding."""
    rates, k = [], 0
    floor = max(1e3 * norms[-1], rounding)
    for q in range(1, norms.size):
        if norms[q] < floor or norms[q] == 0.0:
            break
        if norms[q] <= 0.1 * norms[k]:
            rates.append(float(2.0 * np.log(norms[k] / norms[q]) / (t[q] - t[k])))
            k = q
    if not rates and norms.size > 1 and t[-1] > t[0] and norms[-1] > 0.0:
        rates.append(float(2.0 * np.log(norms[0] / norms[-1]) / (t[-1] - t[0])))
    return rates


def curvature_along_gradient(evidence: Evidence, radius: float) -> Check:
    """Hess F[g, g]/|g|^2 at flow points inside the region: half the rate of decay of |g|^2 at that moment."""
    norms = evidence.flow.gradient_norm[evidence.sampled]
    kept = (norms <= radius) & (norms > max(100.0 * norms[-1], 1e-13 * norms.max()))
    values = evidence.flow_curvature[kept]
    bound = evidence.constants.convexity(KAPPA)
    measured = float(values.min()) if values.size else float("nan")
    reason = "1e-6: rounding of the gradient where it is above 100 times its stopping value"
    return Check(
        "Hess F[g, g] / |g|^2 inside, g = grad F",
        measured,
        ">=",
        bound,
        1e-6 * bound,
        reason,
        int(kept.sum()),
    )


def time_of_entry(evidence: Evidence, entry: int, radius: float) -> Check:
    """The first time with |grad F| <= r."""
    reason = "exact: the first computed point inside, at or after the crossing"
    return Check("time of entry", float(evidence.flow.t[entry]), "<=", _latest(evidence, radius), 0.0, reason, 1)


def _latest(evidence: Evidence, radius: float) -> float:
    return float(evidence.flow.sharpness[0] / radius**2)


def staying(evidence: Evidence, entry: int, radius: float) -> Check:
    """Largest |grad F| after entry, over r."""
    after = evidence.flow.gradient_norm[entry:]
    return Check("max |grad F| / r after entry", float(after.max() / radius), "<=", 1.0, 1e-9, "rounding", after.size)


STATEMENT = Statement(
    id="S4",
    title="exponential convergence",
    formula=r"t_{\mathrm{entry}} \leq F(\Theta_0)/r^2,\qquad"
    r"\dfrac{\mathrm{d}}{\mathrm{d}t}\Vert\mathrm{grad}\,F\Vert^2 \leq "
    r"-2c\,\Vert\mathrm{grad}\,F\Vert^2\ \mathrm{afterwards}",
    source="Gatmiry, Li, Reddi and Jegelka (ICML 2024)",
    hypotheses=hypotheses.LOCAL,
    measure=measure,
    scope=(hypotheses.unit_weights,),
    blind_spot="One start, whose rate is above the bound by a factor on most data: constants wrong by as much would "
    "pass. The flow is known at its steps; between them it could leave and come back.",
)
