"""SymPy functions of our own: sigmoid, softplus, and the unit function that is not yet chosen.

`UnitDerivative` and `ActivationDerivative` carry the order of differentiation among their arguments,
so that differentiating one gives another and nothing needs `Derivative` or `Subs`.
"""

from __future__ import annotations

from sympy import Expr, Function, Indexed, IndexedBase, Integer, Rational, S, exp, log
from sympy.core.function import ArgumentIndexError

from derivations.notation import NOTATION


class sigmoid(Function):  # noqa: N801 (named as in formulas)
    """The logistic sigmoid, 1 / (1 + exp(-z)).

    >>> from sympy import Symbol
    >>> z = Symbol("z", real=True)
    >>> sigmoid(z).diff(z)
    sigmoid(-z)*sigmoid(z)
    """

    nargs = 1

    @classmethod
    def eval(cls, arg: Expr) -> Expr | None:
        """Know the value at nought; leave everything else as it stands."""
        return Rational(1, 2) if arg.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Give the derivative as a product, which loses no digits where the sigmoid nears one."""
        return sigmoid(self.args[0]) * sigmoid(-self.args[0])

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _eval_rewrite_as_exp(self, arg: Expr, **_: object) -> Expr:
        return 1 / (1 + exp(-arg))

    def _eval_evalf(self, prec: int) -> Expr:
        return self.rewrite(exp)._eval_evalf(prec)

    def _latex(self, printer: object, exp: str | None = None) -> str:
        return _named(r"\mathrm{sigmoid}", printer._print(self.args[0]), exp)  # type: ignore[attr-defined]


class softplus(Function):  # noqa: N801 (named as in formulas)
    """The smooth ramp log(1 + exp(z)), whose derivative is the sigmoid.

    >>> from sympy import Symbol
    >>> z = Symbol("z", real=True)
    >>> softplus(z).diff(z)
    sigmoid(z)
    """

    nargs = 1

    @classmethod
    def eval(cls, arg: Expr) -> Expr | None:
        """Know the value at nought; leave everything else as it stands."""
        return log(2) if arg.is_zero else None

    def fdiff(self, argindex: int = 1) -> Expr:
        """Give the derivative, the sigmoid."""
        return sigmoid(self.args[0])

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _eval_evalf(self, prec: int) -> Expr:
        return log(1 + exp(self.args[0]))._eval_evalf(prec)

    def _latex(self, printer: object, exp: str | None = None) -> str:
        return _named(r"\mathrm{softplus}", printer._print(self.args[0]), exp)  # type: ignore[attr-defined]


class UnitDerivative(Function):
    r"""A partial derivative of a generic unit function psi(z, c_1..c_p; a).

    The arguments are the p + 1 orders of differentiation, then z, c_1, .., c_p and a. Differentiating in
    z or c_q raises that order by one; the coefficient a is fixed, so differentiating in it is refused.

    >>> from sympy import symbols
    >>> z, a = symbols("z a")
    >>> UnitDerivative(0, z, a).diff(z, 2)
    UnitDerivative(2, z, a)
    """

    @property
    def size(self) -> int:
        """The number of variables, p + 1."""
        return (len(self.args) - 1) // 2

    @property
    def orders(self) -> tuple[int, ...]:
        """How often each of z, c_1, .., c_p has been differentiated in."""
        return tuple(int(order) for order in self.args[: self.size])

    @property
    def variables(self) -> tuple[Expr, ...]:
        """The arguments z, c_1, .., c_p."""
        return tuple(self.args[self.size : -1])

    @property
    def coefficient(self) -> Expr:
        """The fixed coefficient a."""
        return self.args[-1]

    def fdiff(self, argindex: int = 1) -> Expr:
        """Raise the order of the variable by one."""
        position = argindex - 1 - self.size
        if not 0 <= position < self.size:
            raise ArgumentIndexError(self, argindex)
        orders = [order + (q == position) for q, order in enumerate(self.orders)]
        return UnitDerivative(*orders, *self.args[self.size :])

    def _latex(self, printer: object, exp: str | None = None) -> str:
        name = NOTATION["psi"].latex + _order_mark(self.orders)
        if any(self.orders) and self.size > 1 and isinstance(self.coefficient, Indexed):
            indices = " ".join(printer._print(x) for x in self.coefficient.indices)  # type: ignore[attr-defined]
            return _named(name, rf"{NOTATION['v'].latex}_{{{indices}}}", exp)
        printed = [printer._print(x) for x in (*_shortened(self.variables), self.coefficient)]  # type: ignore[attr-defined]
        return _named(name, f"{', '.join(printed[:-1])}; {printed[-1]}", exp)


class ActivationDerivative(Function):
    r"""A derivative phi^{(k)}(z) of a generic activation; the arguments are k and z.

    >>> from sympy import Symbol
    >>> z = Symbol("z")
    >>> ActivationDerivative(1, 2 * z).diff(z)
    2*ActivationDerivative(2, 2*z)
    """

    nargs = 2

    @property
    def orders(self) -> tuple[int, ...]:
        """The order of differentiation, as a tuple of one."""
        return (int(self.args[0]),)

    @property
    def variables(self) -> tuple[Expr, ...]:
        """The argument z, as a tuple of one."""
        return (self.args[1],)

    def fdiff(self, argindex: int = 2) -> Expr:
        """Raise the order by one."""
        if argindex != 2:
            raise ArgumentIndexError(self, argindex)
        return ActivationDerivative(self.args[0] + 1, self.args[1])

    def _latex(self, printer: object, exp: str | None = None) -> str:
        mark = _order_mark(self.orders)
        return _named(NOTATION["phi"].latex + mark, printer._print(self.args[1]), exp)  # type: ignore[attr-defined]


def generic_unit(z: Expr, own: tuple[Expr, ...], a: Expr, *, separable: bool) -> Expr:
    """Write the generic unit: a phi(z) where `separable`, psi(z, c; a) otherwise.

    Raises:
        ValueError: a separable unit is asked for together with scalars of its own.

    >>> from sympy import symbols
    >>> z, c, a = symbols("z c a")
    >>> generic_unit(z, (), a, separable=True)
    a*ActivationDerivative(0, z)
    >>> generic_unit(z, (c,), a, separable=False)
    UnitDerivative(0, 0, z, c, a)
    """
    if separable and own:
        raise ValueError("a unit of the form a phi(z) has no trained scalars of its own")
    if separable:
        return a * ActivationDerivative(S.Zero, z)
    return UnitDerivative(*[Integer(0)] * (1 + len(own)), z, *own, a)


def _shortened(variables: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The variables with c_j in place of c_1j, .., c_pj."""
    first, *own = variables
    indices = {x.indices for x in own if isinstance(x, Indexed)}
    if len(indices) != 1:
        return variables
    return first, IndexedBase(NOTATION["c"].name)[indices.pop()]


def _order_mark(orders: tuple[int, ...]) -> str:
    """Primes for one variable, subscripts for several."""
    if len(orders) == 1:
        return "'" * orders[0] if orders[0] <= 3 else f"^{{({orders[0]})}}"
    names = ["z", *(f"c_{{{q}}}" for q in range(1, len(orders)))]
    subscript = " ".join(name for name, order in zip(names, orders, strict=True) for _ in range(order))
    return f"_{{{subscript}}}" if subscript else ""


def _named(name: str, arguments: str, exponent: str | None) -> str:
    """A function applied, with its power outside brackets so that primes and powers do not meet."""
    applied = rf"{name}\left({arguments}\right)"
    return applied if exponent is None else rf"{{{applied}}}^{{{exponent}}}"
