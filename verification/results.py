"""The outcome of a verification: verdicts of all cases, the exit code, JSON."""

from __future__ import annotations

import json
import math
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from manifoldflow import __version__
from manifoldflow.certificates import Certificate

from .records import STATUSES, CaseReport, Check, Verdict

HOLDS, FAILS, REFUSED, UNDECIDED, INTERRUPTED = 0, 1, 2, 3, 130
FORMAT = 1


@dataclass(frozen=True, eq=False)
class VerificationReport:
    """Reports of all cases, in the order in which the cases were given.

    `formulas` are those of the statements as SVG; None where they are not drawn yet.
    """

    cases: tuple[CaseReport, ...]
    interrupted: bool = False
    seconds: float = 0.0
    formulas: dict[str, str] | None = None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All verdicts, case by case."""
        return tuple(verdict for case in self.cases for verdict in case.verdicts)

    def count(self, status: str) -> int:
        """How many verdicts have this status."""
        return sum(verdict.status == status for verdict in self.verdicts)

    @property
    def exit_code(self) -> int:
        """130 interrupted, 1 something fails, 3 something is inconclusive or nothing was tested, 0
        otherwise.
        """
        if self.interrupted:
            return INTERRUPTED
        if self.count("fails"):
            return FAILS
        return UNDECIDED if self.count("inconclusive") or not self.count("holds") else HOLDS

    def to_json(self, command: str = "") -> str:
        """All numbers, versions, seeds and the command; times are under the key `timing` and nowhere else."""
        content = {
            "format": FORMAT,
            "command": command,
            "exit_code": self.exit_code,
            "interrupted": self.interrupted,
            "summary": {status: self.count(status) for status in STATUSES},
            "versions": versions(),
            "cases": [_case(case) for case in self.cases],
            "timing": {"seconds": round(self.seconds, 3)},
        }
        return as_json(content) + "\n"


def as_json(content: dict[str, Any]) -> str:
    """Strict JSON: not-a-number becomes null, an infinity text.

    >>> print(as_json({"a": float("nan"), "b": np.float64(1.5)}))
    {
     "a": null,
     "b": 1.5
    }
    """
    return json.dumps(_plain(content), indent=1, allow_nan=False)


def versions() -> dict[str, str]:
    """The versions that the numbers may depend on."""
    found = {"manifoldflow": __version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "sympy", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _case(case: CaseReport) -> dict[str, Any]:
    return {
        "name": case.name,
        "facts": case.facts,
        "verdicts": [_verdict(verdict) for verdict in case.verdicts],
        "series": case.series,
        "certificates": [_certificate(found) for found in case.certificates],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    proofs = [_certificate(found) for found in verdict.certificates]
    return {**asdict(verdict), "checks": [_check(check) for check in verdict.checks], "certificates": proofs}


def _certificate(found: Certificate) -> dict[str, Any]:
    return {**asdict(found), "verdict": found.verdict}


def _check(check: Check) -> dict[str, Any]:
    return {**asdict(check), "status": check.status, "margin": check.margin}


def _plain(value: Any) -> Any:
    """JSON's own types; numbers that JSON lacks become null or text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value
