"""Sums of symbolic length: contract deltas, join, flatten, rename.

Every function returns an expression equal to its argument for all m, n, d >= 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sympy import (
    Add,
    Expr,
    Indexed,
    KroneckerDelta,
    Mul,
    Pow,
    Sum,
    Symbol,
    Tuple,
    expand,
    expand_mul,
    factor_terms,
)

from derivations import symbols as sym
from derivations.errors import DerivationError


def over(body: Expr, *indices: Symbol) -> Expr:
    """Sum over indices, each from 1 to its size.

    >>> over(sym.y[sym.i], sym.i)
    Sum(y[i], (i, 1, n))
    """
    return Sum(body, *[(index, 1, sym.SIZE[index]) for index in indices])


def limited(body: Expr, limits: Iterable[Tuple]) -> Expr:
    """A sum over these limits, nought where its body is.

    >>> limited(0 * sym.L, [])
    0
    """
    return Sum(body, *limits) if body != 0 else body


def contract(expr: Expr) -> Expr:
    """Sum over every Kronecker delta, take constant factors out of sums and sums out of sums' way.

    >>> contract(over(KroneckerDelta(sym.i, sym.l) * sym.y[sym.i], sym.i))
    y[l]
    """
    if isinstance(expr, Sum):
        body = contract(expr.function)
        for index, _, upper in expr.limits:
            body = _sum_once(body, index, upper)
        return body
    if not expr.args or isinstance(expr, Indexed):
        return expr
    return expr.func(*[contract(arg) for arg in expr.args])


def merge(expr: Expr) -> Expr:
    """Join sums over the same indices into one sum.

    >>> merge(over(sym.y[sym.i], sym.i) + 2 * over(sym.f[sym.i], sym.i))
    Sum(2*f[i] + y[i], (i, 1, n))
    """
    if isinstance(expr, Sum):
        return Sum(merge(expr.function), *expr.limits)
    if not isinstance(expr, Add | Mul | Pow):
        return expr
    rebuilt = expr.func(*map(merge, expr.args))
    return _joined(rebuilt) if isinstance(rebuilt, Add) else rebuilt


def flatten(expr: Expr) -> Expr:
    """Write nested sums as one sum over all their indices, like sums joined.

    >>> flatten(over(sym.s[sym.i] * over(sym.a[sym.j, sym.i], sym.j), sym.i))
    Sum(a[j, i]*s[i], (j, 1, m), (i, 1, n))
    """
    return _joined(Add(*[_flat_term(term) for term in Add.make_args(expr)]))


def summand(expr: Expr) -> Expr:
    """The body of an expression that is one sum.

    Raises:
        DerivationError: it is not.

    >>> summand(over(sym.y[sym.i], sym.i))
    y[i]
    """
    limits, body = _pull_in(expr)
    if not limits:
        raise DerivationError(f"expected one sum, met {type(expr).__name__}: {expr}")
    return body


def tidy(expr: Expr) -> Expr:
    """Take common factors out of every sum's body; only the appearance changes.

    >>> tidy(over(2 * sym.y[sym.i] * sym.f[sym.i] + 2 * sym.y[sym.i], sym.i))
    Sum(2*(f[i] + 1)*y[i], (i, 1, n))
    """
    return rebuild(expr, Sum, lambda sum_: Sum(factor_terms(sum_.function), *sum_.limits))


def rename(expr: Expr, names: dict[Symbol, Symbol]) -> Expr:
    """Rename indices, free or bound, refusing where a sum would capture the new name.

    >>> rename(sym.y[sym.i], {sym.i: sym.l})
    y[l]
    """
    for sum_ in expr.atoms(Sum):
        for old, new in names.items():
            if _captures(sum_, old, new):
                raise DerivationError(f"a sum over {new} would capture {old}: {sum_}")
    return expr.xreplace(names)


def apart(expr: Expr) -> Expr:
    """Sum over r where j is free, so that no letter means two things in one formula.

    >>> apart(sym.Z[sym.j, sym.i] * over(sym.Z[sym.j, sym.i], sym.j))
    z[j, i]*Sum(z[r, i], (r, 1, m))
    """
    if sym.j not in expr.free_symbols:
        return expr
    return rebuild(expr, Sum, _over_r)


def _over_r(sum_: Sum) -> Sum:
    return sum_.func(*[arg.xreplace({sym.j: sym.r}) for arg in sum_.args]) if sym.j in sum_.bound_symbols else sum_


def vanishes(expr: Expr) -> bool:
    """Whether an expression is nought once every sum is split into its terms.

    A True is a proof; a False may only mean that the terms were not recognised as equal.

    >>> y, f = sym.y[sym.i], sym.f[sym.i]
    >>> vanishes(over(y + f, sym.i) - over(y, sym.i) - over(f, sym.i))
    True
    """
    split = rebuild(expr, Sum, lambda sum_: contract(Sum(expand(sum_.function), *sum_.limits)))
    return bool(expand(split) == 0)


def rebuild(expr: Expr, kind: type, change: Callable[[Expr], Expr]) -> Expr:
    """Rebuild from the leaves up, changing each node of a kind, `Indexed` or `Sum`.

    >>> rebuild(sym.y[sym.i] + 1, Indexed, lambda entry: 2 * entry)
    2*y[i] + 1
    """
    if isinstance(expr, Indexed):
        return change(expr) if kind is Indexed else expr
    if isinstance(expr, Sum):
        rebuilt = Sum(rebuild(expr.function, kind, change), *expr.limits)
        return change(rebuilt) if kind is Sum else rebuilt
    if not expr.args:
        return expr
    return expr.func(*[rebuild(arg, kind, change) for arg in expr.args])


def _sum_once(body: Expr, index: Symbol, upper: Expr) -> Expr:
    return Add(*[_sum_term(term, index, upper) for term in _terms(body, index)])


def _terms(body: Expr, index: Symbol) -> tuple[Expr, ...]:
    """The terms of a body, multiplied out only where a delta in `index` hides inside a factor."""
    if isinstance(body, Add):
        return tuple(term for part in body.args for term in _terms(part, index))
    if any(isinstance(factor, Add) and _delta_in(factor, index) for factor in Mul.make_args(body)):
        return _terms(expand_mul(body, deep=False), index)
    return (body,)


def _delta_in(expr: Expr, index: Symbol) -> bool:
    return any(index in delta.args for delta in expr.atoms(KroneckerDelta))


def _sum_term(term: Expr, index: Symbol, upper: Expr) -> Expr:
    """Sum one term: over its delta, or past another sum, or leaving only what depends on the index."""
    if term == 0:
        return term
    outside, inside = term.as_independent(index, as_Add=False)
    if inside == 1:
        return outside * upper
    deltas = [x for x in Mul.make_args(inside) if isinstance(x, KroneckerDelta) and index in x.args]
    if deltas:
        return outside * rename(inside / deltas[0], {index: _partner(deltas[0], index)})
    limits, body = _pull_in(inside)
    if limits and all(_depth(index) < _depth(limit[0]) for limit in limits):
        return outside * Sum(_sum_once(body, index, upper), *limits)
    if _delta_in(inside, index):
        raise DerivationError(f"no rule contracts the delta in {inside} over {index}")
    return outside * Sum(inside, (index, 1, upper))


def _depth(index: Symbol) -> int:
    """Sums over inputs go innermost, then units, then samples, so that like sums meet."""
    return (sym.d, sym.m, sym.n).index(sym.SIZE[index])


def _partner(delta: KroneckerDelta, index: Symbol) -> Symbol:
    """The other index of a delta; it must count the same thing, or the delta could select nothing."""
    (other,) = [x for x in delta.args if x != index]
    if sym.SIZE.get(other) != sym.SIZE[index]:
        raise DerivationError(f"{index} and {other} do not run over the same range")
    return other


def _flat_term(term: Expr) -> Expr:
    limits, body = _pull_in(term)
    if not limits:
        return term
    inner = [_pull_in(flatten(part)) for part in Add.make_args(expand_mul(body, deep=False))]
    return _joined(Add(*[limited(part, (*more, *limits)) for more, part in inner]))


def _joined(expr: Expr) -> Expr:
    """The same terms, those over the same indices under one sign."""
    groups: dict[tuple[Tuple, ...], list[Expr]] = {}
    for term in Add.make_args(expr):
        groups.setdefault(_pull_in(term)[0], []).append(term)
    return Add(*[_under_one_sign(limits, terms) for limits, terms in groups.items()])


def _under_one_sign(limits: tuple[Tuple, ...], terms: list[Expr]) -> Expr:
    if not limits or len(terms) == 1:
        return Add(*terms)
    return Sum(Add(*[_pull_in(term)[1] for term in terms]), *limits)


def _pull_in(term: Expr) -> tuple[tuple[Tuple, ...], Expr]:
    """A term as the limits and the body of one sum; no limits where it is none, or would hold a second."""
    rest, sum_ = _split_sum(term)
    if sum_ is None or rest.has(Sum) or any(index in rest.free_symbols for index in sum_.bound_symbols):
        return (), term
    limits = sorted(sum_.limits, key=lambda limit: (_depth(limit[0]), str(limit[0])))
    return tuple(limits), rest * sum_.function


def _split_sum(term: Expr) -> tuple[Expr, Sum | None]:
    """A product with one sum among its factors, as the other factors and the sum."""
    sums = [x for x in Mul.make_args(term) if isinstance(x, Sum)]
    if len(sums) != 1:
        return term, None
    return Mul(*[x for x in Mul.make_args(term) if not isinstance(x, Sum)]), sums[0]


def _captures(sum_: Sum, old: Symbol, new: Symbol) -> bool:
    """Whether renaming would make a free index bound."""
    bound, free = sum_.bound_symbols, sum_.free_symbols
    return (new in bound and (old in free or old in _bound(sum_.function))) or (old in bound and new in free)


def _bound(expr: Expr) -> set[Symbol]:
    return {index for sum_ in expr.atoms(Sum) for index in sum_.bound_symbols}
