"""`manifoldflow derive`: the derivation records of a unit function as Markdown."""

from __future__ import annotations

from pathlib import Path

import derivations
from derivations import Record, UnitFunction
from verification.files import write_text


def derive(formula: str, out: Path | None) -> str:
    """The records in order, each with its formula, the steps and what it uses; with a folder also
    `derivation.md`.

    >>> print(derive("sinh(z)", None).splitlines()[0])
    # Derivation for sinh(z)
    """
    unit = UnitFunction(formula)
    text = markdown(derivations.derive(unit).records, unit.formula)
    if out is None:
        return text
    return f"wrote {write_text(out / 'derivation.md', text)}"


def markdown(records: tuple[Record, ...], formula: str) -> str:
    """Records as Markdown with LaTeX formulas, written with generic derivatives of the unit."""
    return "\n\n".join([f"# Derivation for {formula}", *(_section(record) for record in records)]) + "\n"


def _section(record: Record) -> str:
    steps = [f"{k}. ${step.latex()}$: {step.reason}" for k, step in enumerate(record.steps, start=1)]
    parts = [f"## {record.title}", record.statement, f"$${record.latex()}$$", "\n".join(steps)]
    uses = f"Uses: {', '.join(record.uses)}." if record.uses else ""
    parts.append(f"{uses} Source: {record.source}.".strip())
    return "\n\n".join(part for part in parts if part)
