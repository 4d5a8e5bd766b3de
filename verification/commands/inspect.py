"""`manifoldflow inspect`: which assumptions are proved to hold on a problem, which statements apply, with which
constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from manifoldflow.certificates import Certificate, ConstantsEnclosure, Enclosure
from verification import facts
from verification.errors import NotStatedError
from verification.evidence import Evidence
from verification.records import Case, Hypothesis, Statement
from verification.statements import STATEMENTS
from verification.tables import align

_DIGITS = 6


def inspect(case: Case) -> tuple[str, dict[str, Any]]:
    """Text and numbers, without integrating the flow of the case.

    >>> import manifoldflow as mf
    >>> text, numbers = inspect(Case(mf.datasets.synthetic(n=3, d=6), "tanh(z)", width=4))
    >>> numbers["assumptions"]["A1"]["met"], numbers["assumptions"]["A1"]["verdict"]
    (False, 'refuted')
    """
    evidence = _before_the_flow(case)
    examined = {statement.id: _examined(statement, evidence) for statement in STATEMENTS}
    enclosures = _constants(evidence.enclosure) if evidence.is_plain else {}
    certificates = facts.certificates(evidence)
    known = {item["name"]: item for items in examined.values() for item in items if item["problem"] == ""}
    numbers = {
        "case": case.name,
        "constants": {name: [value.low, value.high] for name, value in enclosures.items()},
        "assumptions": known,
        "certificates": [_plain(certificate) for certificate in certificates],
        "statements": {name: _applicability(items) for name, items in examined.items()},
    }
    return _text(case, evidence, enclosures, certificates, numbers), numbers


def _before_the_flow(case: Case) -> Evidence:
    """Evidence whose range of pre-activations is that of the start: where nothing confines it, no more is known."""
    evidence = Evidence(case)
    Z = evidence.manifold.preactivations(evidence.start)
    return evidence.replaced(seen=(float(Z.min()), float(Z.max())))


def _examined(statement: Statement, evidence: Evidence) -> list[dict[str, Any]]:
    """The hypotheses, and on which problem each was examined; "" for the case itself."""
    try:
        found = statement.examine(evidence)
        inside = all(item.met for item in found[: len(statement.scope)])
        problem = statement.problem(evidence) if inside else evidence
    except NotStatedError as error:
        return [_item(Hypothesis("a problem to test", False, str(error), "given"), evidence.case.name)]
    elsewhere = "" if problem.case.name == evidence.case.name else problem.case.name
    scope = len(statement.scope)
    return [_item(item, elsewhere if k >= scope else "") for k, item in enumerate(found)]


def _item(found: Hypothesis, problem: str) -> dict[str, Any]:
    proved = found.met and found.basis != "grid"
    return {**asdict(found), "met": proved, "verdict": _word(found), "problem": problem}


def _word(found: Hypothesis) -> str:
    if found.basis in ("given", "measured"):
        return "met" if found.met else "not met"
    return "not proved" if found.basis == "grid" else found.basis


def _applicability(items: list[dict[str, Any]]) -> dict[str, Any]:
    missing = [item for item in items if not item["met"]]
    return {
        "applies": not missing,
        "needs": [item["name"] for item in items],
        "missing": [item["name"] for item in missing],
        "refuted": [item["name"] for item in missing if item["verdict"] != "not proved"],
        "problem": max((item["problem"] for item in items), default=""),
    }


def _constants(found: ConstantsEnclosure) -> dict[str, Enclosure]:
    low, high = found.interval
    constants = {
        "F(0)": found.sharpness,
        "mu": found.mu,
        "s_min": found.s_min,
        "z for ever" if found.confined else "z at the start": Enclosure(low, high),
        "rho1": found.rho1,
        "rho2": found.rho2,
        "beta": found.beta,
        "inf phi'''/phi'": found.ratio,
    }
    if all(found.certificate(name).proved for name in ("A1", "A2", "A3")):
        constants |= {"r (kappa = 2)": found.radius(), "c (kappa = 2)": found.convexity()}
    if all(found.certificate(name).proved for name in ("A1", "A2")):
        constants["global rate (S13)"] = found.global_rate()
    return constants


def _plain(certificate: Certificate) -> dict[str, Any]:
    return {
        "name": certificate.name,
        "verdict": certificate.verdict,
        "claim": certificate.claim,
        "reason": certificate.reason,
        "arithmetic": certificate.arithmetic,
    }


def _text(
    case: Case, evidence: Evidence, enclosures: dict[str, Enclosure], certificates: tuple[Certificate, ...],
    numbers: dict[str, Any],
) -> str:  # fmt: skip
    n, d = case.data.X.shape
    known = numbers["assumptions"]
    lines = [
        f"{case.name}: n = {n}, d = {d}, m = {evidence.manifold.m}, seed {case.seed}",
        f"data: {case.data.source}",
        *_proved(enclosures, certificates),
        *_titled("Assumptions:", [(name, item["verdict"], item["detail"]) for name, item in known.items()]),
        *_titled("Certificates:", [(c.name, c.verdict, c.text) for c in certificates if c.name not in known]),
    ]
    titles = {statement.id: statement.title for statement in STATEMENTS}
    rows = [(name, titles[name], _applies(item)) for name, item in numbers["statements"].items()]
    return "\n".join([*lines, *_titled("Statements:", rows)])


def _proved(enclosures: dict[str, Enclosure], certificates: tuple[Certificate, ...]) -> list[str]:
    if not enclosures:
        return ["", "The constants are about units a*phi(z); this unit is of another form."]
    title = f"Constants of the flow from the start, proved to lie between these numbers ({certificates[0].arithmetic}):"
    return _titled(title, [(name, value.within(_DIGITS)) for name, value in enclosures.items()])


def _titled(title: str, rows: Sequence[tuple[str, ...]]) -> list[str]:
    return ["", title, *align(rows, set())] if rows else []


def _applies(item: dict[str, Any]) -> str:
    where = f", to {item['problem']}" if item["problem"] else ""
    if item["applies"]:
        return f"applies{where}"
    if item["refuted"]:
        return f"does not apply: {', '.join(item['refuted'])}"
    return f"not proved to apply: {', '.join(item['missing'])}"
