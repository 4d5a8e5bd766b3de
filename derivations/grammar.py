"""What a formula may be made of, and the only functions that build one.

Both front ends, text and SymPy trees, build through `number`, `add`, `multiply`, `power` and `call`. Each
looks at its arguments before SymPy computes anything and at the result afterwards, so that no
intermediate value is ever large, complex, infinite or of an unknown kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from types import MappingProxyType

import sympy
from sympy import Add, Expr, Mul, Number, Pow, Rational, Symbol, preorder_traversal

from derivations.errors import FormulaError
from derivations.functions import sigmoid, softplus

MAX_NODES = 300
MAX_DEPTH = 60
MAX_BITS = 1024
MAX_EXPONENT = 64

_SMOOTH: dict[type, Callable[[float], float]] = {
    sympy.exp: math.exp,
    sympy.log: math.log,
    sympy.sin: math.sin,
    sympy.cos: math.cos,
    sympy.tan: math.tan,
    sympy.sinh: math.sinh,
    sympy.cosh: math.cosh,
    sympy.tanh: math.tanh,
    sympy.asinh: math.asinh,
    sympy.atan: math.atan,
    sympy.erf: math.erf,
    sigmoid: lambda x: 0.5 * (1.0 + math.tanh(0.5 * x)),
    softplus: lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
}
"""The functions a formula is made of, each with its value at a float (for constants only)."""


def _sqrt(x: Expr) -> Expr:
    return power(x, Rational(1, 2))


def _log(x: Expr) -> Expr:
    """A logarithm; log(1 + exp(w)) is taken as softplus(w), whose derivatives do not overflow."""
    exponent = _logistic_exponent(x)
    return sympy.log(x) if exponent is None else softplus(exponent)


CALLS: MappingProxyType[str, Callable[[Expr], Expr]] = MappingProxyType(
    {cls.__name__: cls for cls in _SMOOTH}
    | {
        "log": _log,
        "sqrt": _sqrt,
        "arctan": sympy.atan,
        "arcsinh": sympy.asinh,
        "log1p": lambda x: call("log", add(sympy.Integer(1), x)),
        "expm1": lambda x: add(sympy.exp(x), sympy.Integer(-1)),
    }
)
"""The functions that a formula may call."""

CONSTANTS: MappingProxyType[str, Expr] = MappingProxyType({"pi": sympy.pi, "E": sympy.E})
"""The named constants."""

KINKED = frozenset(
    ["abs", "Abs", "fabs", "relu", "ReLU", "leaky_relu", "elu", "selu", "max", "Max", "min", "Min"]
    + ["sign", "Heaviside", "Piecewise", "floor", "ceiling", "clip", "hardtanh", "softsign"]
)
"""Names that people try and that are not three times differentiable."""

WRITTEN: MappingProxyType[str, str] = MappingProxyType(
    {
        "gelu": "z*(1 + erf(z/sqrt(2)))/2",
        "ln": "log(z)",
        "logcosh": "log(cosh(z))",
        "mish": "z*tanh(softplus(z))",
        "sech": "1/cosh(z)",
        "silu": "z*sigmoid(z)",
        "swish": "z*sigmoid(z)",
    }
)
"""Names that people try and that are formulas."""

_LEAVES = (sympy.Integer, Rational, type(sympy.pi), type(sympy.E))


def function_names() -> str:
    """List the functions that a formula may call.

    >>> function_names().split(", ")[0]
    'arcsinh'
    """
    return ", ".join(sorted(CALLS))


def number(value: Fraction) -> Expr:
    """Make an exact number.

    Raises:
        FormulaError: its numerator or denominator is too long.

    >>> number(Fraction("0.1"))
    1/10
    """
    return _checked(Rational(value.numerator, value.denominator))


def add(*terms: Expr) -> Expr:
    """Make a sum.

    Raises:
        FormulaError: the result is not a smooth real formula of moderate size.

    >>> add(sympy.Integer(1), Symbol("z"))
    z + 1
    """
    return _checked(_left_to_right(Add, terms))


def multiply(*factors: Expr) -> Expr:
    """Make a product.

    Raises:
        FormulaError: the result is not a smooth real formula of moderate size.

    >>> multiply(sympy.Integer(2), Symbol("z"))
    2*z
    """
    return _checked(_left_to_right(Mul, factors))


def power(base: Expr, exponent: Expr) -> Expr:
    """Make a power, refusing beforehand what would be huge.

    Powers of 1 + exp(w) with a negative integer exponent are taken as powers of sigmoid(-w).

    Raises:
        FormulaError: the exponent or a number in the base is too large, or the result is not a smooth
            real formula.

    >>> power(Symbol("z"), sympy.Integer(3))
    z**3
    """
    _check_exponent(base, exponent)
    logistic = _logistic_exponent(base)
    if logistic is not None and exponent.is_Integer and exponent.is_negative:
        return _checked(Pow(sigmoid(-logistic), -exponent))
    return _checked(_made(Pow, base, exponent))


def call(name: str, argument: Expr) -> Expr:
    """Apply a function of the list.

    Raises:
        FormulaError: the function is not in the list, or the result is not a smooth real formula.

    >>> call("exp", Symbol("z"))
    exp(z)
    """
    if name not in CALLS:
        raise FormulaError(unknown_function(name))
    return _checked(_made(CALLS[name], argument))


def _made(make: Callable[..., Expr], *parts: Expr) -> Expr:
    """What SymPy makes of the parts: it compares and factors constants to simplify them, and fails on some."""
    try:
        return make(*parts)
    except FormulaError:
        raise
    except (TypeError, AttributeError, ValueError):
        raise FormulaError(
            "a constant part of the formula cannot be simplified exactly; write it as a decimal number"
        ) from None


def unknown_function(name: str) -> str:
    """Say why a function cannot be called and what can.

    >>> "three times differentiable" in unknown_function("relu")
    True
    >>> unknown_function("silu")
    'silu is no function of the grammar; write z*sigmoid(z) for silu(z)'
    """
    if name in KINKED:
        return (
            f"{name} is not three times differentiable, which the flow needs; "
            "use a smooth function in its place, for example softplus"
        )
    if name in WRITTEN:
        return f"{name} is no function of the grammar; write {WRITTEN[name]} for {name}(z)"
    if name.lower() in CALLS:
        return f"unknown function {name!r}; write {name.lower()}(z)"
    return f"unknown function {name!r}; the functions are {function_names()}"


def _left_to_right(make: Callable[[Expr, Expr], Expr], parts: Iterable[Expr]) -> Expr:
    """Combine two at a time, checking each: a long product then never grows past the limit by much."""
    first, *rest = parts
    for part in rest:
        first = _checked(make(first, part))
    return first


def _logistic_exponent(x: Expr) -> Expr | None:
    """The w of x = 1 + exp(w), or None."""
    rest = x - 1 if isinstance(x, Add) else None
    return rest.args[0] if isinstance(rest, sympy.exp) else None


def _check_exponent(base: Expr, exponent: Expr) -> None:
    if not exponent.is_Rational:
        return
    size = abs(Fraction(exponent.p, exponent.q))
    if size > MAX_EXPONENT:
        raise FormulaError(f"an exponent of about {_short(size)} is too large; the largest is {MAX_EXPONENT}")
    bits = max((_bits(x) for x in base.atoms(Rational)), default=0)
    if bits > 1 and bits * size > MAX_BITS:
        raise FormulaError(_too_long())


def _checked(expr: Expr) -> Expr:
    """Let only smooth real formulas of moderate size pass."""
    for count, node in enumerate(preorder_traversal(expr)):
        if count >= MAX_NODES:
            raise FormulaError(f"the formula is too large; at most {MAX_NODES} nodes are allowed")
        _check_node(node)
    if not expr.free_symbols:
        constant_value(expr)
    return expr


def _check_node(node: Expr) -> None:
    if node in (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise FormulaError("a part of the formula is infinite or undefined (a division by nought?)")
    if node is sympy.I:
        raise FormulaError("a part of the formula is complex; only real formulas are allowed")
    if isinstance(node, Rational) and _bits(node) > MAX_BITS:
        raise FormulaError(_too_long())
    if not (
        isinstance(node, _LEAVES) or type(node) is Symbol or type(node) in (Add, Mul, Pow) or type(node) in _SMOOTH
    ):
        raise FormulaError(f"the formula contains {unknown_node(type(node).__name__)}")


def unknown_node(name: str) -> str:
    """Describe a kind of SymPy object that a formula cannot contain.

    >>> unknown_node("Abs")
    'Abs, which is not three times differentiable; use a smooth function in its place'
    """
    if name in KINKED:
        return f"{name}, which is not three times differentiable; use a smooth function in its place"
    return f"{name}, which is not allowed; allowed are + - * / **, numbers, pi, E and {function_names()}"


def constant_value(expr: Expr) -> float:
    """Compute a constant in floating point, to know that it is finite and real.

    Raises:
        FormulaError: it is not; the message says so.

    >>> constant_value(sympy.sqrt(2))
    1.4142135623730951
    """
    try:
        value = _float(expr)
    except (OverflowError, ValueError, ZeroDivisionError):
        value = math.nan
    if not isinstance(value, float) or not math.isfinite(value):
        raise FormulaError("a constant part of the formula is not a finite real number")
    return value


def _float(expr: Expr) -> float:
    if isinstance(expr, Number):
        return float(Fraction(expr.p, expr.q))
    if expr in (sympy.pi, sympy.E):
        return math.pi if expr is sympy.pi else math.e
    values = [_float(arg) for arg in expr.args]
    if isinstance(expr, Add):
        return math.fsum(values)
    if isinstance(expr, Mul):
        return math.prod(values)
    if isinstance(expr, Pow):
        return values[0] ** values[1]
    return _SMOOTH[type(expr)](*values)


def _bits(x: Rational) -> int:
    return int(max(abs(x.p).bit_length(), x.q.bit_length()))


def _short(x: Fraction) -> str:
    return f"{float(x):.3g}" if x < 10**300 else "more than 1e300"


def _too_long() -> str:
    return f"a number in the formula is too long; at most {MAX_BITS} bits (about 300 digits) are allowed"
