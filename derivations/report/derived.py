"""The part of a report that shows the records: formula, reason, steps, what it uses, what checked it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sympy import Basic, Expr, Sum, Tuple, nan, zoo

from derivations.blocks import components, each
from derivations.checks.result import CheckResult
from derivations.functions import ActivationDerivative, UnitDerivative
from derivations.pointwise import unit_derivative
from derivations.records import Record, Step
from derivations.report.document import Block, Checks, Formula, Heading, Paragraph, Spans, Steps, spans
from derivations.report.layout import expression, relation, symbols
from derivations.stable import exposed
from derivations.sums import rebuild
from derivations.unit import UnitFunction

_LONGEST = 400
"""Operations; a formula for the unit at hand that has more says less than the general one."""


def record_blocks(
    record: Record,
    unit: UnitFunction | None,
    checks: tuple[CheckResult, ...],
    names: Mapping[str, str],
    numbers: Mapping[str, str],
) -> Iterator[Block]:
    """One record as blocks.

    Args:
        record: The record.
        unit: The unit whose own formula is shown as well, if any.
        checks: The results of the record's checks.
        names: Titles of the records by name, for what the record uses.
        numbers: Numbers of the statements by record.
    """
    number = f" ({numbers[record.name]})" if record.name in numbers else ""
    yield Heading(2, spans(record.title + number), f"sec-{record.name}")
    yield Paragraph(spans(record.statement))
    shown = relation(record.left, record.relation, record.right, f"eq-{record.name}")
    yield replace(shown, symbols=_symbols(record))
    own = own_formula(record, unit) if unit else None
    if own:
        yield Paragraph(spans("For this unit:"))
        yield own
    yield Steps(tuple(_step(step, record) for step in record.steps))
    yield Paragraph(spans(f"{_uses(record, names)}Source: {record.source}."))
    if checks:
        yield Checks(checks)


def _symbols(record: Record) -> tuple[str, ...]:
    """What the formula and its steps are made of."""
    parts = [part for block in (record.left, record.right) for part in components(block)]
    return symbols(Tuple(*parts, *[part for step in record.steps for part in components(step.expression)]))


def _step(step: Step, record: Record) -> tuple[Formula | None, Spans]:
    """A step's formula and reason; one that arrives at the result refers to it."""
    if step.expression == record.right:
        return None, spans(f"{step.reason}: this is [](#eq-{record.name}).")
    return expression(step.expression), spans(f"{step.reason}:")


def _uses(record: Record, names: Mapping[str, str]) -> str:
    """What a record uses, records as links."""
    links = [f"[{names[use]}](#eq-{use})" if use in names else _assumption(use) for use in record.uses]
    return f"Uses {', '.join(links)}. " if links else ""


def _assumption(use: str) -> str:
    return f"[{use}](#sec-assumptions)" if use in ("A1", "A2", "A3") else use


def own_formula(record: Record, unit: UnitFunction) -> Formula | None:
    """The record with the unit's own derivatives, where that is not too long."""
    if not record.right.has(UnitDerivative, ActivationDerivative):
        return None
    right = specialised(record.right, unit)
    if right.has(zoo, nan):
        return None
    size = sum(part.count_ops() for part in components(right))
    return relation(record.left, record.relation, right) if size <= _LONGEST else None


def specialised(expr: Basic, unit: UnitFunction) -> Basic:
    """An expression with the unit's own derivatives in the place of generic ones.

    >>> from derivations import symbols as sym
    >>> specialised(ActivationDerivative(2, sym.Z[sym.j, sym.i]), UnitFunction("z**3"))
    6*z[j, i]
    """
    nodes = expr.atoms(UnitDerivative, ActivationDerivative)
    special = expr.xreplace({node: _own(node, unit) for node in nodes})
    return each(special, lambda part: rebuild(part, Sum, lambda sum_: sum_.doit() if sum_.function.is_number else sum_))


def _own(node: Expr, unit: UnitFunction) -> Expr:
    names = (unit.z,) if isinstance(node, ActivationDerivative) else (unit.z, *unit.c, unit.a)
    arguments = node.args[len(node.orders) :]
    local = exposed(unit_derivative(unit, node.func(*node.orders, *names)))
    return local.xreplace(dict(zip(names, arguments, strict=True)))
