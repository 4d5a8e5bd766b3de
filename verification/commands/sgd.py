"""`manifoldflow sgd`: simulate label-noise SGD and compare it with the flow."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import manifoldflow as mf
from manifoldflow.errors import GeometryError
from manifoldflow.sgd import SGDRun, log_spaced_steps, stable_step_size
from verification.evidence import Evidence
from verification.files import write_arrays, write_text
from verification.points import Array
from verification.records import Case
from verification.tables import align, number

RECORDS = 60


@dataclass(frozen=True)
class Settings:
    """How to simulate; a step size of None is "auto", a fifth of the stable one at the start or less."""

    step_size: float | None = None
    noise_std: float = 1.0
    steps: int = 200_000
    runs: int = 2


def sgd(case: Case, settings: Settings, out: Path | None) -> tuple[str, dict[str, Any]]:
    """Table and numbers; with a folder also `sgd.npz` (theta, loss, steps, and the record of the run) and `sgd.svg`.

    The record, at steps in equal ratios: recorded_steps, flow_time (of the sharpness flow), recorded_loss, sharpness
    and singular_values of the iterates themselves, which scatter about M.

    >>> import manifoldflow as mf
    >>> case = Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4)
    >>> sgd(case, Settings(steps=1000, runs=1), None)[1]["steps"]
    1000
    """
    evidence = Evidence(case)
    stable = stable_step_size(evidence.manifold, evidence.start)
    run = _simulate(evidence, settings)
    numbers = {
        "case": case.name,
        "step_size": run.step_size,
        "stable_step_size_at_start": stable,
        "noise_std": settings.noise_std,
        "steps": run.n_steps,
        "flow_time": run.sharpness_flow_time,
        **_compare(evidence, run),
    }
    lines = [
        f"{case.name}: {run.message}",
        "",
        *align([(name, _cell(value)) for name, value in numbers.items()], set()),
    ]
    if out is not None:
        lines += ["", *(f"wrote {path}" for path in _write(evidence, run, out))]
    return "\n".join(lines), numbers


def _cell(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _simulate(evidence: Evidence, settings: Settings) -> SGDRun:
    case = evidence.case
    return mf.label_noise_sgd(
        evidence.manifold.network,
        case.data.X,
        case.data.y,
        evidence.start,
        step_size=settings.step_size or "auto",
        noise=mf.LabelNoise(std=settings.noise_std),
        n_steps=settings.steps,
        n_runs=settings.runs,
        rng=case.seed,
        record_at=log_spaced_steps(settings.steps, RECORDS),
        record=("loss", "sharpness", "singular_values"),
    )


def _compare(evidence: Evidence, run: SGDRun) -> dict[str, float]:
    """Sharpness at the start, of SGD pulled back to M (mean over runs), and of the flow at the same time."""
    manifold, flow = evidence.manifold, evidence.flow
    points = [point for theta in run.theta if (point := _limit(manifold, theta)) is not None]
    time = min(run.sharpness_flow_time, float(flow.t[-1]))
    return {
        "loss": float(run.loss.mean()),
        "sharpness at the start": float(flow.sharpness[0]),
        "sharpness of SGD": float(np.mean([manifold.sharpness(p) for p in points])) if points else float("nan"),
        "sharpness of the flow": manifold.sharpness(flow.sol(time)),
        "smallest sharpness of the flow": float(flow.sharpness[-1]),
    }


def _limit(manifold: mf.ZeroLossManifold, theta: Array) -> Array | None:
    try:
        return mf.gradient_flow_limit(manifold, theta)
    except GeometryError:
        return None  # too far from M


def _write(evidence: Evidence, run: SGDRun, out: Path) -> list[Path]:
    numbers = write_arrays(
        out / "sgd.npz",
        theta=run.theta,
        loss=run.loss,
        steps=run.n_steps,
        recorded_steps=run.steps,
        flow_time=run.clock * run.flow_times,
        recorded_loss=run.history["loss"],
        sharpness=run.history["sharpness"],
        singular_values=run.history["singular_values"],
    )
    return [numbers, write_text(out / "sgd.svg", _plot(evidence, run))]


def _plot(evidence: Evidence, run: SGDRun) -> str:
    """Sharpness of the iterates, a line a run, and of the flow, against flow time."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    from verification.report.svg import SETTINGS

    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(4.6, 3.1), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot(xlabel="flow time t", ylabel="sharpness F", title="Label-noise SGD and the flow")
        times = run.clock * run.flow_times
        for k, column in enumerate(run.history["sharpness"].T):
            axes.plot(times, column, color="#0072B2", alpha=0.6, label=None if k else "SGD, each run")
        flow = evidence.flow
        shown = flow.t <= times[-1]
        axes.plot(flow.t[shown], flow.sharpness[shown], "--", color="#E69F00", label="flow")
        axes.legend(fontsize=7.5)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
