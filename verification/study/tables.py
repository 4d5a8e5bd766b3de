"""The results as tables of text, which become Markdown, CSV, HTML and what the terminal shows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from verification.tables import align, number

from .clock import ClockRow
from .comparison import Comparison
from .endpoints import EndRun
from .large_steps import LargeRow, ProductRow
from .order import OrderResult
from .run import Study


@dataclass(frozen=True)
class Table:
    """A table with a file name, a title and what is to be known to read it."""

    name: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str

    def markdown(self) -> str:
        r"""For a page.

        >>> print(Table("t", "T", ("a",), (("|x|",), ("a*b*c",), ("`a*b*c`",)), "n").markdown())
        | a |
        |---|
        | \|x\| |
        | a\*b\*c |
        | `a*b*c` |
        """
        lines = [self.header, *self.rows]
        kept = [[_plain(cell).replace("± ", "±\u00a0").replace(" ±", "\u00a0±") for cell in line] for line in lines]
        shown = ["| " + " | ".join(line) + " |" for line in kept]
        return "\n".join([shown[0], "|" + "---|" * len(self.header), *shown[1:]])

    def csv(self) -> str:
        """For a spreadsheet."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.header, *self.rows])
        return stream.getvalue()

    def text(self) -> str:
        """For a terminal."""
        lines = align([self.header, *self.rows], set(range(1, len(self.header) - 1)))
        return "\n".join([self.title, *lines, self.note])


def _plain(cell: str) -> str:
    """A cell whose signs are no mark-up: a * between two others would set a formula in italics, except within code."""
    return re.sub(r"[|]" if cell.startswith("`") else r"[|*]", r"\\\g<0>", cell)


def tables(study: Study) -> list[Table]:
    """All tables that the study has results for."""
    made = [order_table(study.order)] if study.order else []
    made += [clock_table(name, rows) for name, rows in study.clock.items()]
    made += [large_table(name, rows) for name, rows in study.large.items()]
    made += [product_table(study.product)] if study.product else []
    made += [end_table(study.ends)] if study.ends else []
    return made


def order_table(found: Iterable[OrderResult]) -> Table:
    """Errors, and orders."""
    rows = []
    for result in found:
        errors = result.errors
        low, high = errors.order_interval
        for k, eta in enumerate(errors.step_sizes):
            last = k == errors.step_sizes.size - 1
            rows.append((
                result.case if k == 0 else "", number(float(eta)), f"{errors.steps[k]:,}",
                number(float(errors.bias[k])), number(float(result.corrected[k])), number(float(errors.scatter[k])),
                f"{errors.order:.3f} [{low:.3f}, {high:.3f}]" if last else "",
                f"{result.predicted:.3f}" if last else "", result.status if last else "",
            ))  # fmt: skip
    header = ("case", "step size", "steps", "error of the mean", "by S14", "scatter of a run", "order, 95 %",
              "by S14", "verdict")  # fmt: skip
    return Table("order", "Error against step size", header, tuple(rows), "Distance from the flow in parameter space.")


def _measured(comparison: Comparison) -> tuple[str, ...]:
    """Value with its 95 % interval, the half-width of the verdict's, and the verdict."""
    half = comparison.estimate.half_width()
    digits = int(np.clip(np.ceil(-np.log10(max(half, 1e-9))) + 1.0, 2, 6))
    own = f"{comparison.estimate.value:.{digits}f} ± {half:.{digits}f}"
    return own, f"± {comparison.half_width:.{digits}f}", comparison.status


def clock_table(case: str, found: tuple[ClockRow, ...]) -> Table:
    """Speeds at step size 0."""
    rows = []
    for row in found:
        own, family, status = _measured(row.comparison)
        first = f"{row.speeds[0].value:.4f} ± {row.speeds[0].half_width():.4f}"
        rows.append((row.scheme.name, first, _or_dash(row.corrected[0], 4), own, family, "1", status))
    header = ("scheme", f"speed at {found[0].fraction:g} of the stable step", "by S14",
              "at step size 0, 95 %", "all, 99.9 %", "predicted", "verdict")  # fmt: skip
    largest = max((abs(row.remainder) for row in found if row.remainder == row.remainder), default=float("nan"))
    note = (f"Speed along the flow over that which the clock states. The extrapolation turns the speeds of S14 "
            f"into 1 up to {largest:.1g}; {found[0].comparison.runs} runs a row.")  # fmt: skip
    return Table("clock", f"The constant of the clock: {case}", header, tuple(rows), note)


def large_table(case: str, found: tuple[LargeRow, ...]) -> Table:
    """Speeds at steps that are not small."""
    rows = []
    for row in found:
        own, family, status = _measured(row.comparison)
        rows.append((row.scheme, f"{row.fraction:g}", own, family, f"{row.comparison.predicted:.4f}",
                     f"{row.missed:.0f}", status))  # fmt: skip
    header = ("scheme", "share of the stable step", "speed, 95 %", "all, 99.9 %", "by S14", "sd from 1", "verdict")
    note = f"Leading order says 1; {found[0].comparison.runs} runs a row."
    return Table("large", f"Steps that are not small: {case}", header, tuple(rows), note)


def product_table(found: tuple[ProductRow, ...]) -> Table:
    """f = u v."""
    rows = []
    for row in found:
        own, family, status = _measured(row.comparison)
        rows.append((f"{row.step_size:g}", f"{row.noise_std:g}", f"{row.steps:,}", own, family,
                     f"{row.comparison.predicted:.4f}", f"{row.leading:.4f}", status))  # fmt: skip
    header = ("step size", "noise", "steps", "fall, 95 %", "all, 99.9 %", "by S14", "leading order", "verdict")
    note = (f"How far log(u^2 - v^2) falls on f = u v = 1 from (2, 1/2); {found[0].comparison.runs} runs a row. "
            "The loss has no 1/2: a step size is half of that in the literature.")  # fmt: skip
    return Table("product", "The product of two parameters", header, tuple(rows), note)


def end_table(found: tuple[EndRun, ...]) -> Table:
    """Where the runs end."""
    header = ("run", "point", "time", "1st", "2nd", "3rd singular value of Z", "F", "F at rank one", "verdict")
    notes = "; ".join(dict.fromkeys(run.choices for run in found))
    return Table("ends", "Where long runs end", header, tuple(row for run in found for row in _end_rows(run)), notes)


def _end_rows(run: EndRun) -> list[tuple[str, ...]]:
    verdict = "; ".join(sorted({check.status for check in run.checks}))
    nothing = float("nan")
    points = (
        (run.name, "start", run.flow[0], run.flow_sharpness[0], f"{run.rank_one_sharpness:.4f}", ""),
        ("", "flow", run.flow[-1], run.flow_sharpness[-1], "", ""),
        ("", "SGD, pulled back", run.pulled_back[-1], run.sharpness[-1], "", verdict),
        ("", "SGD, the iterate", run.iterates[-1], nothing, "", ""),
    )
    return [(name, point, "0" if name else f"{run.times[-1]:.3g}", *(f"{value:.3g}" for value in values),
             _or_dash(float(F), 4), rank_one, status)
            for name, point, values, F, rank_one, status in points]  # fmt: skip


def _or_dash(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if value == value else "-"
