"""S8: what the flow conserves, and that units started in the span end as one vector."""

from __future__ import annotations

import numpy as np

from verification import hypotheses
from verification.evidence import Evidence
from verification.points import Array
from verification.records import Check, Measurement, Statement

from . import stationary


def measure(evidence: Evidence) -> Measurement:
    """Residual along the flow, the gradient's part orthogonal to the data; for units phi(z), their difference at the
    end.
    """
    conserved = residual(evidence), orthogonal_motion(evidence)
    if not evidence.has_unit_weights:
        return Measurement(conserved, ("That units end as one vector is a statement about units phi(z).",))
    return Measurement((same_vector(evidence), *conserved), (), (evidence.survey.point.certificate,))


def residual(evidence: Evidence) -> Check:
    """Largest |f - y| along the flow."""
    manifold, found = evidence.manifold.distinct, evidence.flow.residual
    limit = manifold.projection_tolerance(manifold.coordinates.reduce(evidence.start))
    reason = "rounding of a sum of m terms: each step ends with a projection"
    return Check("max |f - y| along the flow", float(found.max()), "<=", 0.0, limit, reason, found.size)


def orthogonal_motion(evidence: Evidence) -> Check:
    """The orthogonal part of the gradient and of the flow's motion, relative to the whole."""
    parts = [_orthogonal_share(evidence, evidence.manifold.gradient(theta)) for theta in evidence.random_thetas]
    theta = evidence.flow.theta
    parts.append(_orthogonal_share(evidence, theta[-1] - theta[0]))
    return Check("part of the motion orthogonal to the data", max(parts), "<=", 0.0, 1e-11, "rounding", len(parts))


def _orthogonal_share(evidence: Evidence, vector: Array) -> float:
    size = float(np.linalg.norm(vector))
    return float(np.linalg.norm(evidence.manifold.coordinates.orthogonal_part(vector))) / size if size else 0.0


def same_vector(evidence: Evidence) -> Check:
    """Largest difference of a unit's end from the mean, relative to it, for a start within the span."""
    manifold = evidence.manifold
    end = manifold.coordinates.expand(evidence.flow.W[-1])
    mean = end.mean(axis=0)
    start = np.linalg.norm(evidence.flow.W[0], axis=1).mean()
    size = max(float(np.linalg.norm(mean)), 1e-3 * float(start))  # labels of 0 end at 0
    measured = float(np.linalg.norm(end - mean, axis=1).max() / size)
    tolerance, reason = _difference_left(evidence, size)
    return Check(
        "difference of the units' ends, start in the span",
        measured if evidence.settled else float("nan"),
        "<=",
        0.0,
        tolerance,
        reason,
        manifold.m,
        resolution=stationary.TELLING,
    )


def _difference_left(evidence: Evidence, size: float) -> tuple[float, str]:
    each = evidence.distance_left
    if each is None:
        return 1e-3, "1e-3 is a choice: S6 gives no bound here"
    difference = 2.0 * np.linalg.norm(each) / np.sqrt(evidence.constants.mu)
    return float(
        difference / size + 1e-12
    ), "distance that S6 allows at the gradient where the flow stopped, over sqrt(mu)"


STATEMENT = Statement(
    id="S8",
    title="conservation laws",
    formula=r"f(\Theta(t)) = y,\qquad P_{\mathrm{span}\{x_i\}^\perp}\,\theta_j(t) = "
    r"P_{\mathrm{span}\{x_i\}^\perp}\,\theta_j(0)",
    source="follows from S1",
    hypotheses=hypotheses.ANY_UNITS,
    measure=measure,
    blind_spot="The integrator projects onto M and works in the span, so two of the three numbers "
    "test the geometry and "
    "the code rather than the equation; the orthogonal part of the gradient is computed without either.",
)
