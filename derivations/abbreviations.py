"""The short names of inner products over the inputs: z, u, G and s."""

from __future__ import annotations

from sympy import Expr, Indexed, Mul, Sum

from derivations import symbols as sym
from derivations.sums import over, rebuild


def unfold(expr: Expr) -> Expr:
    """Write the pre-activations and their directions out, z_ji = sum_k Theta_jk X_ik.

    >>> unfold(sym.Z[sym.j, sym.i])
    Sum(Theta[j, k]*X[i, k], (k, 1, d))
    """
    weights = {sym.Z: sym.Theta, sym.u: sym.U}

    def write_out(entry: Indexed) -> Expr:
        unit, sample = entry.indices
        return over(weights[entry.base][unit, sym.k] * sym.X[sample, sym.k], sym.k)

    return rebuild(expr, Indexed, lambda entry: write_out(entry) if entry.base in weights else entry)


def fold(expr: Expr) -> Expr:
    """Abbreviate inner products of rows: z_ji, u_ji, G_il and s_i = G_ii.

    >>> fold(over(sym.X[sym.i, sym.e] ** 2, sym.e))
    s[i]
    """
    return rebuild(expr, Sum, _abbreviated)


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
