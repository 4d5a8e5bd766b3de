"""`manifoldflow flow`: follow the flow to stationarity, print it, keep it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manifoldflow.errors import InputError
from verification import facts
from verification.evidence import MAX_FLOW_STEPS, RTOL, Evidence, FlowOptions
from verification.files import write_arrays, write_text
from verification.points import Array
from verification.records import Case, CaseReport
from verification.tables import align, number

ROWS = 14
METHOD = "implicit"
MAX_EXPLICIT_STEPS = 1_000_000  # they are many and cheap
_HEADER = ("t", "sharpness", "|grad F|", "max |f - y|", "sv2/sv1 of Z")


@dataclass(frozen=True)
class Settings:
    """How to integrate: options of `sharpness_flow`; as they are, the flow is that of `verify`."""

    t_end: float | None = None
    rtol: float = RTOL
    method: str = METHOD
    checkpoint: Path | None = None
    checkpoint_seconds: float = 60.0

    def options(self, progress: Callable[[Any], Any] | None) -> FlowOptions:
        """For `Evidence`; after Ctrl-C there is the part that was integrated."""
        if self.method == "explicit" and self.t_end is None:
            raise InputError(
                "--method explicit takes steps that stability bounds, and never reaches the stationary point to "
                "rounding: give --t-end, or use --method implicit or auto."
            )
        return FlowOptions(
            t_end=np.inf if self.t_end is None else self.t_end, rtol=self.rtol, method=self.method,
            max_steps=MAX_FLOW_STEPS if self.method == METHOD else MAX_EXPLICIT_STEPS, checkpoint=self.checkpoint,
            checkpoint_seconds=self.checkpoint_seconds, callback=progress, keeps_part=True,
        )  # fmt: skip


def flow(
    case: Case, out: Path | None, settings: Settings | None = None, progress: Callable[[Any], Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """Table and numbers; with a folder also `flow.npz` (t, theta, sharpness, gradient_norm, residual)
    and plots.

    >>> import manifoldflow as mf
    >>> print(flow(Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4), None)[1]["status"])
    stationary
    """
    evidence = Evidence(case, (settings or Settings()).options(progress))
    solution = evidence.flow
    numbers = {"case": case.name, **facts.facts(evidence)["flow"], "message": solution.message}
    header = _HEADER if evidence.has_features else _HEADER[:-1]
    lines = [f"{case.name}: {solution.message}", "", *align([header, *_rows(evidence)], set(range(len(header))))]
    failing = evidence.constants.failing if evidence.is_plain else ()
    if failing:
        lines += ["", f"Not met here: {', '.join(failing)}. `manifoldflow inspect` says what does not apply."]
    if out is not None:
        lines += ["", *(f"wrote {path}" for path in _write(evidence, out))]
    return "\n".join(lines), numbers


def _rows(evidence: Evidence) -> list[tuple[str, ...]]:
    solution = evidence.flow
    rows = []
    for k in np.unique(np.linspace(0, solution.t.size - 1, ROWS).round().astype(int)):
        cells = [solution.t[k], solution.sharpness[k], solution.gradient_norm[k], solution.residual[k]]
        cells += [_ratio(evidence.features[k])] if evidence.has_features else []
        rows.append(tuple(number(float(cell)) for cell in cells))
    return rows


def _ratio(Z: Array) -> float:
    values = np.linalg.svd(Z, compute_uv=False)
    return float(values[1] / values[0]) if values.size > 1 else 0.0


def _write(evidence: Evidence, out: Path) -> list[Path]:
    from verification.report.figures import figures
    from verification.report.svg import standalone

    solution = evidence.flow
    numbers = write_arrays(
        out / "flow.npz",
        t=solution.t,
        theta=solution.theta,
        sharpness=solution.sharpness,
        gradient_norm=solution.gradient_norm,
        residual=solution.residual,
    )
    report = CaseReport(evidence.case.name, facts.facts(evidence), (), facts.series(evidence, ("minimum",)))
    names = ("sharpness.svg", "singular_values.svg")
    plots = zip(names, figures(report, "flow"), strict=False)  # what does not move or exist has no plot
    return [numbers] + [write_text(out / name, standalone(svg)) for name, (_, svg) in plots]
