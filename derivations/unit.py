"""The unit function: the one symbolic source of everything else."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sympy import Expr, Symbol

from derivations import grammar
from derivations.errors import FormulaError
from derivations.parser import formula_text, parse_formula, rebuild_expression

S = Symbol("s", positive=True)
"""The squared norm of a sample, s_i = |x_i|^2."""

LAMBDA = Symbol("lambda_", real=True)
"""The multiplier lambda_i of sample i's constraint."""

_TAKEN = frozenset({"z", "a", "s", "lambda_", *grammar.CALLS, *grammar.CONSTANTS, *grammar.KINKED})
_MAX_OWN = 8
_MAX_NAME = 30


@dataclass(frozen=True, init=False)
class UnitFunction:
    """A unit function psi(z, c_1..c_p; a), the summand of the network's output.

    The output is f_i = sum_j psi(z_ji, c_j; a_ji) with z_ji = theta_j . x_i. The scalars c are trained,
    the coefficient a is fixed. Where `a` does not occur in the formula, psi is a times the formula.

    Args:
        formula: Text or a SymPy expression in z, the names in `own`, and perhaps a.
        own: Names of the unit's own trained scalars, in the order of the parameter columns.

    Raises:
        FormulaError: the formula or a name is not one the toolkit can take; the message says why.

    Two units are equal where their canonical texts and their own names are.

    >>> UnitFunction("z**3 + z").psi
    a*(z**3 + z)
    >>> UnitFunction("c * tanh(z)", own=("c",)).p
    1
    """

    formula: str
    own: tuple[str, ...]

    def __init__(self, formula: str | Expr, own: Iterable[str] = ()) -> None:
        names = _own_names(own)
        object.__setattr__(self, "own", names)
        object.__setattr__(self, "formula", _canonical_text(formula, names))

    def __reduce__(self) -> tuple[type[UnitFunction], tuple[str, tuple[str, ...]]]:
        return UnitFunction, (self.formula, self.own)

    @property
    def p(self) -> int:
        """How many trained scalars the unit owns."""
        return len(self.own)

    @property
    def z(self) -> Symbol:
        """The pre-activation, a real symbol."""
        return _symbols(self.own)["z"]

    @property
    def c(self) -> tuple[Symbol, ...]:
        """The unit's own trained scalars, real symbols named as in `own`."""
        return tuple(_symbols(self.own)[name] for name in self.own)

    @property
    def a(self) -> Symbol:
        """The fixed coefficient, a real symbol."""
        return _symbols(self.own)["a"]

    @property
    def psi(self) -> Expr:
        """The unit function in z, c and a."""
        expr = _expression(self.formula, self.own)
        return self.a * expr if self.is_multiple else expr

    @property
    def is_multiple(self) -> bool:
        """Whether psi is a times a function that does not depend on a."""
        return self.a not in _expression(self.formula, self.own).free_symbols

    @property
    def phi(self) -> Expr | None:
        """The activation in z where psi = a phi(z) and p = 0, otherwise None."""
        return _activation(self.formula, self.own)


def _own_names(own: Iterable[str]) -> tuple[str, ...]:
    if isinstance(own, str):
        raise FormulaError(f"own is a sequence of names, such as own=({own!r},); a bare text came")
    names = tuple(own)
    if len(names) > _MAX_OWN:
        raise FormulaError(f"{len(names)} own parameters came; at most {_MAX_OWN} are allowed")
    for name in names:
        _check_name(name)
    if len(set(names)) != len(names):
        raise FormulaError(f"the own parameters {names} contain a name twice; each needs its own")
    return names


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise FormulaError(f"a name of an own parameter is text, not {type(name).__name__}")
    plain = name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and len(name) <= _MAX_NAME
    if not plain or name.startswith("_"):
        raise FormulaError(f"{name[:60]!r} cannot name an own parameter; use a short word of letters, digits and _")
    if name in _TAKEN:
        raise FormulaError(f"{name!r} already has a meaning in formulas; choose another name for the own parameter")


@lru_cache(maxsize=256)
def _symbols(own: tuple[str, ...]) -> dict[str, Symbol]:
    return {name: Symbol(name, real=True) for name in ("z", *own, "a")}


@lru_cache(maxsize=256)
def _expression(formula: str, own: tuple[str, ...]) -> Expr:
    return parse_formula(formula, _symbols(own))


@lru_cache(maxsize=256)
def _activation(formula: str, own: tuple[str, ...]) -> Expr | None:
    expr, symbols = _expression(formula, own), _symbols(own)
    return None if own or symbols["a"] in expr.free_symbols else expr


def _canonical_text(formula: str | Expr, own: tuple[str, ...]) -> str:
    """The text that reparses to the same expression, a plain factor `a` left out."""
    symbols = _symbols(own)
    take = rebuild_expression if isinstance(formula, Expr) else parse_formula
    expr = take(formula, symbols)
    expr = _without_coefficient(expr, symbols["a"])
    _check_variables(expr, own)
    return _settled(expr, symbols)


def _settled(expr: Expr, symbols: dict[str, Symbol]) -> str:
    """Print and parse until the text repeats; SymPy may still merge something the first time."""
    text = formula_text(expr)
    for _ in range(5):
        again = formula_text(parse_formula(text, symbols))
        if again == text:
            return text
        text = again
    raise FormulaError(f"no stable form of the formula {text[:80]!r} was found; write it more simply")


def _without_coefficient(expr: Expr, a: Symbol) -> Expr:
    """The formula without its `a` where it is a times something free of a, itself otherwise."""
    if a not in expr.free_symbols:
        return expr
    slope = expr.diff(a)
    proportional = a not in slope.free_symbols and expr.subs(a, 0) == 0
    return slope if proportional else expr


def _check_variables(expr: Expr, own: tuple[str, ...]) -> None:
    present = {symbol.name for symbol in expr.free_symbols}
    if not present & {"z", *own}:
        raise FormulaError(
            f"the formula {formula_text(expr)[:80]!r} depends on no parameter; it needs z or an own scalar"
        )
    missing = [name for name in own if name not in present]
    if missing:
        raise FormulaError(
            f"the own parameters {', '.join(missing)} do not occur in the formula; leave them out of own"
        )
