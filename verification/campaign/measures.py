"""What each kind of task measures: a flat record of JSON's own types for each task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import manifoldflow as mf
from manifoldflow.checkpoint import content_hash
from manifoldflow.errors import ManifoldflowError
from manifoldflow.sgd import stable_step_size
from verification.cases import make_case
from verification.evidence import Evidence
from verification.networks import SIGNED, TRAINED
from verification.noise import pulled_back, simulate, time_of_drop
from verification.points import Array
from verification.records import Case, Check, Verdict
from verification.runner import check_case

from .calls import named_function
from .task import Task

COARSE_FRACTION = 0.4  # of the stable step size: what `coarse_steps` counts steps of
Record = dict[str, Any]


def verify(tasks: Sequence[Task]) -> list[Record]:
    """The verdicts of several statements on their one case."""
    report = check_case(_case(tasks[0]), [task.options["statement"] for task in tasks], lambda line: None)
    found = {verdict.statement: _verdict(verdict) for verdict in report.verdicts}
    return [found[task.options["statement"]] for task in tasks]


def _case(task: Task) -> Case:
    if task.data is None:
        raise ValueError(f"a task of kind {task.kind} needs data")
    given = task.options
    own = tuple(given["own"].split(",")) if "own" in given else ()
    return make_case(
        task.data, given.get("activation"), given.get("width"), given["seed"], own,
        _weights(given.get("output_weights")), given.get("network", "two-layer"),
    )  # fmt: skip


def unit_of(task: Task) -> mf.UnitFunction | None:
    """The unit function of a task's network, whichever that is; None where the task will say why there is none."""
    try:
        case = _case(task)
        return case.network(case).unit
    except ManifoldflowError:
        return None


def _weights(text: str | None) -> tuple[float, ...] | str | None:
    if text in (None, SIGNED, TRAINED):
        return text
    return tuple(map(float, str(text).split(",")))


def _verdict(verdict: Verdict) -> Record:
    """The decisive check in columns of its own, all checks as a list."""
    check = verdict.decisive
    decisive = {} if check is None else _check(check)
    return {
        "status": verdict.status,
        **{name: value for name, value in decisive.items() if name != "status"},
        "reason": verdict.reason,
        "not_met": "; ".join(hypothesis.name for hypothesis in verdict.hypotheses if not hypothesis.met),
        "not_proved": "; ".join(verdict.unproved),
        "checks": [_check(item) for item in verdict.checks],
    }


def _check(check: Check) -> Record:
    names = ("quantity", "measured", "relation", "bound", "margin", "tolerance", "uncertainty", "sample_size", "status")
    return {name: getattr(check, name) for name in names}


def flow(tasks: Sequence[Task]) -> list[Record]:
    """Where the flow ends, when, in how many steps; `end_hash` is of the end point's bits."""
    evidence = Evidence(_case(tasks[0]))
    found, end = evidence.flow, evidence.flow.theta[-1]
    values = np.linalg.svd(evidence.features[-1], compute_uv=False) if evidence.has_features else np.zeros(0)
    record = {
        "status": found.status,
        "steps": int(found.t.size - 1),
        "end_time": found.t[-1],
        "sharpness_start": found.sharpness[0],
        "sharpness_end": found.sharpness[-1],
        "sharpness_minimum": evidence.minimum.sharpness if evidence.is_plain and evidence.has_minimum else None,
        "gradient_norm_end": found.gradient_norm[-1],
        "residual": found.residual.max(),
        "singular_value_ratio": _ratio(values),
        "end_hash": content_hash(end)[:16],
    }
    return [record | ({"theta": end.tolist()} if tasks[0].options["keep_end"] else {})]


def _ratio(values: Array) -> float | None:
    """Second over first; None where the units have no features."""
    if not values.size:
        return None
    return float(values[1] / values[0]) if values.size > 1 else 0.0


def sgd(tasks: Sequence[Task]) -> list[Record]:
    """The distance of label-noise SGD, pulled back to M, from the flow at one time, in independent runs.

    distance^2 = mean over pairs of different runs of <e_r, e_s>, which has the mean |E e|^2: the runs' own scatter is
    not in it. Its standard error is the jackknife's over the runs.
    """
    evidence, options = Evidence(_case(tasks[0])), tasks[0].options
    scheme = _scheme(evidence, options)
    eta, horizon = scheme["step"], scheme["flow_time"]
    stream = int(content_hash(eta)[:12], 16)  # each step size draws numbers of its own
    run = simulate(evidence, eta, mf.LabelNoise(std=scheme["noise_std"]), scheme["steps"], options["runs"], stream)
    target = evidence.flow.sol(horizon)
    reduced = evidence.manifold.coordinates.reduce(target)
    errors = np.array([pulled_back(evidence, theta) - reduced for theta in run.theta]).reshape(len(run.theta), -1)
    size, error = size_of_mean(errors)
    scatter, moved = math.sqrt(errors.var(axis=0, ddof=1).sum()), np.linalg.norm(target - evidence.start)
    return [{"distance": size, "distance_se": error, "scatter": scatter, "moved": moved, **scheme}]


def _scheme(evidence: Evidence, options: Mapping[str, Any]) -> Record:
    """The noise is the one with which steps of 0.4 of the stable size reach the time in `coarse_steps`, whatever the
    task's own step size.
    """
    stable, n = float(stable_step_size(evidence.manifold, evidence.start)), evidence.manifold.n
    horizon = time_of_drop(evidence, options["drop"])
    eta = float(options.get("step_size") or options["step_fraction"] * stable)
    std = math.sqrt(2.0 * n * horizon / options["coarse_steps"]) / (COARSE_FRACTION * stable)
    steps = max(1, round(horizon * 2.0 * n / (std * eta) ** 2))
    return {"step": eta, "stable_step_size": stable, "steps": steps, "noise_std": std, "flow_time": horizon}


def size_of_mean(errors: Array) -> tuple[float, float]:
    """|mean| of independent rows without their scatter, and its standard error by the jackknife.

    >>> size_of_mean(np.array([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]]))
    (5.0, 0.0)
    """
    products, count = errors @ errors.T, len(errors)
    np.fill_diagonal(products, 0.0)
    total, own = products.sum(), products.sum(axis=1)
    size = _root(total / (count * (count - 1)))
    if count < 3:
        return size, math.nan
    left_out = np.array([_root((total - 2.0 * part) / ((count - 1) * (count - 2))) for part in own])
    return size, float(np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2)))


def _root(square: float) -> float:
    return math.sqrt(max(float(square), 0.0))


def call(tasks: Sequence[Task]) -> list[Record]:
    """What your function returns: a flat dict."""
    options = tasks[0].options
    found = named_function(options["function"])(**options["arguments"])
    if not isinstance(found, Mapping):
        raise TypeError(f"{options['function']} returned {type(found).__name__}; it must return a dict.")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | bool | None | np.generic):
            raise TypeError(f"{options['function']} returned {name!r}: {type(value).__name__}; values must be numbers, "
                            "texts, booleans or None, and their names texts.")  # fmt: skip
    return [dict(found)]


MEASURES: dict[str, Callable[[Sequence[Task]], list[Record]]] = {
    "verify": verify, "sgd": sgd, "flow": flow, "call": call,
}  # fmt: skip
