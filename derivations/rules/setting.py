"""The generic network that the rules differentiate."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Add, Expr, Indexed

from derivations import symbols as sym
from derivations.abbreviations import fold, unfold
from derivations.blocks import Block, block, components
from derivations.calculus import along, differentiate
from derivations.functions import generic_unit
from derivations.sums import contract, merge, over, rename


@dataclass(frozen=True)
class Setting:
    """A sum of units psi(z_ji, c_j; a_ji) with p trained scalars each, or of a_ji phi(z_ji).

    Args:
        p: Number of trained scalars a unit owns.
        separable: Whether the unit is a phi(z); needs p = 0.
    """

    p: int
    separable: bool

    @property
    def kinds(self) -> range:
        """The kinds of variable: 0 for z, q for c_q."""
        return range(self.p + 1)

    def unit(self, j: Expr = sym.j, i: Expr = sym.i) -> Expr:
        """The unit j at sample i, folded."""
        first, *rest = [sym.variable(kind, j, i) for kind in self.kinds]
        return generic_unit(first, tuple(rest), sym.a[j, i], separable=self.separable)

    def slope(self, j: Expr = sym.j, i: Expr = sym.i) -> Expr:
        """The unit's derivative in z, folded."""
        return self.unit(j, i).diff(sym.Z[j, i])

    def output(self, i: Expr = sym.i) -> Expr:
        """The network's output at sample i, folded."""
        return over(self.unit(sym.j, i), sym.j)

    def loss(self) -> Expr:
        """The loss with the output written out, folded."""
        return over((self.output() - sym.y[sym.i]) ** 2, sym.i)

    def by_parameters(self, expr: Expr, j: Expr = sym.j, k: Expr = sym.k) -> Block:
        """Differentiate a folded expression by the parameters of unit j, column k; fold the result.

        While differentiating, the unit is called r and the column e, which no expression here binds.
        """
        wide = unfold(expr)
        parts = [merge(fold(differentiate(wide, sym.parameter(kind, sym.r, sym.e)))) for kind in self.kinds]
        return block([rename(part, {sym.r: j, sym.e: k}) for part in parts])

    def trace(self, expr: Expr) -> Expr:
        """The sum of a folded expression's second derivatives by every parameter, folded."""
        wide = unfold(expr)
        terms = []
        for kind in self.kinds:
            parameter = sym.parameter(kind, sym.r, sym.e)
            indices = (sym.e, sym.r) if kind == 0 else (sym.r,)
            terms.append(contract(over(differentiate(differentiate(wide, parameter), parameter), *indices)))
        return merge(fold(Add(*terms)))

    def inner(self, left: Block, right: Block) -> Expr:
        """The inner product of two parameter blocks of unit j and column k, over all of both."""
        products = [x * y for x, y in zip(components(left), components(right), strict=True)]
        sums = [over(products[0], sym.k, sym.j), *[over(product, sym.j) for product in products[1:]]]
        return merge(fold(contract(Add(*sums))))

    def move(self, expr: Expr, order: int, *, multipliers: bool = False) -> Expr:
        """Differentiate a folded expression along the direction U at t = 0.

        Args:
            expr: The expression.
            order: How often to differentiate.
            multipliers: Whether the multipliers move too, lambda_i at the rate w_i.
        """
        return along(expr, order, lambda entry: _moving(entry, multipliers))


def _moving(entry: Indexed, multipliers: bool) -> Expr:
    """How an entry moves along U: z by u, c_q by U_q, lambda by w where asked, all else not."""
    if entry.base == sym.Z:
        return sym.u[entry.indices]
    if entry.base == sym.lam and multipliers:
        return sym.w[entry.indices]
    number = sym.own_number(entry.base, "c")
    return sym.own_direction(number)[entry.indices] if number else Add()
