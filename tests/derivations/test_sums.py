"""The calculus of symbolic sums against the same sums written out for small sizes."""

import itertools

import pytest
import sympy
from sympy import Integer, KroneckerDelta, Sum

from derivations import DerivationError
from derivations import symbols as sym
from derivations.abbreviations import fold, unfold
from derivations.calculus import along, coefficient, derivative, differentiate, form_entry
from derivations.checks.evaluate import Arithmetic, evaluate
from derivations.functions import ActivationDerivative, UnitDerivative
from derivations.sums import contract, flatten, merge, over, rename, summand, tidy, vanishes

SIZES = {"m": 2, "n": 3, "d": 4}
i, l, j, r, k, e = sym.i, sym.l, sym.j, sym.r, sym.k, sym.e  # noqa: E741 (as on paper)
PHI = ActivationDerivative(0, sym.Z[j, i])
OUTPUT = over(sym.a[j, i] * PHI, j)
LOSS = over((OUTPUT - sym.y[i]) ** 2, i)


def written_out(expr, **free):
    """The expression with its sums carried out, every entry a symbol; free indices have the values given."""
    return sympy.expand(
        explicit(expr, {sympy.Symbol(name, integer=True, positive=True): at for name, at in free.items()})
    )


def explicit(expr, at):
    if isinstance(expr, Sum):
        (index, _, size), *outer = expr.limits[::-1]
        body = Sum(expr.function, *outer[::-1]) if outer else expr.function
        return sum(explicit(body, {**at, index: value}) for value in range(1, SIZES[size.name] + 1))
    if isinstance(expr, sympy.Indexed):
        return sympy.Symbol("_".join(map(str, [expr.base.label, *(at[index] for index in expr.indices)])))
    if isinstance(expr, KroneckerDelta):
        return Integer(at[expr.args[0]] == at[expr.args[1]])
    if isinstance(expr, sympy.Symbol):
        return Integer(SIZES[expr.name]) if expr.name in SIZES else at.get(expr, expr)
    return expr.func(*[explicit(arg, at) for arg in expr.args]) if expr.args else expr


@pytest.mark.parametrize("change", [contract, merge, flatten, tidy], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "expr",
    [
        over(sym.y[i], i),
        2 * over(sym.y[i], i) + over(sym.f[i] * sym.y[i], i),
        over(sym.s[i] * over(sym.a[j, i] + sym.Z[j, i], j), i),
        over(over(sym.X[i, k] * sym.X[l, k], k) * sym.y[l], l),
        over(sym.s[i] * (over(sym.a[j, i], j) + over(sym.Z[j, i], j)), i),
        over(Integer(1), i) * sym.y[l],
        over((over(sym.a[j, i], j) - sym.y[i]) ** 2, i),
        over(sym.y[i] * (sym.f[i] + 1), i) - over(sym.f[i], i),
    ],
    ids=str,
)
def test_rewriting_changes_nothing(change, expr):
    assert written_out(change(expr), i=1, l=2) == written_out(expr, i=1, l=2)


@pytest.mark.parametrize(
    "expr",
    [
        over(KroneckerDelta(j, r) * sym.a[j, i], j),
        over(over(KroneckerDelta(j, r) * KroneckerDelta(k, e) * sym.X[i, k], k) * sym.a[j, i], j),
        over((KroneckerDelta(j, r) + sym.a[j, i]) * sym.Z[j, i], j),
        over(sym.Z[j, i] * (sym.a[j, i] * (KroneckerDelta(j, r) + 1) + 2), j),
        over(over(KroneckerDelta(i, l) * sym.a[j, i], j), i),
        over(KroneckerDelta(k, e) * over(sym.X[i, k] * sym.y[i], i), k),
    ],
    ids=str,
)
def test_contracting_deltas(expr):
    result = contract(expr)
    assert not any(sum_.function.has(KroneckerDelta) for sum_ in result.atoms(Sum))
    for unit, sample, column in itertools.product((1, 2), (1, 3), (1, 4)):
        at = {"r": unit, "i": sample, "l": sample, "e": column}
        assert written_out(result, **at) == written_out(expr, **at)


def test_a_delta_between_different_ranges_is_refused():
    with pytest.raises(DerivationError, match="same range"):
        contract(over(KroneckerDelta(j, i) * sym.a[j, i], j))


def test_a_delta_that_cannot_be_reached_is_refused():
    with pytest.raises(DerivationError, match="no rule contracts"):
        contract(over(KroneckerDelta(j, r) ** sym.y[i] * ActivationDerivative(0, KroneckerDelta(j, r)), j))


