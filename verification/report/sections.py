"""The section of one statement: what it says, its source, what the test cannot see, plots, and each case's evidence."""

from __future__ import annotations

from html import escape as _escape

from verification.records import CaseReport, Check, Hypothesis, Statement, Status, Verdict
from verification.tables import counted, number

from .document import escape, plots

_SYMBOLS: dict[Status, str] = {"holds": "&#10003;", "fails": "&#10007;", "does not apply": "&ndash;", "inconclusive": "?"}
_COLUMNS = ("quantity", "measured", "bound", "margin", "tried", "tolerance and its reason")


def badge(status: Status) -> str:
    """A verdict as a sign and a word."""
    kind = status.replace(" ", "-")
    return f'<span class="badge {kind}">{_SYMBOLS[status]} <span class="word">{status}</span></span>'


def tally(status: Status, count: int) -> str:
    """How many verdicts there are of one kind.

    >>> tally("holds", 3)
    '<span class="badge holds">&#10003; 3 hold</span>'
    """
    return f'<span class="badge {status.replace(" ", "-")}">{_SYMBOLS[status]} {counted(status, count)}</span>'


def section(statement: Statement, formula: str, cases: tuple[CaseReport, ...]) -> str:
    """Formula, source and blind spot, the plots, which are drawn, then an article for each case."""
    found = [
        _article(case, verdict, f"case-{k}-{statement.id}")
        for k, case in enumerate(cases)
        for verdict in case.verdicts
        if verdict.statement == statement.id
    ]
    made = [
        (f"{case.name}. {caption}", svg)
        for case in cases
        for caption, svg in (case.plots or {}).get(statement.id, ())
    ]
    return (
        f'<section id="{statement.id}"><h2>{statement.id}: {escape(statement.title)}</h2>'
        f'<div class="formula">{formula}</div>'
        f"<p>Source: {escape(statement.source)}.</p><p><b>What this does not show.</b> {escape(statement.blind_spot)}</p>"
        f"{plots(made) if made else ''}{''.join(found)}</section>"
    )


def _article(case: CaseReport, verdict: Verdict, anchor: str) -> str:
    where = f"<p>Tested on a problem made from the case: {escape(verdict.problem)}.</p>" if verdict.problem else ""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in verdict.notes)
    return (
        f'<article id="{anchor}"><h3>{_escape(case.name)} {badge(verdict.status)}</h3><p>{escape(verdict.reason)}</p>'
        f"{where}{_checks(verdict)}{_hypotheses(verdict.hypotheses)}{_proofs(verdict)}{notes}</article>"
    )


def _hypotheses(found: tuple[Hypothesis, ...]) -> str:
    items = "".join(f"<li>{escape(hypothesis.text)}</li>" for hypothesis in found)
    return f"<p><b>Needs</b></p><ul>{items}</ul>" if items else ""


def _proofs(verdict: Verdict) -> str:
    items = "".join(f"<li>{escape(found.line)}</li>" for found in verdict.certificates)
    return f"<p><b>Certificates</b></p><ul>{items}</ul>" if items else ""


def _checks(verdict: Verdict) -> str:
    if not verdict.checks:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    rows = "".join(f"<tr>{_check_cells(check)}</tr>" for check in verdict.checks)
    return f'<div class="wide"><table class="checks"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _check_cells(check: Check) -> str:
    relation = {"<=": "&le;", ">=": "&ge;", "==": "="}[check.relation]
    spread = f" &plusmn; {number(check.uncertainty)}" if check.uncertainty else ""
    kind = check.status.replace(" ", "-")
    cells = (
        escape(check.quantity),
        f"{_SYMBOLS[check.status]} {number(check.measured)}{spread}",
        f"{relation} {number(check.bound)}",
        number(check.margin),
        str(check.sample_size),
        f"{number(check.tolerance)}: {escape(check.tolerance_reason)}",
    )
    classes = [f' class="{kind}"' if name == "measured" else "" for name in _COLUMNS]
    return "".join(
        f'<td{extra} data-label="{name}">{cell}</td>'
        for name, extra, cell in zip(_COLUMNS, classes, cells, strict=True)
    )
