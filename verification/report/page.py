"""The HTML page: a summary, then a section for each case with its verdicts and plots."""

from __future__ import annotations

from html import escape as _escape

from verification.records import CaseReport, Check, Verdict
from verification.results import VerificationReport, versions
from verification.statements import STATEMENTS
from verification.tables import number, positive, summary

from .document import document, escape, header, plots
from .figures import figures
from .svg import formula_svg

_SYMBOLS = {"holds": "&#10003;", "fails": "&#10007;", "does not apply": "&ndash;", "inconclusive": "?"}


def page(report: VerificationReport, command: str = "") -> str:
    """The whole page; it loads nothing from elsewhere."""
    body = [_head(report, command), _summary(report), _statements()]
    body += [_case(case, k) for k, case in enumerate(report.cases)]
    body.append(_foot(command))
    return document("manifoldflow: verification", body)


def _head(report: VerificationReport, command: str) -> str:
    counts = summary(report)
    stopped = " The run was interrupted; what follows was finished before." if report.interrupted else ""
    lead = f"{len(report.verdicts)} verdicts on {len(report.cases)} cases: {counts}.{stopped}"
    return header("Verification of sharpness minimisation", command, lead)


def _summary(report: VerificationReport) -> str:
    """Statements down, cases across."""
    names = list(dict.fromkeys(verdict.statement for verdict in report.verdicts))
    head = "".join(f'<th scope="col"><a href="#case-{k}">{_escape(case.name)}</a></th>' for k, case in enumerate(report.cases))
    rows = "".join(f"<tr>{_summary_row(report, name)}</tr>" for name in names)
    return (
        '<section><h2>At a glance</h2><div class="wide"><table class="summary"><thead><tr><th scope="col">statement</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _summary_row(report: VerificationReport, name: str) -> str:
    title = next(statement.title for statement in STATEMENTS if statement.id == name)
    cells = [f'<th scope="row"><a href="#{name}">{name}</a> {escape(title)}</th>']
    for k, case in enumerate(report.cases):
        found = [verdict for verdict in case.verdicts if verdict.statement == name]
        cells.append(f'<td><a href="#case-{k}-{name}">{_badge(found[0])}</a></td>' if found else "<td></td>")
    return "".join(cells)


def _badge(verdict: Verdict) -> str:
    kind = verdict.status.replace(" ", "-")
    return f'<span class="badge {kind}">{_SYMBOLS[verdict.status]} {verdict.status}</span>'


def _statements() -> str:
    items = "".join(
        f'<dt id="{statement.id}">{statement.id}: {escape(statement.title)}</dt>'
        f'<dd><div class="formula">{formula_svg(statement.formula, f"f{statement.id}")}</div>'
        f"<p>Source: {escape(statement.source)}. <b>Cannot see:</b> {escape(statement.blind_spot)}</p></dd>"
        for statement in STATEMENTS
    )
    return f"<section><h2>The statements</h2><dl>{items}</dl></section>"


def _case(case: CaseReport, k: int) -> str:
    verdicts = "".join(_verdict(verdict, f"case-{k}-{verdict.statement}") for verdict in case.verdicts)
    return (
        f'<section id="case-{k}"><h2>{_escape(case.name)}</h2>{_facts(case)}{plots(figures(case, f"c{k}"))}'
        f"{verdicts}</section>"
    )


def _facts(case: CaseReport) -> str:
    facts = case.facts
    low, high = facts["interval"]
    flow = facts["flow"]
    pairs = (
        ("data", f"{facts['source']}; n = {facts['samples']}, d = {facts['columns']}"),
        ("network", f"{facts['width']} units of {facts['activation']}, output weights 1"),
        ("seed", str(facts["seed"])),
        ("Gram matrix", f"mu = {number(facts['mu'])}, s_min = {number(facts['s_min'])}"),
        ("range of z", f"[{low:.4g}, {high:.4g}]{'' if facts['confined'] else ', at the start only: nothing confines it'}"),
        ("constants there", (f"rho1 = {number(facts['rho1'])}, rho2 = {number(facts['rho2'])}, beta = {positive(facts['beta'])}, "
         f"inf phi'''/phi' = {number(facts['inf_ratio'])}")),
        ("region, kappa = 2", f"r = {positive(facts['radius_kappa_2'])}, c = {positive(facts['convexity_kappa_2'])}"),
        ("flow", (f"{flow['status']} at t = {flow['end_time']:.4g} after {flow['steps']} steps; F from "
         f"{flow['sharpness_start']:.6g} to {flow['sharpness_end']:.10g}, |grad F| = {flow['gradient_norm_end']:.2g}")),
    )
    return f'<dl class="facts">{"".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)}</dl>'


def _verdict(verdict: Verdict, anchor: str) -> str:
    met = "; ".join(f"{h.name} {'met' if h.met else 'NOT met'} ({h.detail})" for h in verdict.hypotheses)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in verdict.notes)
    return (
        f'<article id="{anchor}"><h3>{verdict.statement}: {escape(verdict.title)} {_badge(verdict)}</h3>'
        f"<p>{escape(verdict.reason)}</p>{_checks(verdict)}<p><b>Needs:</b> {escape(met)}</p>{notes}</article>"
    )


def _checks(verdict: Verdict) -> str:
    if not verdict.checks:
        return ""
    head = "".join(f'<th scope="col">{name}</th>' for name in ("quantity", "measured", "bound", "margin", "tried", "tolerance"))
    rows = "".join(f"<tr>{_check_cells(check)}</tr>" for check in verdict.checks)
    return f'<div class="wide"><table class="checks"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _check_cells(check: Check) -> str:
    relation = {"<=": "&le;", ">=": "&ge;", "==": "="}[check.relation]
    spread = f" &plusmn; {number(check.uncertainty)}" if check.uncertainty else ""
    cells = (
        escape(check.quantity),
        f"{number(check.measured)}{spread}",
        f"{relation} {number(check.bound)}",
        number(check.margin),
        str(check.sample_size),
        f"{number(check.tolerance)}: {escape(check.tolerance_reason)}",
    )
    kind = check.status.replace(" ", "-")
    return "".join(f'<td class="{kind}">{cell}</td>' if k == 1 else f"<td>{cell}</td>" for k, cell in enumerate(cells))


def _foot(command: str) -> str:
    del command
    text = ", ".join(f"{name} {value}" for name, value in versions().items())
    return (
        "<footer><p>A margin is the distance to failing, relative to the bound; a negative one is a failure. "
        "<i>holds</i> is evidence at the points tried, not a proof. All numbers are in "
        f"<code>verification.json</code>. {escape(text)}.</p></footer>"
    )
