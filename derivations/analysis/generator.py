"""Functions of z as rational functions of a monotone generator (z, exp(z/q) or tan(z/q)) times a positive factor.

Where that succeeds, zeros and signs are decided exactly: by isolating the real roots of polynomials with rational
coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

from sympy import (
    Add,
    Expr,
    Integer,
    Mul,
    Poly,
    Rational,
    S,
    Symbol,
    atan,
    cancel,
    cosh,
    exp,
    expand,
    factor_terms,
    fraction,
    gcd,
    log,
    oo,
    pi,
    radsimp,
    sinh,
    tan,
    tanh,
    together,
)
from sympy.polys.polyerrors import PolynomialError

from derivations.functions import sigmoid

T = Symbol("t", real=True)


@dataclass(frozen=True)
class Generator:
    """A monotone function t of z.

    Args:
        kind: "z", "exp" or "tan".
        scale: The q of exp(z/q) and tan(z/q).
    """

    kind: str
    scale: Expr = S.One

    @property
    def range(self) -> tuple[Expr, Expr]:
        """The values that t takes, an open interval."""
        return (Integer(0), oo) if self.kind == "exp" else (-oo, oo)

    @property
    def rate(self) -> Expr:
        """The derivative of t by z, as a function of t."""
        return {"z": Integer(1), "exp": T / self.scale, "tan": (1 + T**2) / self.scale}[self.kind]

    def back(self, t: Expr) -> Expr:
        """The z of a t, ends of the range included.

        >>> Generator("exp").back(Integer(1))
        0
        """
        if self.kind == "z":
            return t
        if self.kind == "exp":
            return -oo if t == 0 else oo if t == oo else self.scale * _short_log(t)
        return self.scale * ({oo: pi / 2, -oo: -pi / 2}[t] if t in (oo, -oo) else atan(t))

    def of(self, z: Expr) -> Expr:
        """The t of a z."""
        return {"z": z, "exp": exp(z / self.scale), "tan": tan(z / self.scale)}[self.kind]


@dataclass(frozen=True)
class Curve:
    """A function of z: a positive factor times a rational function of the generator.

    Args:
        source: The function in z.
        z: The variable.
        factor: The positive factor, in z.
        ratio: The rational function of `T`.
        generator: What T stands for.
    """

    source: Expr
    z: Symbol
    factor: Expr
    ratio: Expr
    generator: Generator

    @property
    def slope(self) -> Expr:
        """The derivative by z over the same factor, a rational function of `T`."""
        inner = rational(cancel(self.factor.diff(self.z) / self.factor), self.z, self.generator)
        return cancel(self.ratio.diff(T) * self.generator.rate + self.ratio * (inner or Integer(0)))


def curves(sources: dict[str, Expr], z: Symbol) -> dict[str, Curve] | None:
    """Write functions with one generator and one common positive factor, or give up with None.

    >>> z = Symbol("z", real=True)
    >>> curves({"f": cosh(z)}, z)["f"].ratio
    (t**2 + 1)/(2*t)
    >>> curves({"f": z * exp(z)}, z) is None
    True
    """
    plain = {name: _plain(source) for name, source in sources.items()}
    factor = _common_factor(next(iter(plain.values())), z)
    divided = {name: expand(source / factor) for name, source in plain.items()}
    generator = _generator(divided.values(), z)
    if generator is None or rational(cancel(factor.diff(z) / factor), z, generator) is None:
        return None
    ratios = {name: rational(source, z, generator) for name, source in divided.items()}
    known = {name: ratio for name, ratio in ratios.items() if ratio is not None}
    if len(known) < len(ratios):
        return None
    return {name: Curve(sources[name], z, factor, ratio, generator) for name, ratio in known.items()}


def rational(source: Expr, z: Symbol, generator: Generator) -> Expr | None:
    """A function of z as a rational function of `T` with rational coefficients, or None."""
    if generator.kind == "exp":
        source = expand(source, power_exp=True).replace(
            lambda x: isinstance(x, exp), lambda x: T ** (x.args[0] / z * generator.scale)
        )
    elif generator.kind == "tan":
        source = source.subs(tan(z / generator.scale), T)
    else:
        source = source.subs(z, T)
    ratio = cancel(together(source))
    above, below = fraction(ratio)
    try:
        fits = all(Poly(part, T).domain.is_QQ or Poly(part, T).domain.is_ZZ for part in (above, below))
    except PolynomialError:
        return None
    return ratio if fits and not ratio.has(z) else None


def _plain(source: Expr) -> Expr:
    """Hyperbolic functions and the sigmoid by exponentials."""
    source = source.replace(lambda x: isinstance(x, sigmoid), lambda x: 1 / (1 + exp(-x.args[0])))
    return source.replace(lambda x: isinstance(x, sinh | cosh | tanh), lambda x: x.rewrite(exp))


def _common_factor(source: Expr, z: Symbol) -> Expr:
    """The positive factor: irrational constants, roots, and exponentials of anything but a multiple of z."""
    factors = Mul.make_args(factor_terms(source))
    return Mul(*[x for x in factors if _is_positive_factor(x, z)])


def _is_positive_factor(x: Expr, z: Symbol) -> bool:
    if not x.has(z):
        return bool(x.is_positive and not x.is_Rational)
    root = x.is_Pow and not x.exp.is_Integer and x.exp.is_Rational and bool(x.base.is_positive)
    return bool(root) or (isinstance(x, exp) and _rate_of(x, z) is None)


def _generator(sources: object, z: Symbol) -> Generator | None:
    """The one generator that all these functions have, or None."""
    total = Add(*sources)  # type: ignore[misc]
    exponentials, tangents = total.atoms(exp), total.atoms(tan)
    if exponentials and not tangents:
        rates = [_rate_of(x, z) for x in sorted(exponentials, key=str)]
        known = [rate for rate in rates if rate is not None]
        scale = Integer(lcm(*[int(rate.q) for rate in known]))
        return Generator("exp", scale) if len(known) == len(rates) else None
    if len(tangents) == 1 and not exponentials:
        (tangent,) = tangents
        rate = cancel(tangent.args[0] / z)
        return Generator("tan", 1 / rate) if rate.is_Rational and rate > 0 else None
    return Generator("z") if not exponentials | tangents else None


def _rate_of(x: Expr, z: Symbol) -> Rational | None:
    """The r of exp(r z), or None."""
    rate = cancel(x.args[0] / z)
    return rate if rate.is_Rational else None


def _short_log(t: Expr) -> Expr:
    """The logarithm of t, or half that of t^2 where this is shorter."""
    square = radsimp(expand(t**2)) if t.is_number else t**2
    return log(square) / 2 if t.is_number and square.count_ops() < t.count_ops() else log(t)


def reduced(poly: Poly) -> tuple[Poly, int]:
    """A polynomial in t as one in t^k, with the largest k there is.

    >>> reduced(Poly(T**4 - 4 * T**2 + 1, T))[1]
    2
    """
    exponents = [monomial[0] for monomial in poly.monoms() if monomial[0]]
    step = int(gcd(exponents)) if exponents else 1
    return Poly({(power // step,): coefficient for (power,), coefficient in poly.terms()}, T), step
