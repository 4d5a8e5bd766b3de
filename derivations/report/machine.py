"""A derivation as JSON, for programs: every formula whole, as text and as LaTeX."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from derivations.analysis.assumptions import Assumptions, assumptions
from derivations.analysis.enclosed import Enclosed
from derivations.blocks import Block, components
from derivations.checks.result import CheckResult
from derivations.derivation import Derivation
from derivations.printing import latex
from derivations.records import Record
from derivations.report.statements import STATEMENTS, verdict


def machine_readable(
    derivation: Derivation,
    checks: tuple[CheckResult, ...] = (),
    *,
    kernel: str = "",
    command: str = "",
    versions: Mapping[str, str] | None = None,
    enclosed: Enclosed | None = None,
) -> str:
    """Write a derivation as JSON; numbers that are not finite become null.

    >>> from derivations import UnitFunction, derive
    >>> json.loads(machine_readable(derive(UnitFunction("z**2"))))["unit"]["formula"]
    'z**2'
    """
    unit = derivation.unit
    content = {
        "command": command,
        "versions": dict(versions or {}),
        "unit": {"formula": unit.formula, "own": list(unit.own), "psi": str(unit.psi)} if unit else None,
        "own_parameters": derivation.p,
        "records": [_record(record) for record in derivation.records],
        "checks": [_check(check) for check in checks],
        "pointwise": [
            {"name": x.name, "index": list(x.index), "expression": _expression(x.expression), "record": x.record}
            for x in derivation.pointwise
        ],
        "assumptions": _assumptions(assumptions(unit)) if unit and unit.phi is not None else None,
        "enclosed": asdict(enclosed) if enclosed else None,
        "statements": {
            x.id: {"record": x.record, "verdict": verdict(x, unit, derivation.p, enclosed)} for x in STATEMENTS
        },
        "kernel": kernel,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _record(record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        "title": record.title,
        "statement": record.statement,
        "left": _expression(record.left),
        "relation": record.relation,
        "right": _expression(record.right),
        "latex": record.latex(),
        "steps": [{"expression": _expression(step.expression), "reason": step.reason} for step in record.steps],
        "uses": list(record.uses),
        "source": record.source,
    }


def _expression(expr: Block) -> Any:
    """An expression as text and LaTeX; a block as a list of these."""
    parts = [{"text": str(part), "latex": latex(part)} for part in components(expr)]
    return parts if len(parts) > 1 else parts[0]


def _check(check: CheckResult) -> dict[str, Any]:
    return {
        "record": check.record,
        "method": check.method,
        "passed": check.passed,
        "checked": check.checked,
        "deviation": None if math.isnan(check.deviation) else check.deviation,
        "tolerance": check.tolerance,
        "detail": check.detail,
    }


def _assumptions(found: Assumptions) -> dict[str, Any]:
    return {
        "decided_exactly": found.exact,
        "A1_holds_on": [[str(x.low), str(x.high)] for x in found.holds],
        "interval": [str(found.interval.low), str(found.interval.high)] if found.interval else None,
        "reason": found.reason,
        "constants": {
            x.name: {
                "function": str(x.function),
                "infimum": str(x.infimum),
                "critical": [[str(z), str(value)] for z, value in x.critical],
                "limits": [str(end) for end in x.ends],
            }
            for x in found.extrema
        },
    }
