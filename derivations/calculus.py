"""Calculus on sums of symbolic length: differentiate, contract deltas, fold and unfold abbreviations.

Every function returns an expression equal to its argument (or to its derivative) for all m, n, d >= 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sympy import Add, Expr, Indexed, KroneckerDelta, Mul, Pow, Sum, Symbol, Tuple, expand, expand_mul, factor_terms

from derivations import symbols as sym
from derivations.errors import DerivationError

Block = Expr | Tuple
"""An expression, or one for each of z, c_1, .., c_p."""


def over(body: Expr, *indices: Symbol) -> Expr:
    """Sum over indices, each from 1 to its size.

    >>> over(sym.y[sym.i], sym.i)
    Sum(y[i], (i, 1, n))
    """
    return Sum(body, *[(index, 1, sym.SIZE[index]) for index in indices])


def unfold(expr: Expr) -> Expr:
    """Write the pre-activations and their directions out, z_ji = sum_k Theta_jk X_ik.

    >>> unfold(sym.Z[sym.j, sym.i])
    Sum(Theta[j, k]*X[i, k], (k, 1, d))
    """
    weights = {sym.Z: sym.Theta, sym.u: sym.U}

    def write_out(entry: Indexed) -> Expr:
        unit, sample = entry.indices
        return over(weights[entry.base][unit, sym.k] * sym.X[sample, sym.k], sym.k)

    return _each(expr, Indexed, lambda entry: write_out(entry) if entry.base in weights else entry)


def fold(expr: Expr) -> Expr:
    """Abbreviate inner products of rows: z_ji, u_ji, G_il and s_i = G_ii.

    >>> fold(over(sym.X[sym.i, sym.e] ** 2, sym.e))
    s[i]
    """
    return _each(expr, Sum, _abbreviated)


def differentiate(expr: Expr, parameter: Indexed) -> Expr:
    """Differentiate by one parameter and carry out the sums over the deltas that arise.

    >>> differentiate(over(sym.y[sym.i] ** 2, sym.i), sym.y[sym.l])
    2*y[l]
    """
    return contract(expr.diff(parameter))


def along(expr: Expr, order: int, moving: Callable[[Indexed], Expr]) -> Expr:
    """Differentiate at t = 0 when each indexed entry x moves as x + t moving(x).

    >>> along(sym.y[sym.i] ** 2, 2, lambda entry: entry)
    2*y[i]**2
    """
    moved = _each(expr, Indexed, lambda entry: entry + sym.t * moving(entry))
    return merge(contract(moved.diff(sym.t, order).subs(sym.t, 0)))


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


def _flat_term(term: Expr) -> Expr:
    limits, body = _pull_in(term)
    if not limits:
        return term
    inner = [_pull_in(flatten(part)) for part in Add.make_args(expand_mul(body, deep=False))]
    return _joined(Add(*[_signed(part, (*more, *limits)) for more, part in inner]))


def _signed(body: Expr, limits: Iterable[Tuple]) -> Expr:
    return Sum(body, *limits) if body != 0 else body


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


def coefficient(expr: Expr, *factors: Expr) -> Expr:
    """The coefficient of a product of factors, in an expression that is linear in each.

    >>> coefficient(sym.y[sym.i] * sym.f[sym.i] + 2 * sym.y[sym.i], sym.y[sym.i])
    f[i] + 2
    """
    for factor in factors:
        expr = expr.diff(factor)
    return expr


def form_entry(body: Expr, first: Expr, second: Expr) -> Expr:
    """An entry of the symmetric matrix of a quadratic form: half the mixed second derivative.

    >>> form_entry(sym.s[sym.i] * sym.y[sym.i] ** 2, sym.y[sym.i], sym.y[sym.i])
    s[i]
    """
    return factor_terms(expand(coefficient(body, first, second) / 2))


def tidy(expr: Expr) -> Expr:
    """Take common factors out of every sum's body; only the appearance changes.

    >>> tidy(over(2 * sym.y[sym.i] * sym.f[sym.i] + 2 * sym.y[sym.i], sym.i))
    Sum(2*(f[i] + 1)*y[i], (i, 1, n))
    """
    return _each(expr, Sum, lambda sum_: Sum(factor_terms(sum_.function), *sum_.limits))


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


def vanishes(expr: Expr) -> bool:
    """Whether an expression is nought once every sum is split into its terms.

    A True is a proof; a False may only mean that the terms were not recognised as equal.

    >>> vanishes(over(sym.y[sym.i] + sym.f[sym.i], sym.i) - over(sym.y[sym.i], sym.i) - over(sym.f[sym.i], sym.i))
    True
    """
    split = _each(expr, Sum, lambda sum_: contract(Sum(expand(sum_.function), *sum_.limits)))
    return bool(expand(split) == 0)


def each(block: Block, change: Callable[[Expr], Expr]) -> Block:
    """Apply a change to an expression or to each component of a block.

    >>> each(Tuple(sym.L, sym.F), lambda x: 2 * x)
    (2*L, 2*F)
    """
    return Tuple(*map(change, block)) if isinstance(block, Tuple) else change(block)


def components(block: Block) -> tuple[Expr, ...]:
    """The components of a block; an expression is a block of one.

    >>> components(sym.L)
    (L,)
    """
    return tuple(block) if isinstance(block, Tuple) else (block,)


def block(parts: list[Expr]) -> Block:
    """Make a block; one component alone stays an expression.

    >>> block([sym.L])
    L
    """
    return Tuple(*parts) if len(parts) > 1 else parts[0]


def _each(expr: Expr, kind: type, change: Callable[[Expr], Expr]) -> Expr:
    """Rebuild from the leaves up, changing each node of a kind."""
    if isinstance(expr, Indexed):
        return change(expr) if kind is Indexed else expr
    if isinstance(expr, Sum):
        rebuilt = Sum(_each(expr.function, kind, change), *expr.limits)
        return change(rebuilt) if kind is Sum else rebuilt
    if not expr.args:
        return expr
    return expr.func(*[_each(arg, kind, change) for arg in expr.args])


def _abbreviated(sum_: Sum) -> Expr:
    """The short name of one inner product over the inputs, or the sum itself."""
    rows = _row_pair(sum_)
    if rows is None:
        return sum_
    (first, left), (second, right) = sorted(rows, key=lambda row: (row[0] == sym.X, str(row[1])))
    if first == sym.X:
        return sym.s[left] if left == right else sym.G[left, right]
    return {sym.Theta: sym.Z, sym.U: sym.u}[first][left, right] if second == sym.X else sum_


def _row_pair(sum_: Sum) -> list[tuple[Expr, Expr]] | None:
    """The two rows of a sum over one input index of a product of two matrix entries."""
    ((index, _, upper), *rest) = sum_.limits
    if rest or upper != sym.d:
        return None
    factors: list[Expr] = []
    for factor in Mul.make_args(sum_.function):
        base, exponent = factor.as_base_exp()
        factors += [base] * int(exponent) if exponent.is_Integer and exponent > 0 else [factor]
    entries = [x for x in factors if isinstance(x, Indexed) and x.base in (sym.X, sym.Theta, sym.U)]
    if len(factors) != 2 or len(entries) != 2 or any(x.indices[-1] != index for x in entries):
        return None
    return [(x.base, x.indices[0]) for x in entries]


def _sum_once(body: Expr, index: Symbol, upper: Expr) -> Expr:
    return Add(*[_sum_term(term, index, upper) for term in _terms(body, index)])


def _terms(body: Expr, index: Symbol) -> tuple[Expr, ...]:
    """The terms of a body, multiplied out only where a delta in `index` hides inside a factor."""
    if not isinstance(body, Add) and any(
        isinstance(factor, Add) and _delta_in(factor, index) for factor in Mul.make_args(body)
    ):
        body = expand_mul(body, deep=False)
    return tuple(Add.make_args(body))


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
