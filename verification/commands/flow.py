"""`manifoldflow flow`: follow the flow to stationarity, print it, keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from verification import facts
from verification.evidence import Evidence
from verification.files import write_arrays, write_text
from verification.records import Case, CaseReport
from verification.tables import align, number

ROWS = 14
_HEADER = ("t", "sharpness", "|grad F|", "max |f - y|", "sv2/sv1 of Z")


def flow(case: Case, out: Path | None) -> tuple[str, dict[str, Any]]:
    """Table and numbers; with a folder also `flow.npz` (t, theta, sharpness, gradient_norm, residual)
    and plots.

    >>> import manifoldflow as mf
    >>> print(flow(Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4), None)[1]["status"])
    stationary
    """
    evidence = Evidence(case)
    solution = evidence.flow
    numbers = {"case": case.name, **facts.facts(evidence)["flow"], "message": solution.message}
    lines = [f"{case.name}: {solution.message}", "", *align([_HEADER, *_rows(evidence)], set(range(5)))]
    failing = evidence.constants.failing
    if failing:
        lines += ["", f"{', '.join(failing)} fail here: see `manifoldflow inspect` for what does not apply."]
    if out is not None:
        lines += ["", *(f"wrote {path}" for path in _write(evidence, out))]
    return "\n".join(lines), numbers


def _rows(evidence: Evidence) -> list[tuple[str, ...]]:
    solution = evidence.flow
    rows = []
    for k in np.unique(np.linspace(0, solution.t.size - 1, ROWS).round().astype(int)):
        values = np.linalg.svd(evidence.features[k], compute_uv=False)
        ratio = float(values[1] / values[0]) if values.size > 1 else 0.0
        cells = (solution.t[k], solution.sharpness[k], solution.gradient_norm[k], solution.residual[k], ratio)
        rows.append(tuple(number(float(cell)) for cell in cells))
    return rows


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
    plots = zip(names, figures(report, "flow"), strict=True)
    return [numbers] + [write_text(out / name, standalone(svg)) for name, (_, svg) in plots]
