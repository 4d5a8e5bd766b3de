"""The HTML page: what came out at a glance, the cases, then a section for each statement."""

from __future__ import annotations

from html import escape as _escape

from verification.records import STATUSES, CaseReport, Status, Verdict
from verification.results import VerificationReport, versions
from verification.statements import STATEMENTS
from verification.tables import number, positive

from .document import document, escape, header, plural, table
from .drawings import drawn
from .glyphs import with_shared_glyphs
from .links import linked
from .sections import badge, section, tally


def page(report: VerificationReport, command: str = "") -> str:
    """The whole page; it loads nothing from elsewhere."""
    report = drawn(report)
    formulas = report.formulas or {}
    body = [_head(report, command), _glance(report)]
    body += [section(item, formulas[item.id], report.cases) for item in STATEMENTS if item.id in formulas]
    body += [_cases(report.cases), _foot()]
    return document("manifoldflow: verification", [with_shared_glyphs(linked("\n".join(body), formulas))])


def _head(report: VerificationReport, command: str) -> str:
    counts: list[tuple[Status, int]] = [(status, report.count(status)) for status in STATUSES]
    shown = " ".join(tally(status, count) for status, count in counts if count)
    stopped = " The run was interrupted; what follows was finished before." if report.interrupted else ""
    proved = sum(found.proved for case in report.cases for found in case.certificates)
    proofs = f"{plural(proved, 'certificate')} proved." if proved else "No certificate."
    lead = f"{plural(len(report.verdicts), 'verdict')} on {plural(len(report.cases), 'case')}. {shown} {proofs}{stopped}"
    networks = dict.fromkeys(case.facts["network"] for case in report.cases if "network" in case.facts)
    return header(": ".join(["Verification of sharpness minimisation", *networks]), command, lead)


def _glance(report: VerificationReport) -> str:
    """Statements down, cases across."""
    names = list(dict.fromkeys(verdict.statement for verdict in report.verdicts))
    head = "".join(
        f'<th scope="col"><a href="#case-{k}">{_escape(case.name)}</a></th>' for k, case in enumerate(report.cases)
    )
    rows = "".join(f"<tr>{_glance_row(report, name)}</tr>" for name in names)
    return (
        '<section><h2>At a glance</h2><div class="wide"><table class="summary"><thead><tr><th scope="col">statement</th>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        "<p class=\"note\"><i>holds</i>: every assumption is met, by proof unless the cell says otherwise, and every number "
        "is within its tolerance, which is evidence at the points tried. <i>fails</i>: a number is out of it, which "
        "contradicts the statement only where its assumptions are met. <i>inconclusive</i>: a number was not reached, its "
        "error or tolerance is too large to decide, or it contradicts what rests on an assumption that is not proved. "
        "<i>does not apply</i>: an assumption is not met, or the statement is about other cases.</p></section>"
    )


def _glance_row(report: VerificationReport, name: str) -> str:
    title = next(statement.title for statement in STATEMENTS if statement.id == name)
    cells = [f'<th scope="row"><a href="#{name}">{name}</a> {escape(title)}</th>']
    for k, case in enumerate(report.cases):
        found = [verdict for verdict in case.verdicts if verdict.statement == name]
        cells.append(f"<td>{_glance_cell(found[0], f'case-{k}-{name}')}</td>" if found else "<td></td>")
    return "".join(cells)


def _glance_cell(verdict: Verdict, anchor: str) -> str:
    unproved = ", ".join(verdict.unproved) if verdict.status == "holds" else ""
    said = f" <small>{unproved} not proved</small>" if unproved else ""
    return f'<a href="#{anchor}">{badge(verdict.status)}</a>{said}'


# --- the cases ------------------------------------------------------------------------------------


def _cases(cases: tuple[CaseReport, ...]) -> str:
    return f"<section><h2>The cases</h2>{''.join(_case(case, k) for k, case in enumerate(cases))}</section>"


def _case(case: CaseReport, k: int) -> str:
    proofs = [(found.name, found.verdict, found.text, found.arithmetic) for found in case.certificates]
    shown = table(("certificate", "verdict", "claim", "arithmetic"), proofs) if proofs else ""
    return f'<article id="case-{k}"><h3>{_escape(case.name)}</h3>{_facts(case)}{shown}</article>'


def _facts(case: CaseReport) -> str:
    facts, flow = case.facts, case.facts["flow"]
    low, high = facts["weights"]
    weights = f"{low:.4g}" if low == high else f"in [{low:.4g}, {high:.4g}]"
    pairs = [
        ("data", f"{facts['source']}; n = {facts['samples']}, d = {facts['columns']}"),
        ("network", f"{facts['width']} units {facts['activation']}, fixed coefficients {weights}"),
        ("seed", str(facts["seed"])),
        ("Gram matrix", f"mu = {number(facts['mu'])}, s_min = {number(facts['s_min'])}"),
        *(_constants(case) if "interval" in facts else []),
        ("flow", (f"{flow['status']} at t = {flow['end_time']:.4g} after {flow['steps']} steps; F from "
         f"{flow['sharpness_start']:.6g} to {flow['sharpness_end']:.10g}, |grad F| = {flow['gradient_norm_end']:.2g}")),
    ]  # fmt: skip
    return f'<dl class="facts">{"".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs)}</dl>'


def _constants(case: CaseReport) -> list[tuple[str, str]]:
    facts = case.facts
    low, high = facts["interval"]
    place = "" if facts["confined"] else ", at the start only: nothing confines it"
    slopes = f"rho1 = {number(facts['rho1'])}, rho2 = {number(facts['rho2'])}, beta = {positive(facts['beta'])}"
    return [
        ("range of z", f"[{low:.4g}, {high:.4g}]{place}"),
        ("constants there", f"{slopes}, inf phi'''/phi' = {number(facts['inf_ratio'])}"),
        ("region, kappa = 2", f"r = {positive(facts['radius_kappa_2'])}, c = {positive(facts['convexity_kappa_2'])}"),
    ]


def _foot() -> str:
    text = ", ".join(f"{name} {value}" for name, value in versions().items())
    return (
        "<footer><p>A margin is the distance to failing, relative to the bound, or to the tolerance where the bound is 0 or "
        "an equality is tested; a negative one is a failure. With a margin of 0.38 a bound 38 % tighter would have passed "
        "as well: <code>manifoldflow search</code> looks for how tight the bounds can be. All numbers are in <code>verification.json</code>, and how to read them in "
        f"docs/verify.md. {escape(text)}.</p></footer>"
    )
