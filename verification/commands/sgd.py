"""`manifoldflow sgd`: simulate label-noise SGD and compare it with the flow."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import manifoldflow as mf
from manifoldflow.sgd import SGDRun, stable_step_size
from verification.evidence import Evidence
from verification.files import write_bytes
from verification.points import onto_manifold
from verification.records import Case
from verification.tables import align, number


@dataclass(frozen=True)
class Settings:
    """How to simulate; a step size of None is a fifth of the stable one at the start."""

    step_size: float | None = None
    noise_std: float = 1.0
    steps: int = 200_000
    runs: int = 2


def sgd(case: Case, settings: Settings, out: Path | None) -> tuple[str, dict[str, Any]]:
    """Table and numbers; with a folder also `sgd.npz` (theta, loss, steps).

    >>> import manifoldflow as mf
    >>> case = Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4)
    >>> sgd(case, Settings(steps=1000, runs=1), None)[1]["steps"]
    1000
    """
    evidence = Evidence(case)
    stable = stable_step_size(evidence.manifold, evidence.start)
    run = _simulate(evidence, settings, settings.step_size or 0.2 * stable)
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
        stream = io.BytesIO()
        np.savez(stream, theta=run.theta, loss=run.loss, steps=run.n_steps)
        lines += ["", f"wrote {write_bytes(out / 'sgd.npz', stream.getvalue())}"]
    return "\n".join(lines), numbers


def _cell(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _simulate(evidence: Evidence, settings: Settings, step_size: float) -> SGDRun:
    case = evidence.case
    return mf.label_noise_sgd(
        evidence.manifold.network,
        case.data.X,
        case.data.y,
        evidence.start,
        step_size=step_size,
        noise=mf.LabelNoise(std=settings.noise_std),
        n_steps=settings.steps,
        n_runs=settings.runs,
        rng=case.seed,
    )


def _compare(evidence: Evidence, run: SGDRun) -> dict[str, float]:
    """Sharpness at the start, of SGD projected onto M (mean over runs), and of the flow at the same time."""
    manifold, flow = evidence.manifold, evidence.flow
    points = [point for theta in run.theta if (point := onto_manifold(manifold, theta)) is not None]
    time = min(run.sharpness_flow_time, float(flow.t[-1]))
    return {
        "loss": float(run.loss.mean()),
        "sharpness at the start": float(flow.sharpness[0]),
        "sharpness of SGD": float(np.mean([manifold.sharpness(p) for p in points])) if points else float("nan"),
        "sharpness of the flow": manifold.sharpness(flow.sol(time)),
        "smallest sharpness of the flow": float(flow.sharpness[-1]),
    }
