"""What is drawn of a page, the statements' formulas and the plots: most of the work, which processes can share.

Matplotlib is loaded where something is drawn.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from verification.records import CaseReport
from verification.results import VerificationReport
from verification.statements import STATEMENTS


def drawn(report: VerificationReport) -> VerificationReport:
    """The report with what is missing of its drawings."""
    cases = tuple(case_drawn(case, k) if case.plots is None else case for k, case in enumerate(report.cases))
    names = {verdict.statement for verdict in report.verdicts}
    return replace(report, cases=cases, formulas=formulas(names) if report.formulas is None else report.formulas)


def case_drawn(case: CaseReport, number: int) -> CaseReport:
    """The case with its plots, whose ids begin with its number."""
    from .figures import figures

    names = dict.fromkeys(verdict.statement for verdict in case.verdicts)
    return replace(case, plots={name: figures(case, f"{number}{name}", name) for name in names})


def formulas(names: Container[str]) -> dict[str, str]:
    """The statements' formulas."""
    from .svg import formula_svg

    return {item.id: formula_svg(item.formula, f"f{item.id}") for item in STATEMENTS if item.id in names}
