"""Formulas as lines: long ones are broken between terms, and those that no page can hold are cut with a note."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sympy import Add, Basic, Expr, Indexed, Mul, Sum, Symbol, Tuple, preorder_traversal

from derivations.blocks import components
from derivations.functions import ActivationDerivative, UnitDerivative
from derivations.notation import NOTATION
from derivations.printing import RELATIONS, drawn_out, latex, terms, width
from derivations.report.document import Formula, Maths, Reference, Spans, Text, Verbatim
from derivations.report.naming import named

WIDTH = 62
"""Characters of a line, roughly as they are seen."""

MANY_LINES = 6
"""From more lines than this on, repeated sums of terms get names."""

_WIDEST = 76
"""Lines that are wider, although broken, have names put into them as well."""

MAX_LINES = 36
"""More lines than this are cut."""


def relation(left: Basic, sign: str, right: Basic, anchor: str = "") -> Formula:
    """A formula "left sign right", a line for each component, long ones broken.

    >>> relation(Symbol("x"), "==", Symbol("y")).latex
    'x = y'
    """
    lefts, rights = components(left), components(right)
    if len(lefts) != len(rights):
        lefts, rights = (left,), (right,)
    rights = tuple(map(drawn_out, rights))
    starts = [f"{latex(x)} &{RELATIONS[sign]}" for x in lefts]
    return Formula(tuple(_lines(starts, rights)), anchor, symbols(Tuple(*lefts, *rights)) if anchor else ())


def expression(expr: Basic) -> Formula:
    """An expression by itself, long ones broken, blocks a component a line."""
    parts = tuple(map(drawn_out, components(expr)))
    return Formula(tuple(_lines(["&"] * len(parts), parts)))


def symbols(expr: Basic) -> tuple[str, ...]:
    """The entries of the notation table that occur, in the table's order.

    >>> from derivations import symbols as sym
    >>> symbols(sym.s[sym.i])
    ('i', 's')
    """
    found = {name for node in preorder_traversal(expr) for name in _names(node)}
    return tuple(name for name in NOTATION if name in found)


def _names(node: Basic) -> Iterator[str]:
    if isinstance(node, Indexed):
        head, _, number = str(node.base.label).partition("_")
        yield head if number.isdigit() else str(node.base.label)
    elif isinstance(node, Symbol):
        yield node.name
        yield from (name for name, mark in _SHOWN.items() if mark in node.name)
    elif isinstance(node, UnitDerivative):
        yield from ("psi", "v") if any(node.orders) and node.size > 1 else ("psi",)
    elif isinstance(node, ActivationDerivative):
        yield "phi"


_SHOWN = {
    "F": "F", "L": "L", "Theta": r"\Theta", "W": "W}", "f": "f_", "q": "q_{", "U": "U", "P_T": "P_T",
    **{name: NOTATION[name].latex for name in ("derivative", "nabla", "grad", "Hess")},
}


def _lines(starts: list[str], rights: tuple[Basic, ...]) -> list[str]:
    """The lines of several formulas; where there are many, what they repeat gets a name."""
    lines = [line for start, right in zip(starts, rights, strict=True) for line in _broken(start, right)]
    if len(lines) <= MANY_LINES and max(map(width, lines)) <= _WIDEST:
        return lines
    shorter, names = named(Tuple(*rights))
    starts += [rf"\text{{with }} {latex(name)} &=" for name, _ in names]
    rights = (*shorter.args, *[meaning for _, meaning in names])
    return _cut([line for start, right in zip(starts, rights, strict=True) for line in _broken(start, right)])


def _broken(start: str, right: Basic) -> list[str]:
    parts = list(_pieces(right))
    if width(start) + width("".join(parts)) <= WIDTH:
        return [f"{start} {' '.join(parts)}"]
    return _filled(parts, start)


def _filled(parts: list[str], start: str) -> list[str]:
    """Fill lines with pieces; the first begins with `start`, the others are indented."""
    lines, line = [], start
    for part in parts:
        if line not in (start, _INDENT) and width(line) + width(part) > WIDTH:
            lines.append(line)
            line = _INDENT
        line = f"{line} {part}"
    return [*lines, line]


_INDENT = r"&\qquad"


def _pieces(expr: Basic) -> Iterator[str]:
    """The parts of an expression between which a line may end."""
    if isinstance(expr, Add):
        for term in terms(expr):
            yield from _term_pieces(term)
    else:
        yield from _product_pieces(expr)


def _term_pieces(term: tuple[str, Expr]) -> Iterator[str]:
    sign, expr = term
    first, *rest = _product_pieces(expr)
    yield f"{sign} {first}".strip()
    yield from rest


def _product_pieces(expr: Basic) -> Iterator[str]:
    """A wide product with its factors that are sums, or a wide sum, opened; anything else whole."""
    opened = _opened(expr) if width(latex(expr)) > WIDTH else None
    if opened is None:
        yield latex(expr)
        return
    before, inside = opened
    *ahead, last = [*before, r"\cdot"] if width(before[-1]) > WIDTH / 3 else before
    yield from ahead
    yield from _bracketed(f"{last} ", inside)


def _bracketed(before: str, inside: Expr) -> Iterator[str]:
    """What stands before a sum in brackets, and the sum; brackets on several lines have a size of their own."""
    first, *rest = _pieces(inside)
    size = "bigg" if r"\frac" in latex(inside) or r"\sum" in latex(inside) else "Big"
    *middle, last = [rf"{before}\{size}l({first}", *rest]
    yield from middle
    yield rf"{last}\{size}r)"


def _opened(expr: Basic) -> tuple[list[str], Expr] | None:
    """The parts before the brackets of a product or a sum that can be broken, and what is in the brackets."""
    if isinstance(expr, Sum):
        signs = latex(expr.func(Symbol("x"), *expr.limits)).removesuffix("x")
        found = ([""], expr.function) if isinstance(expr.function, Add) else _opened(expr.function)
        return found and ([signs + found[0][0], *found[0][1:]], found[1])
    if isinstance(expr, Mul):
        wide = max(expr.args, key=lambda x: (isinstance(x, Sum | Add), width(latex(x))))
        # Evaluated, 2 (x + y) would become 2 x + 2 y.
        before = _ahead(Mul(*[x for x in expr.args if x is not wide], evaluate=False))
        if isinstance(wide, Add):
            return before, wide
        inner = _opened(wide) if isinstance(wide, Sum) else None
        return inner and ([*before[:-1], f"{before[-1]} {inner[0][0]}", *inner[0][1:]], inner[1])
    return None


def _ahead(rest: Expr) -> list[str]:
    """What stands before a bracket, a sum among its own."""
    if isinstance(rest, Add):
        narrow = width(latex(rest)) <= WIDTH / 2
        return [rf"\left({latex(rest)}\right)"] if narrow else list(_bracketed("", rest))
    return ["-"] if rest == -1 else list(_product_pieces(rest))


def _cut(lines: list[str]) -> list[str]:
    """Leave out what exceeds the number of lines, and say how much that was."""
    if len(lines) <= MAX_LINES:
        return lines
    left = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], rf"{_INDENT} \cdots \quad \text{{({left} more lines: see the records as JSON)}}"]


def shares(rows: Iterable[tuple[Spans, ...]]) -> list[float]:
    """How much of a line each column of a table gets, by what it holds."""
    sizes = [min(max(map(_size, column)), 70) + 3 for column in zip(*rows, strict=True)]
    return [size / sum(sizes) for size in sizes]


def _size(cell: Spans) -> float:
    """How wide a cell is: a formula does not break, text does."""
    widest = max((width(span.latex) for span in cell if isinstance(span, Maths)), default=0.0)
    words = sum(len(span.text) for span in cell if isinstance(span, Text | Verbatim))
    links = sum(6 + _size(span.content) for span in cell if isinstance(span, Reference))
    return max(widest, min(words, 45)) + links
