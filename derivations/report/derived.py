"""The part of a report that shows the records: formula, reason, steps, what it uses, what checked it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sympy import Basic, Expr, Sum, Symbol, Tuple, nan, zoo

from derivations.blocks import components, each
from derivations.checks.result import CheckResult
from derivations.functions import ActivationDerivative, UnitDerivative
from derivations.notation import NOTATION
from derivations.pointwise import unit_derivative
from derivations.printing import latex
from derivations.records import Record, Step
from derivations.report.document import Block, Checks, Formula, Heading, Paragraph, Spans, Steps, spans
from derivations.report.layout import expression, relation, symbols
from derivations.report.shortest import shortest
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
    if sum(part.count_ops() for part in components(right)) > _LONGEST:
        return None
    shown = relation(record.left, record.relation, right)
    return replace(shown, lines=tuple(in_own_names(line, unit) for line in shown.lines))


_SCALAR = re.compile(r"c_\{(\d), ([a-z])\}")


def in_own_names(line: str, unit: UnitFunction) -> str:
    r"""LaTeX with the scalars of unit j by their own names, b_j for c_{1, j}.

    >>> in_own_names(r"c_{1, j}^{2} + c_{2, j}", UnitFunction("alpha * tanh(w_1*z)", own=("w_1", "alpha")))
    'w_{1, j}^{2} + \\alpha_{j}'
    """
    names = own_names(unit)
    return _SCALAR.sub(lambda found: _with_index(names[int(found[1]) - 1], found[2]), line) if names else line


def own_names(unit: UnitFunction) -> tuple[str, ...]:
    """The own scalars' names in LaTeX, none where one of them means something else in formulas.

    >>> own_names(UnitFunction("c*tanh(b*z)", own=("b", "c"))), own_names(UnitFunction("u*z", own=("u",)))
    (('b', 'c'), ())
    """
    names = tuple(latex(Symbol(name)) for name in unit.own)
    taken = set(NOTATION) - {"c"} | {"omega", "theta", "x"}
    plain = not any(name in taken or shown.startswith("c_") or "^" in shown for name, shown in zip(unit.own, names, strict=True))
    return names if plain else ()


def _with_index(name: str, index: str) -> str:
    """A name with an index, after the subscript that it may have."""
    stem, _, subscript = name.partition("_")
    return f"{stem}_{{{subscript.strip('{}')}, {index}}}" if subscript else f"{name}_{{{index}}}"


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
    local = shortest(exposed(unit_derivative(unit, node.func(*node.orders, *names))))
    return local.xreplace(dict(zip(names, arguments, strict=True)))
