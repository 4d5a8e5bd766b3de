"""Verdicts as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from .records import CaseReport, Status, Verdict
from .results import VerificationReport

_HEADER = (
    "",
    "statement",
    "verdict",
    "measured",
    "",
    "bound",
    "margin",
    "n",
    "tolerance",
    "measured quantity",
)
_RIGHT = {3, 5, 6, 7, 8}
_NEEDED = 6  # columns that stay however narrow the terminal is: up to the bound


def number(value: float) -> str:
    """Four significant digits.

    >>> number(0.000123456), number(float("nan"))
    ('0.0001235', '-')
    """
    return "-" if value != value else f"{value:.4g}"


def positive(value: float) -> str:
    """A constant that must be positive to mean anything.

    >>> positive(2.0), positive(-1e13)
    ('2', 'none')
    """
    return number(value) if value > 0.0 else "none"


def report_table(report: VerificationReport, width: int | None = None) -> str:
    """A table for each case, with a line on each verdict that is not `holds`, and a summary; see `case_table`."""
    parts = [case_table(case, width) for case in report.cases]
    parts.append(f"{len(report.verdicts)} verdicts: {summary(report)}.")
    return "\n\n".join(parts)


def summary(report: VerificationReport) -> str:
    """How many verdicts there are of each kind."""
    return ", ".join(counted(status, report.count(status)) for status in _WORDS if report.count(status)) or "none"


def counted(status: Status, count: int) -> str:
    """How many verdicts there are of one kind.

    >>> counted("holds", 1), counted("does not apply", 3)
    ('1 holds', '3 do not apply')
    """
    return f"{count} {_WORDS[status][count > 1]}"


_WORDS: dict[Status, tuple[str, str]] = {
    "holds": ("holds", "hold"),
    "fails": ("fails", "fail"),
    "does not apply": ("does not apply", "do not apply"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
}


def case_table(case: CaseReport, width: int | None = None) -> str:
    """The table of one case. Within `width` letters it leaves out columns from the right, and breaks what follows."""
    f = case.facts
    title = f"{case.name}: n = {f['samples']}, d = {f['columns']}, m = {f['width']}, seed {f['seed']}"
    rows = _fitted([_HEADER, *(_row(verdict) for verdict in case.verdicts)], width)
    remarks = [_remark(verdict) for verdict in case.verdicts if verdict.status != "holds" or verdict.unproved]
    remarks += _certificates(case)
    if width is not None:
        remarks = [fill(line, max(width, 40), subsequent_indent="    ") for line in remarks]
    return "\n".join([title, constants(f), *rows, *remarks])


def _fitted(rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Aligned rows, with as many of the last columns as there is room for."""
    lines: list[str] = []
    for kept in range(len(_HEADER), _NEEDED - 1, -1):
        lines = align([row[:kept] for row in rows], _RIGHT)
        if width is None or max(map(len, lines)) <= width:
            break
    left_out = ", ".join(_HEADER[kept:])
    return [*lines, f"     (a wider terminal also shows: {left_out})"] if left_out else lines


def constants(facts: dict[str, Any]) -> str:
    """The constants of a case; units with parameters of their own have none but those of the data."""
    data = f"mu = {number(facts['mu'])}, s_min = {number(facts['s_min'])}"
    if "interval" not in facts:
        return data
    low, high = facts["interval"]
    place = f"z in [{low:.4g}, {high:.4g}]"
    slopes = f"rho1 = {number(facts['rho1'])}, rho2 = {number(facts['rho2'])}, beta = {positive(facts['beta'])}"
    return f"{data}, {place}: {slopes}"


def _certificates(case: CaseReport) -> list[str]:
    """What is proved of the case, and what is not."""
    return [f"  certificate, {found.line}" for found in case.certificates]


def _row(verdict: Verdict) -> tuple[str, ...]:
    check = verdict.decisive
    if check is None:
        return (verdict.statement, verdict.title, verdict.status, "-", "", "-", "-", "-", "-", "")
    return (
        verdict.statement,
        verdict.title,
        verdict.status,
        number(check.measured),
        check.relation,
        number(check.bound),
        number(check.margin),
        str(check.sample_size),
        number(check.tolerance),
        check.quantity,
    )


def _remark(verdict: Verdict) -> str:
    return f"  {verdict.statement} {verdict.status}: {verdict.reason}"


def align(rows: Sequence[Sequence[str]], right: set[int]) -> list[str]:
    """Rows with columns of equal width.

    >>> align([("a", "1"), ("bb", "22")], {1})
    ['a    1', 'bb  22']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(w) if k in right else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
