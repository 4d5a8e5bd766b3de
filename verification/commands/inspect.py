"""`manifoldflow inspect`: which assumptions are proved to hold on a problem, which statements apply, with which
constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifoldflow.certificates import Certificate, ConstantsEnclosure, Enclosure, Survey, survey
from verification import hypotheses
from verification.evidence import Evidence
from verification.records import Case, Hypothesis
from verification.statements import STATEMENTS
from verification.tables import align

_DIGITS = 6
_PROVED_BY = {
    hypotheses.slopes: "A1",
    hypotheses.independence: "A2",
    hypotheses.normality: "A3",
    hypotheses.confinement: "confinement",
}


def inspect(case: Case) -> tuple[str, dict[str, Any]]:
    """Text and numbers, without integrating anything.

    >>> import manifoldflow as mf
    >>> text, numbers = inspect(Case(mf.datasets.synthetic(n=3, d=6), "tanh(z)", width=4))
    >>> numbers["assumptions"]["A1"]["met"], numbers["assumptions"]["A1"]["verdict"]
    (False, 'refuted')
    """
    evidence = Evidence(case)
    found = survey(evidence.manifold, evidence.start)
    assumptions, needs = _assumptions(evidence, found.constants)
    constants = _constants(found.constants)
    numbers = {
        "case": case.name,
        "constants": {name: [value.low, value.high] for name, value in constants.items()},
        "assumptions": assumptions,
        "certificates": [_plain(certificate) for certificate in found.certificates],
        "statements": {name: _applicability(group, assumptions) for name, group in needs.items()},
    }
    return _text(case, found, constants, numbers), numbers


def _assumptions(
    evidence: Evidence, constants: ConstantsEnclosure
) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """What is known of each assumption by its name, and the names that each statement needs."""
    known: dict[str, dict[str, Any]] = {}
    needs: dict[str, list[str]] = {}
    for statement in STATEMENTS:
        found = [_examined(needed, evidence, constants) for needed in statement.hypotheses]
        known.update(found)
        needs[statement.id] = [name for name, _ in found]
    return known, needs


def _examined(
    hypothesis: Callable[[Evidence], Hypothesis], evidence: Evidence, constants: ConstantsEnclosure
) -> tuple[str, dict[str, Any]]:
    """The certificate where there is one, else what the hypothesis sees."""
    if hypothesis in _PROVED_BY:
        proof = constants.certificate(_PROVED_BY[hypothesis])
        detail = proof.claim if proof.proved else proof.reason
        # Over the start's range alone the inequalities of A1 and A3 say nothing about where the flow may go.
        local = proof.proved and proof.name in ("A1", "A3") and not constants.confined
        verdict = "proved at the start" if local else proof.verdict
        return proof.name, {"met": proof.proved and not local, "verdict": verdict, "detail": detail}
    seen = hypothesis(evidence)
    return seen.name, {"met": seen.met, "verdict": "met" if seen.met else "not met", "detail": seen.detail}


def _applicability(names: list[str], assumptions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    missing = [name for name in names if not assumptions[name]["met"]]
    refuted = [name for name in missing if assumptions[name]["verdict"] in ("refuted", "not met")]
    return {"applies": not missing, "needs": names, "missing": missing, "refuted": refuted}


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


def _text(case: Case, found: Survey, constants: dict[str, Enclosure], numbers: dict[str, Any]) -> str:
    n, d = case.data.X.shape
    others = [certificate for certificate in found.certificates if certificate not in found.constants.certificates]
    arithmetic = found.constants.certificate("A1").arithmetic
    lines = [
        f"{case.name}: n = {n}, d = {d}, {case.width} units, seed {case.seed}",
        f"data: {case.data.source}",
        "",
        f"Constants of the flow from the start, proved to lie between these numbers ({arithmetic}):",
        *align([(name, value.within(_DIGITS)) for name, value in constants.items()], set()),
        "",
        "Assumptions:",
        *align([(name, item["verdict"], item["detail"]) for name, item in numbers["assumptions"].items()], set()),
        "",
        "Certificates:",
        *align([(item.name, item.verdict, item.text) for item in others], set()),
        "",
        "Statements:",
    ]
    titles = {statement.id: statement.title for statement in STATEMENTS}
    rows = [(name, titles[name], _applies(item)) for name, item in numbers["statements"].items()]
    return "\n".join(lines + align(rows, set()))


def _applies(item: dict[str, Any]) -> str:
    if item["applies"]:
        return "applies"
    if item["refuted"]:
        return f"does not apply: {', '.join(item['refuted'])}"
    return f"not proved to apply: {', '.join(item['missing'])}"
