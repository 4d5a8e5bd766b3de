"""Names for what a long formula repeats, so that it can be read."""

from __future__ import annotations

from collections import Counter

from sympy import Add, Basic, Indexed, Pow, Sum, Symbol, preorder_traversal

from derivations.printing import latex

_MOST = 9
_LENGTH = 40
_UNBROKEN = 120


def named(expr: Basic) -> tuple[Basic, list[tuple[Symbol, Basic]]]:
    r"""Put names in the place of sums of terms that occur more than once, the one that saves most first.

    A name stands for its sum of terms as it is written, indices included.

    >>> a, b, c = (Symbol(x * 30) for x in "abc")
    >>> shorter, names = named(a * (b + c) + (b + c) ** 2)
    >>> [str(name) for name, _ in names]
    ['\\omega_{1}']
    """
    found: list[tuple[Symbol, Basic]] = []
    while len(found) < _MOST:
        best = _best([expr, *[meaning for _, meaning in found]])
        if best is None:
            break
        name = Symbol(rf"\omega_{{{len(found) + 1}}}", real=True)
        expr = expr.xreplace({best: name})
        found = [(known, meaning.xreplace({best: name})) for known, meaning in found]
        found.append((name, best))
    return expr, found


def _best(exprs: list[Basic]) -> Basic | None:
    """The sum of terms whose name saves most, if one is worth it: one that is repeated, or a long one in a power."""
    counts: Counter[Basic] = Counter()
    for expr in exprs:
        walk = preorder_traversal(expr)
        for node in walk:
            if isinstance(node, Indexed):
                walk.skip()
            elif isinstance(node, Add):
                counts[node] += 1
            elif isinstance(node, Pow) and (inside := _long_base(node)) is not None:
                counts[inside] += 1  # a power cannot be broken, so what it holds is worth a name at its first place
    worth = [(-(count - 1) * len(latex(node)), str(node), node) for node, count in counts.items() if count > 1]
    worth = [x for x in worth if len(latex(x[2])) >= _LENGTH]
    return min(worth, key=lambda x: x[:2])[2] if worth else None


def _long_base(power: Pow) -> Basic | None:
    """The long sum of terms within a power, perhaps under a sign of summation."""
    base = power.base
    while isinstance(base, Sum):
        base = base.function
    return base if isinstance(base, Add) and len(latex(base)) >= _UNBROKEN else None
