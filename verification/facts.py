"""What a report keeps of a case besides its verdicts: its constants, and the series behind the plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manifoldflow.certificates import Certificate
from manifoldflow.errors import ManifoldflowError

from .errors import NotStatedError
from .evidence import Evidence
from .feature_moves import curvatures
from .networks import title
from .points import Array
from .statements import signed_weights

SERIES_POINTS = 160
_OF_ANY_UNIT = ("noise", "speeds")  # the others are about units a*phi(z)


def facts(evidence: Evidence) -> dict[str, Any]:
    """Sizes, constants and the flow's outcome, as plain numbers; only units a*phi(z) have constants of S7."""
    case, flow, a = evidence.case, evidence.flow, evidence.manifold.a
    mu, s_min = _gram(evidence)
    return {
        "data": case.data.name,
        "source": case.data.source,
        "activation": evidence.manifold.network.unit.formula,
        "samples": evidence.manifold.n,
        "columns": case.data.X.shape[1],
        "width": evidence.manifold.m,
        "weights": [float(a.min()), float(a.max())],
        "seed": case.seed,
        "mu": mu,
        "s_min": s_min,
        **(_constants(evidence) if evidence.is_plain else {}),
        **({"network": title(case.network)} if title(case.network) else {}),
        "flow": {
            "status": flow.status,
            "steps": int(flow.t.size - 1),
            "end_time": float(flow.t[-1]),
            "sharpness_start": float(flow.sharpness[0]),
            "sharpness_end": float(flow.sharpness[-1]),
            "gradient_norm_end": float(flow.gradient_norm[-1]),
        },
    }


def _gram(evidence: Evidence) -> tuple[float, float]:
    """mu and s_min, of the samples themselves where the units do not meet them as inputs."""
    if evidence.has_features:
        return evidence.manifold.mu, evidence.manifold.s_min
    X = evidence.case.data.X
    smallest = float(np.linalg.svd(X, compute_uv=False)[-1]) if len(X) <= X.shape[1] else 0.0
    return smallest**2, float(np.sum(X * X, axis=1).min())


def _constants(evidence: Evidence) -> dict[str, Any]:
    found = evidence.constants
    return {
        "mu": found.mu,
        "s_min": found.s_min,
        "interval": list(found.interval),
        "confined": found.confined,
        "rho1": found.rho1,
        "rho2": found.rho2,
        "beta": found.beta,
        "inf_ratio": found.ratio,
        "radius_kappa_2": found.radius(2.0),
        "convexity_kappa_2": found.convexity(2.0),
        "global_rate": found.global_rate(),
        "failing_assumptions": list(found.failing),
    }


def certificates(evidence: Evidence) -> tuple[Certificate, ...]:
    """Every certificate about the case; for units that are not a*phi(z) that of an exact point near the start."""
    return evidence.survey.certificates if evidence.is_plain else (evidence.exact_point.certificate,)


def series(evidence: Evidence, names: Sequence[str] = ("region", "noise", "minimum")) -> dict[str, Any]:
    """The numbers that the plots show, the flow's and the named ones; what does not exist for this case
    is left out.
    """
    found: dict[str, Any] = {"flow": _flow(evidence)}
    for name in names if evidence.is_plain else [name for name in names if name in _OF_ANY_UNIT]:
        try:
            found[name] = _MAKERS[name](evidence)
        except (NotStatedError, ManifoldflowError):
            continue
    return found


def _flow(evidence: Evidence) -> dict[str, Array]:
    flow = evidence.flow
    chosen = np.unique(np.linspace(0, flow.t.size - 1, SERIES_POINTS).round().astype(int))
    found = {
        "t": flow.t[chosen],
        "sharpness": flow.sharpness[chosen],
        "gradient_norm": flow.gradient_norm[chosen],
    }
    if evidence.has_features:
        found["singular_values"] = np.linalg.svd(evidence.features[chosen], compute_uv=False)[:, :6]
    return found


def _minimum(evidence: Evidence) -> dict[str, float]:
    return {"sharpness": evidence.minimum.sharpness}


def _region(evidence: Evidence) -> dict[str, Any]:
    points = [*evidence.region, *([evidence.saddle] if evidence.saddle else [])]
    return {
        "gradient_norm": [item.point.gradient_norm for item in points],
        "smallest_eigenvalue": [item.smallest for item in points],
    }


def _noise(evidence: Evidence) -> dict[str, Any]:
    return {name: vars(part) for name, part in vars(evidence.noise).items() if part is not None}


def _levels(evidence: Evidence) -> dict[str, Any]:
    problem = evidence.signed
    levels = signed_weights.levels(problem, problem.features[-1]).mean(axis=0)
    grid, inverse = signed_weights.curve(problem)
    a = problem.manifold.a
    return {"level": levels / a, "feature": problem.features[-1], "grid": grid, "inverse": inverse}


def _curvatures(evidence: Evidence) -> dict[str, Any]:
    problem = evidence.outside
    found = curvatures(problem.manifold, problem.minimum.Z[0])
    scale = 8.0 * problem.manifold.problem.s
    labels = problem.manifold.y / problem.manifold.m
    return {"unit": problem.case.activation, "labels": labels, "measured": found.measured / scale,
            "predicted": found.predicted / scale}  # fmt: skip


def _ranks(evidence: Evidence) -> dict[str, Any]:
    problem = evidence.dependent
    Z = problem.manifold.preactivations(problem.flattest.x)
    values = {"dependent": np.linalg.svd(Z, compute_uv=False)}
    if evidence is not problem:
        values["independent"] = np.linalg.svd(evidence.features[-1], compute_uv=False)
    return values


def _speeds(evidence: Evidence) -> dict[str, Any]:
    rows = evidence.large_steps
    return {
        "scheme": [row.scheme for row in rows],
        "fraction": [row.fraction for row in rows],
        "speed": [row.comparison.estimate.value for row in rows],
        "half_width": [row.comparison.half_width for row in rows],
        "predicted": [row.comparison.predicted for row in rows],
    }


_MAKERS = {
    "region": _region,
    "noise": _noise,
    "minimum": _minimum,
    "levels": _levels,
    "curvatures": _curvatures,
    "ranks": _ranks,
    "speeds": _speeds,
}
