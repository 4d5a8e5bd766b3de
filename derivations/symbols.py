"""The SymPy objects behind the notation: indices, sizes, indexed arrays.

Indices run from 1, as on paper. The arrays have symbolic sizes; an index's letter says what it counts,
which is what makes contracting a Kronecker delta sound.
"""

from __future__ import annotations

from sympy import Expr, Indexed, IndexedBase, Integer, Symbol

from derivations.notation import NOTATION


def _index(name: str) -> Symbol:
    return Symbol(NOTATION[name].name, integer=True, positive=True)


def _array(name: str) -> IndexedBase:
    return IndexedBase(NOTATION[name].name, real=True)


def _scalar(name: str, **assumptions: bool) -> Symbol:
    return Symbol(NOTATION[name].name, **(assumptions or {"real": True}))


m, n, d = (Symbol(NOTATION[name].name, integer=True, positive=True) for name in ("m", "n", "d"))
i, l, j, r, k, e = (_index(name) for name in ("i", "l", "j", "r", "k", "e"))  # noqa: E741 (as on paper)
t = _scalar("t")

SIZE: dict[Symbol, Symbol] = {i: n, l: n, j: m, r: m, k: d, e: d}
"""What each index counts: it runs from 1 to this size."""

X, y, Theta, a, Z, G, s = (_array(name) for name in ("X", "y", "Theta", "a", "z", "G", "s"))
f, K, Kinv, lam, w = (_array(name) for name in ("f", "K", "Kinv", "lambda_", "w"))
zeta, nu = (_array(name) for name in ("zeta", "nu"))
C, E, U, u, q = (_array(name) for name in ("C", "E", "U", "u", "q"))

L, F = _scalar("L"), _scalar("F")
kappa, beta, tau, mu, s_min, a2_min, rho1, rho2, gamma = (
    _scalar(name, positive=True) for name in ("kappa", "beta", "tau", "mu", "s_min", "a2_min", "rho1", "rho2", "gamma")
)
Fstar, F0, gnorm = (_scalar(name, nonnegative=True) for name in ("Fstar", "F0", "gnorm"))
radius, modulus = (_scalar(name, positive=True) for name in ("radius", "modulus"))


def own(number: int) -> IndexedBase:
    """The array of the units' trained scalars c_q, one a unit.

    >>> own(1)[j]
    c_1[j]
    """
    return IndexedBase(f"c_{number}", real=True)


def own_direction(number: int) -> IndexedBase:
    """The part of a direction U that moves c_q.

    >>> own_direction(2)[j]
    U_2[j]
    """
    return IndexedBase(f"U_{number}", real=True)


def own_number(base: IndexedBase, prefix: str) -> int:
    """The q of an array named by `own` or `own_direction`, nought for any other.

    >>> own_number(own(2), "c")
    2
    """
    head, _, tail = str(base.label).partition("_")
    return int(tail) if head == prefix and tail.isdigit() else 0


def variable(number: int, unit: Expr, sample: Expr) -> Indexed:
    """Variable q of unit j at sample i: z_ji for q = 0, else c_q of the unit.

    >>> variable(0, j, i), variable(1, j, i)
    (z[j, i], c_1[j])
    """
    return Z[unit, sample] if number == 0 else own(number)[unit]


def direction(number: int, unit: Expr, sample: Expr) -> Indexed:
    """How variable q of unit j at sample i moves along U: u_ji for q = 0, else U_q of the unit.

    >>> direction(0, j, i), direction(1, j, i)
    (u[j, i], U_1[j])
    """
    return u[unit, sample] if number == 0 else own_direction(number)[unit]


def parameter(number: int, unit: Expr, column: Expr) -> Indexed:
    """Parameter block q of a unit: Theta_jk for q = 0, else c_q of the unit.

    >>> parameter(0, j, k), parameter(1, j, k)
    (Theta[j, k], c_1[j])
    """
    return Theta[unit, column] if number == 0 else own(number)[unit]


def feature(number: int, sample: Expr, column: Expr) -> Expr:
    """The derivative of variable q by its parameter: X_ik for q = 0, else 1.

    >>> feature(0, i, k), feature(1, i, k)
    (X[i, k], 1)
    """
    return X[sample, column] if number == 0 else Integer(1)


def display(latex: str) -> Symbol:
    r"""A left side that is only shown, named by its LaTeX.

    >>> display(r"\\nabla F").name
    '\\\\nabla F'
    """
    return Symbol(latex, real=True)