def test_renaming_is_refused_where_a_sum_would_capture():
    with pytest.raises(DerivationError, match="capture"):
        rename(over(sym.a[j, i], j), {i: j})
    with pytest.raises(DerivationError, match="capture"):
        rename(over(sym.Z[j, i] * sym.a[r, i], j), {r: j})
    assert rename(over(sym.a[j, i], j), {j: r}) == over(sym.a[r, i], r)


def test_folding_and_unfolding_are_inverse():
    expr = sym.Z[j, i] + sym.u[j, i] * sym.G[i, l] + sym.s[i]
    opened = unfold(expr)
    assert not opened.has(sym.Z[j, i])
    assert fold(opened) == expr
    gram = over(sym.X[i, k] * sym.X[l, k], k)
    assert fold(gram) == fold(over(sym.X[l, k] * sym.X[i, k], k)) == sym.G[i, l]
    assert fold(over(sym.X[i, k] ** 2, k)) == sym.s[i]


@pytest.mark.parametrize(
    "expr",
    [
        over(sym.X[i, k] * sym.y[i], k),
        over(sym.X[i, k] ** 3, k),
        over(sym.X[i, k] * sym.X[l, e], k),
        over(sym.Theta[j, k] * sym.U[j, k], k),
        over(sym.X[i, k] * sym.X[l, k] * sym.X[i, e], k),
    ],
    ids=str,
)
def test_what_is_no_inner_product_of_two_rows_stays(expr):
    assert fold(expr) == expr


@pytest.mark.parametrize("expr", [OUTPUT, LOSS, LOSS**2, over(sym.s[i] * OUTPUT**3, i)], ids=str)
def test_derivatives_agree_with_those_of_sympy(expr):
    wide = unfold(expr)
    ours, theirs = derivative(wide, sym.Theta[r, e]), wide.diff(sym.Theta[r, e])
    assert written_out(ours, r=1, e=2, i=1) == written_out(theirs, r=1, e=2, i=1)
    contracted = differentiate(wide, sym.Theta[r, e])
    assert written_out(contracted, r=2, e=1, i=3) == written_out(theirs, r=2, e=1, i=3)


def test_there_is_no_derivative_of_what_has_no_rule():
    with pytest.raises(DerivationError, match="no rule differentiates"):
        derivative(sym.y[i] ** sym.f[i], sym.f[i])


def test_derivatives_along_a_direction():
    moving = lambda entry: sym.f[entry.indices] if entry.base == sym.y else 0 * entry  # noqa: E731
    assert along(sym.y[i] ** 3, 1, moving) == 3 * sym.y[i] ** 2 * sym.f[i]
    assert along(over(sym.y[i] ** 2, i), 2, moving) == 2 * over(sym.f[i] ** 2, i)


def test_coefficients_of_forms():
    u, v = sym.u[j, i], sym.own_direction(1)[j]
    form = sym.s[i] * u**2 + 6 * sym.a[j, i] * u * v
    assert form_entry(form, u, u) == sym.s[i]
    assert form_entry(form, u, v) == 3 * sym.a[j, i]
    assert form_entry(form, v, v) == 0
    assert coefficient(form, v) == 6 * sym.a[j, i] * u


def test_a_summand_is_asked_of_one_sum_only():
    with pytest.raises(DerivationError, match="expected one sum"):
        summand(sym.y[i])
    with pytest.raises(DerivationError, match="expected one sum"):
        summand(over(sym.y[i], i) + over(sym.y[j], j))


def test_vanishing_is_recognised_and_its_opposite_too():
    assert vanishes(over(sym.y[i] * (sym.f[i] + 1), i) - over(sym.y[i] * sym.f[i], i) - over(sym.y[i], i))
    assert not vanishes(over(sym.y[i], i) - over(sym.f[i], i))


def test_generic_derivatives_commute_and_raise_their_orders():
    z, c, a = sympy.symbols("z c a")
    psi = UnitDerivative(0, 0, z, c, a)
    assert psi.diff(z, c) == psi.diff(c, z) == UnitDerivative(1, 1, z, c, a)
    assert psi.diff(z, 2).orders == (2, 0)
    assert ActivationDerivative(1, z**2).diff(z) == 2 * z * ActivationDerivative(2, z**2)
    with pytest.raises(sympy.core.function.ArgumentIndexError):
        psi.fdiff(5)


def test_evaluating_an_unknown_kind_is_refused():
    with pytest.raises(DerivationError, match="no value is known for gamma"):
        evaluate(sympy.gamma(sympy.Symbol("x")), lambda name, index: 1.0, Arithmetic(float))
    with pytest.raises(DerivationError, match="no value for pi"):
        evaluate(sympy.pi, lambda name, index: 1.0, Arithmetic(float))
