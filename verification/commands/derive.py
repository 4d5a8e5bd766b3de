"""`manifoldflow derive`: the derivation records of a unit function as Markdown."""

from __future__ import annotations

from pathlib import Path

import derivations
from derivations import Derivation, DerivationError, Record, UnitFunction
from derivations.checks import CheckResult
from verification.files import write_text


def derive(formula: str, out: Path | None) -> str:
    """The records in order, each with its formula, steps, what it uses and its machine checks; or written to a folder.

    Raises `DerivationError` when a check refuses a record.

    >>> print(derive("sinh(z)", None).splitlines()[0])
    # Derivation for sinh(z)
    """
    unit = UnitFunction(formula)
    derivation = derivations.derive(unit)
    checks = derivation.check(rng=0)
    refused = [f"{result.record} ({result.method})" for result in checks if result.checked and not result.passed]
    if refused:
        raise DerivationError(f"machine checks refused {', '.join(refused)}: please report the formula")
    text = markdown(derivation, checks, unit.formula)
    if out is None:
        return text
    return f"wrote {write_text(out / 'derivation.md', text)}"


def markdown(derivation: Derivation, checks: tuple[CheckResult, ...], formula: str) -> str:
    """Records as Markdown with LaTeX formulas, written with generic derivatives of the unit."""
    sections = (_section(r, [c for c in checks if c.record == r.name]) for r in derivation.records)
    return "\n\n".join([f"# Derivation for {formula}", *sections]) + "\n"


def _section(record: Record, checks: list[CheckResult]) -> str:
    steps = [f"{k}. ${step.latex()}$: {step.reason}" for k, step in enumerate(record.steps, start=1)]
    parts = [f"## {record.title}", record.statement, f"$${record.latex()}$$", "\n".join(steps)]
    uses = f"Uses: {', '.join(record.uses)}." if record.uses else ""
    parts.append(f"{uses} Source: {record.source}.".strip())
    parts.append("Checked: " + "; ".join(_outcome(check) for check in checks) + ".")
    return "\n\n".join(part for part in parts if part)


def _outcome(check: CheckResult) -> str:
    if not check.checked:
        return f"{check.method}: {check.detail}"
    return f"{check.method}, deviation {check.deviation:.1e} (at most {check.tolerance:.0e} passes)"
