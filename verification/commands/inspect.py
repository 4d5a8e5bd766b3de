"""`manifoldflow inspect`: which assumptions hold on a problem, and which statements apply with which
constants.
"""

from __future__ import annotations

from typing import Any

from verification.evidence import Evidence
from verification.records import Case, Hypothesis
from verification.statements import STATEMENTS
from verification.tables import align, number


def inspect(case: Case) -> tuple[str, dict[str, Any]]:
    """Text and numbers, without integrating anything.

    >>> import manifoldflow as mf
    >>> text, numbers = inspect(Case(mf.datasets.synthetic(n=3, d=6), "tanh(z)", width=4))
    >>> numbers["assumptions"]["A1"]["met"]
    False
    """
    evidence = Evidence(case)
    hypotheses = {statement.id: [needed(evidence) for needed in statement.hypotheses] for statement in STATEMENTS}
    named = {hypothesis.name: hypothesis for found in hypotheses.values() for hypothesis in found}
    constants = _constants(evidence)
    numbers = {
        "case": case.name,
        "constants": constants,
        "assumptions": {name: {"met": item.met, "detail": item.detail} for name, item in named.items()},
        "statements": {
            name: {"applies": all(item.met for item in found), "needs": [item.name for item in found]}
            for name, found in hypotheses.items()
        },
    }
    return _text(case, constants, named, hypotheses), numbers


def _constants(evidence: Evidence) -> dict[str, float]:
    found = evidence.constants
    return {
        "F(0)": found.sharpness,
        "mu": found.mu,
        "s_min": found.s_min,
        "z_low": found.interval[0],
        "z_high": found.interval[1],
        "rho1": found.rho1,
        "rho2": found.rho2,
        "beta": found.beta,
        "inf phi'''/phi'": found.ratio,
        "r (kappa = 2)": found.radius(),
        "c (kappa = 2)": found.convexity(),
        "global rate (S13)": found.global_rate(),
    }


def _text(
    case: Case,
    constants: dict[str, float],
    named: dict[str, Hypothesis],
    hypotheses: dict[str, list[Hypothesis]],
) -> str:
    n, d = case.data.X.shape
    lines = [
        f"{case.name}: n = {n}, d = {d}, {case.width} units, seed {case.seed}",
        f"data: {case.data.source}",
        "",
    ]
    lines += align([(name, number(value)) for name, value in constants.items()], {1})
    lines += [
        "",
        *align([(item.name, "met" if item.met else "NOT met", item.detail) for item in named.values()], set()),
        "",
    ]
    titles = {statement.id: statement.title for statement in STATEMENTS}
    lines += align([(name, titles[name], _applies(found)) for name, found in hypotheses.items()], set())
    return "\n".join(lines)


def _applies(found: list[Hypothesis]) -> str:
    missing = [item.name for item in found if not item.met]
    return f"does not apply: {', '.join(missing)}" if missing else "applies"
