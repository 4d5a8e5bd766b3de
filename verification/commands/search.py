"""`manifoldflow search`: smallest margins, one instance again, a phase diagram, or the first negative eigenvalues."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from manifoldflow.errors import InputError
from verification.results import FAILS, HOLDS, UNDECIDED, as_json
from verification.search import FAMILIES, FULL, INEQUALITIES, QUICK, Family, driver, inequality_named, load, replay
from verification.search.phase import diagram
from verification.search.phase import write as write_phase
from verification.search.replay import NOT_REFUTED, REFUTED
from verification.search.threshold import thresholds
from verification.search.threshold import write as write_threshold

Outcome = tuple[str, dict[str, Any], int]
"""Text, numbers, exit code."""


def searched(
    formulas: Sequence[str] | None, ranges: Sequence[tuple[str, float, float]], names: Sequence[str] | None,
    percent: float, full: bool, seed: int, out: Path, report: Callable[[str], Any],
) -> Outcome:  # fmt: skip
    """Search the families; 1 where a statement is refuted, 3 where a verdict or a control is missing, else 0."""
    families = _families(formulas, ranges)
    chosen = INEQUALITIES if names is None else tuple(inequality_named(name) for name in names)
    effort = FULL if full else QUICK
    rows = driver.run(families, inequalities=chosen, effort=effort, rng=seed, out=out, report=report)
    command = _command(formulas, ranges, names, percent, full, seed)
    driver.write(rows, percent, out, command)
    verdicts = [row.replay.verdict() for row in rows]
    missed = driver.missed(rows, percent)
    lines = [driver.table(rows, percent).text()]
    lines += [f"{row.inequality.name}: {row.replay.reason}" for row in rows if row.replay.reason]
    lines += [f"{inequality.name}: no instance was found to which it applies" for inequality in chosen
              if inequality not in [row.inequality for row in rows]]  # fmt: skip
    if missed:
        lines.append(f"With a constant {percent:g} % too large these were not refuted: {', '.join(missed)}.")
    complete = len(rows) == len(chosen) and all(verdict == NOT_REFUTED for verdict in verdicts) and not missed
    code = FAILS if REFUTED in verdicts else HOLDS if complete else UNDECIDED
    return "\n".join(lines), driver.numbers(rows, percent, command), code


def _families(formulas: Sequence[str] | None, ranges: Sequence[tuple[str, float, float]]) -> Sequence[Family]:
    if formulas is None:
        if ranges:
            raise InputError("--range is about the coefficients of a --family, and none was given.")
        return FAMILIES
    boxes = {name: (low, high) for name, low, high in ranges}
    unused = [name for name in boxes if not any(_occurs(name, formula) for formula in formulas)]
    if unused:
        raise InputError(f"--range names {', '.join(unused)}, which no --family contains.")
    return [Family.of(formula, {name: boxes[name] for name in boxes if _occurs(name, formula)}) for formula in formulas]


def _occurs(name: str, formula: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", formula) is not None


def _command(
    formulas: Sequence[str] | None, ranges: Sequence[tuple[str, float, float]], names: Sequence[str] | None,
    percent: float, full: bool, seed: int,
) -> str:  # fmt: skip
    words = ["manifoldflow search"]
    words += [f"--family {shlex.quote(formula)}" for formula in formulas or ()]
    words += [f"--range {name}={low!r}:{high!r}" for name, low, high in ranges]
    words += [f"--inequalities {shlex.quote(','.join(names))}"] if names is not None else []
    return " ".join([*words, f"--broken {percent:g}", *(["--full"] if full else []), f"--seed {seed}"])


def replayed(path: Path, percent: float) -> Outcome:
    """One saved instance at 50 digits; 1 where it refutes its statement, 3 where it decides nothing, else 0."""
    instance = load(path)
    found = replay(instance)
    verdict, broken = found.verdict(), found.verdict(percent)
    low, high = (f"{float(end):.15g}" for end in (found.low, found.high))
    lines = [
        f"{instance.inequality.name}: {instance.inequality.text}",
        f"activation {instance.formula}, m = {len(instance.a)}, n = {len(instance.X)}, seed {instance.seed}",
        f"measured side over proved side, 50 digits: [{low}, {high}]; float64: {instance.ratio:.15g}",
        f"{verdict}; with a constant {percent:g} % too large: {broken}",
    ]
    lines += [found.reason] if found.reason else []
    numbers = {
        "inequality": instance.inequality.name, "low": float(found.low), "high": float(found.high),
        "float64": instance.ratio, "verdict": verdict, "broken": broken, "percent": percent, "reason": found.reason,
    }  # fmt: skip
    return "\n".join(lines), numbers, {REFUTED: FAILS, NOT_REFUTED: HOLDS}.get(verdict, UNDECIDED)


def phase(name: str, grid: int, seed: int, processes: int, out: Path) -> Outcome:
    """A phase diagram: plot, CSV and JSON; 3 where the eigenvalues contradict the thresholds, else 0."""
    found = diagram(name, grid, seed=seed, processes=processes)
    write_phase(found, out)
    return found.text, found.numbers, HOLDS if found.consistent else UNDECIDED


def threshold(
    formulas: Sequence[str] | None, ranges: Sequence[tuple[str, float, float]], seed: int, out: Path
) -> Outcome:
    """The first negative eigenvalues; 1 where one lies below S3's threshold, 3 where a path has none, else 0."""
    found = thresholds(_families(formulas, ranges), rng=seed)
    if found.crossings:
        write_threshold(found, out)
    return found.text, found.numbers, FAILS if found.refuted else HOLDS if found.complete else UNDECIDED


__all__ = ["as_json", "phase", "replayed", "searched", "threshold"]
