"""`manifoldflow sgd`: simulate label-noise SGD and compare it with the flow."""

from __future__ import annotations

from collections.abc import Callable
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
from verification.results import versions
from verification.tables import align, number

RECORDS = 40
_RECORD_BYTES = 2**28  # of parameters; large problems are recorded less often
_HEADER = ("steps", "flow time", "loss", "F of SGD", "F of the flow", "sv2/sv1 of Z", "of the flow")
ROWS = 14


@dataclass(frozen=True)
class Settings:
    """How to simulate: the options of `label_noise_sgd`; a step size of None is "auto"."""

    step_size: float | None = None
    noise: str = "rademacher"
    noise_std: float = 1.0
    steps: int = 200_000
    runs: int = 2
    batch_size: int | str = 1
    sampling: str = "replacement"
    momentum: float = 0.0
    schedule: str = "constant"
    checkpoint: Path | None = None
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True, eq=False)
class Compared:
    """A run next to the flow at the recorded steps, (k,) or (k, n_runs): the iterates are pulled back to M by the
    noiseless gradient flow, NaN where that does not reach M.
    """

    run: SGDRun
    times: Array
    sharpness: Array
    ratio: Array
    flow_sharpness: Array
    flow_ratio: Array


def sgd(
    case: Case, settings: Settings, out: Path | None, command: str = "",
    progress: Callable[[Any], Any] | None = None,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """Table and numbers; with a folder also `sgd.npz`, `sgd.svg` and a page, `sgd.html`.

    `sgd.npz` holds theta, loss and steps at the end, and at steps in equal ratios the record: recorded_steps, flow_time
    (of the sharpness flow), recorded_loss, sharpness and singular_values of the iterates themselves, which scatter
    about M; pulled_back_sharpness of where the noiseless gradient flow takes them, and flow_sharpness at those times.

    >>> import manifoldflow as mf
    >>> case = Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4)
    >>> sgd(case, Settings(steps=1000, runs=1), None)[1]["steps"]
    1000
    """
    evidence = Evidence(case)
    stable = stable_step_size(evidence.manifold, evidence.start, settings.batch_size, settings.momentum)
    found = _compare(evidence, _simulate(evidence, settings, progress))
    numbers = _numbers(evidence, settings, found, stable)
    facts = [(name, _cell(value)) for name, value in numbers.items()]
    lines = [f"{case.name}: {found.run.message}", "", *align(facts, set()), ""]
    lines += align(_table(evidence, found), set(range(len(_HEADER))))
    if out is not None:
        lines += ["", *(f"wrote {path}" for path in _write(evidence, found, facts, out, command))]
    return "\n".join(lines), numbers


def _cell(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _simulate(evidence: Evidence, settings: Settings, progress: Callable[[Any], Any] | None) -> SGDRun:
    case, size = evidence.case, 8 * settings.runs * int(np.prod(evidence.manifold.shape))
    return mf.label_noise_sgd(
        evidence.manifold.network,
        case.data.X,
        case.data.y,
        evidence.start,
        step_size=settings.step_size or "auto",
        noise=mf.LabelNoise(settings.noise, std=settings.noise_std),
        n_steps=settings.steps,
        batch_size=settings.batch_size,
        n_runs=settings.runs,
        rng=case.seed,
        record_at=log_spaced_steps(settings.steps, int(np.clip(_RECORD_BYTES // size, 2, RECORDS))),
        record=("theta", "loss", "sharpness", "singular_values"),
        sampling=settings.sampling,
        momentum=settings.momentum,
        schedule=settings.schedule,
        callback=progress,
        checkpoint=settings.checkpoint,
        checkpoint_seconds=settings.checkpoint_seconds,
    )


def _compare(evidence: Evidence, run: SGDRun) -> Compared:
    """The recorded iterates next to the flow at the clock of the scheme; an interrupted run ends with its last."""
    manifold, flow = evidence.manifold, evidence.flow
    times, thetas = run.clock * run.flow_times, run.recorded
    if not run.steps.size or run.steps[-1] != run.n_steps:
        times, thetas = np.append(times, run.sharpness_flow_time), np.concatenate([thetas, run.theta[None]])
    limits = [[_limit(manifold, theta) for theta in row] for row in thetas]
    along = flow.sol(np.minimum(times, flow.t[-1]))
    return Compared(
        run, times,
        np.array([[_sharpness(manifold, point) for point in row] for row in limits]),
        np.array([[_ratio(manifold, point) for point in row] for row in limits]),
        np.array([manifold.sharpness(point) for point in along]),
        np.array([_ratio(manifold, point) for point in along]),
    )  # fmt: skip


def _limit(manifold: mf.ZeroLossManifold, theta: Array) -> Array | None:
    try:
        return mf.gradient_flow_limit(manifold, theta)
    except GeometryError:
        return None  # too far from M


def _sharpness(manifold: mf.ZeroLossManifold, point: Array | None) -> float:
    return float("nan") if point is None else manifold.sharpness(point)


def _ratio(manifold: mf.ZeroLossManifold, point: Array | None) -> float:
    """Second singular value of Z over the first: 0 at rank one."""
    if point is None:
        return float("nan")
    if manifold.coordinates.rank == 0:
        return float("nan")  # units that meet no weights have no features
    values = np.linalg.svd(manifold.preactivations(point), compute_uv=False)
    return float(values[1] / values[0]) if values.size > 1 else 0.0


def _numbers(evidence: Evidence, settings: Settings, found: Compared, stable: float) -> dict[str, Any]:
    """The scheme, and the end: sharpness of SGD pulled back to M (mean over runs), and of the flow at the same time."""
    run, flow = found.run, evidence.flow
    features = {"sv2/sv1 of SGD": float(found.ratio[-1].mean()), "sv2/sv1 of the flow": float(found.flow_ratio[-1])}
    return {
        "case": evidence.case.name,
        "status": run.status,
        "batch_size": settings.batch_size,
        "sampling": settings.sampling,
        "noise": settings.noise,
        "noise_std": settings.noise_std,
        "momentum": settings.momentum,
        "schedule": settings.schedule,
        "step_size": run.step_size,
        "stable_step_size_at_start": stable,
        "stable_step_size_at_end": run.stable_step_size,
        "steps": run.n_steps,
        "runs": settings.runs,
        "flow_time": run.sharpness_flow_time,
        "loss": float(run.loss.mean()),
        "sharpness at the start": float(flow.sharpness[0]),
        "sharpness of SGD": float(found.sharpness[-1].mean()),
        "sharpness of the flow": float(found.flow_sharpness[-1]),
        "smallest sharpness of the flow": float(flow.sharpness[-1]),
        **(features if evidence.has_features else {}),
    }


def _table(evidence: Evidence, found: Compared) -> list[tuple[str, ...]]:
    """The header and the rows, without the columns about features where there are none."""
    shown = len(_HEADER) if evidence.has_features else len(_HEADER) - 2
    return [row[:shown] for row in (_HEADER, *_rows(found))]


def _rows(found: Compared) -> list[tuple[str, ...]]:
    """Means over the runs at some of the recorded steps."""
    run, rows = found.run, []
    for k in np.unique(np.linspace(0, run.steps.size - 1, min(ROWS, run.steps.size)).round().astype(int)):
        cells = (found.times[k], run.history["loss"][k].mean(), found.sharpness[k].mean(), found.flow_sharpness[k],
                 found.ratio[k].mean(), found.flow_ratio[k])  # fmt: skip
        rows.append((f"{run.steps[k]:,}", *(number(float(cell)) for cell in cells)))
    return rows


def _write(evidence: Evidence, found: Compared, facts: list[tuple[str, str]], out: Path, command: str) -> list[Path]:
    from verification.report.svg import standalone

    run, recorded = found.run, found.run.steps.size
    numbers = write_arrays(
        out / "sgd.npz",
        theta=run.theta,
        loss=run.loss,
        steps=run.n_steps,
        recorded_steps=run.steps,
        flow_time=found.times[:recorded],
        recorded_loss=run.history["loss"],
        sharpness=run.history["sharpness"],
        singular_values=run.history["singular_values"],
        pulled_back_sharpness=found.sharpness[:recorded],
        flow_sharpness=found.flow_sharpness[:recorded],
    )
    plots = _plots(evidence, found)
    page = write_text(out / "sgd.html", _page(evidence, found, facts, plots, command))
    return [numbers, write_text(out / "sgd.svg", standalone(plots[0][1])), page]


def _plots(evidence: Evidence, found: Compared) -> list[tuple[str, str]]:
    """Sharpness, and how far from rank one the features are, against flow time; each a caption and an SVG."""
    import matplotlib as mpl

    from verification.report.svg import SETTINGS, figure_svg

    with mpl.rc_context(SETTINGS):
        made = [_plot(found, found.sharpness, found.flow_sharpness, "sharpness F", "Label-noise SGD and the flow")]
        if evidence.has_features:
            made.append(_plot(found, found.ratio, found.flow_ratio, "sv2 / sv1 of Z", "Features"))
    captions = ("Sharpness of the iterates pulled back to M (a line a run), and of the flow.",
                "Second singular value of the features Z over the first: 0 at rank one.")  # fmt: skip
    return [(caption, figure_svg(figure, f"sgd-{k}", f"{evidence.case.name}: {caption}"))
            for k, (caption, figure) in enumerate(zip(captions, made, strict=False))]  # fmt: skip


def _plot(found: Compared, values: Array, flow: Array, ylabel: str, title: str) -> Any:
    from verification.report.axes import BLUE, ORANGE, logarithmic, new_axes

    figure, axes = new_axes("flow time t", ylabel, title)
    axes.plot(found.times, values, color=BLUE, alpha=0.6, linewidth=1.2)
    axes.lines[0].set_label("SGD, pulled back to M")
    axes.plot(found.times, flow, "--", color=ORANGE, label="flow")
    if found.times[-1] > 0.0:
        logarithmic(axes, "x")
    shown = np.append(values[np.isfinite(values)], flow)
    if 0.0 < 10.0 * shown.min() < shown.max():
        logarithmic(axes, "y")
    axes.legend(fontsize=7.5)
    return figure


def _page(
    evidence: Evidence, found: Compared, facts: list[tuple[str, str]], plots: list[tuple[str, str]], command: str
) -> str:
    from verification.report import document

    header, *rows = _table(evidence, found)
    used = ", ".join(f"{name} {text}" for name, text in versions().items())
    pairs = "".join(f"<dt>{document.escape(name)}</dt><dd>{document.escape(text)}</dd>" for name, text in facts)
    lead = document.escape(f"{evidence.case.name}: {found.run.message}")
    note = document.escape(
        "F and Z of SGD are taken where the noiseless gradient flow takes the iterate; means over the runs. "
        f"The flow is read at the clock of the scheme. Seed {evidence.case.seed}. {used}."
    )
    return document.document("manifoldflow: label-noise SGD", [
        document.header("Label-noise SGD and the flow", command, lead),
        f'<section><dl class="facts">{pairs}</dl>{document.plots(plots)}</section>',
        f"<section><h2>Along the run</h2>{document.table(header, rows)}</section>",
        f"<footer><p>{note}</p></footer>",
    ])  # fmt: skip
