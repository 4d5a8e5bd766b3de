"""`manifoldflow study`: how label-noise SGD approaches the flow (S9) and what larger steps do (S14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from verification.records import Case
from verification.study import FULL, QUICK, Study, study
from verification.study.output import numbers_json, write
from verification.study.run import chosen_parts
from verification.study.tables import tables


def run(
    cases: Sequence[Case], full: bool, parts: str | None, out: Path, report: Callable[[str], Any],
    progress: Callable[[Any], Any] | None,
) -> Study:  # fmt: skip
    """Simulate, with checkpoints under `out`/runs."""
    return study(cases, FULL if full else QUICK, chosen_parts(parts), out / "runs", report, progress)


def text(found: Study) -> str:
    """All tables, and what was left out."""
    left_out = [f"{name}: {reason}" for name, reason in found.skipped.items()]
    return "\n\n".join([*(table.text() for table in tables(found)), *left_out])


__all__ = ["numbers_json", "run", "text", "write"]
