"""Exact analysis of activations: where A1 holds, the constants, closed forms, and the check of the constants."""

import math
from dataclasses import replace

import pytest
from sympy import Integer, Rational, Symbol, exp, log, oo, pi, simplify, sqrt

from derivations import UnitFunction
from derivations.analysis.assumptions import assumptions, derivatives
from derivations.analysis.closed import LEVEL, confinement, inverse
from derivations.analysis.generator import T, curves
from derivations.analysis.measured import measured_intervals
from derivations.analysis.roots import number, poles, zeros
from derivations.checks.constants import check_constants
from derivations.report.activation import least_sharpness

EVERYWHERE = ["z**3 + z", "z**3 + 0.1*z", "sinh(z)", "exp(z)", "z**5 + z**3 + z", "sinh(2*z) + z"]
SOMEWHERE = {
    "tanh(z)": math.atanh(1 / math.sqrt(3)),
    "atan(z)": 1 / math.sqrt(3),
    "erf(z)": 1 / math.sqrt(2),
    "asinh(z)": 1 / math.sqrt(2),
    "sigmoid(z)": math.log(2 + math.sqrt(3)),
}


@pytest.mark.parametrize("formula", EVERYWHERE)
def test_a1_holds_everywhere(formula):
    found = assumptions(UnitFunction(formula))
    assert found.exact
    assert found.everywhere
    assert found.reason == ""


@pytest.mark.parametrize(("formula", "edge"), SOMEWHERE.items())
def test_a1_holds_beyond_where_the_third_derivative_vanishes(formula, edge):
    found = assumptions(UnitFunction(formula))
    assert found.exact
    assert not found.everywhere
    assert [(number(x.low), number(x.high)) for x in found.holds] == [
        (-math.inf, pytest.approx(-edge)),
        (pytest.approx(edge), math.inf),
    ]
    assert found.interval == found.holds[1]


def test_constants_at_a_root_without_radicals():
    found = assumptions(UnitFunction("z**4/4 + 3*z**2/2 - 2*z"))
    root = number(found.interval.low)
    assert root**3 + 3 * root == pytest.approx(2)
    assert number(found.extremum("rho2").ends[0]) == pytest.approx(6 * root)
    assert found.extremum("rho1").ends[0] == 0
    assert found.extremum("gamma").ends[0] == oo


def test_softplus_satisfies_a1_left_of_nought_only():
    (interval,) = assumptions(UnitFunction("log(1 + exp(z))")).holds
    assert (interval.low, interval.high) == (-oo, 0)


def test_an_activation_is_looked_at_only_where_it_is_real():
    (interval,) = assumptions(UnitFunction("log(z)")).holds
    assert (interval.low, interval.high) == (0, oo)


@pytest.mark.parametrize(
    ("formula", "reason"), [("z**2", "vanishes"), ("z", "vanishes"), ("sin(z)", "same sign"), ("-z**3", "nowhere")]
)
def test_a1_holds_nowhere_and_the_reason_is_said(formula, reason):
    found = assumptions(UnitFunction(formula))
    assert found.exact
    assert found.interval is None
    assert reason in found.reason
    assert found.extrema == ()


@pytest.mark.parametrize("formula", ["z*erf(z)", "z**3 + exp(z)", "z*sigmoid(z)"])
def test_what_cannot_be_decided_exactly_is_not_claimed(formula):
    found = assumptions(UnitFunction(formula))
    assert not found.exact
    assert found.extrema == ()
    assert "grid" in found.reason
    assert found.holds == tuple(type(found.holds[0])(*ends) for ends in measured_intervals(UnitFunction(formula)))


def test_a_long_formula_is_not_worked_on_for_minutes():
    terms = [f"{k}.125*sinh(z/{k + 1})*exp(-z**2/{k + 2})*cos({k}*z + 1)" for k in range(1, 9)]
    assert not assumptions(UnitFunction(" + ".join(terms))).exact


def test_known_constants():
    cubic, sine = (assumptions(UnitFunction(formula)) for formula in ("z**3 + 0.5*z", "sinh(z)"))
    nu = Rational(1, 2)
    assert simplify(cubic.extremum("beta").infimum - Rational(16, 3) * nu ** Rational(3, 2)) == 0
    assert [cubic.extremum(name).infimum for name in ("rho1", "rho2", "gamma")] == [nu, 6, 0]
    assert sine.extremum("beta").infimum == 3 * sqrt(3) / 2
    assert sorted(number(z) for z, _ in sine.extremum("beta").critical) == pytest.approx(
        [-math.asinh(1 / math.sqrt(2)), math.asinh(1 / math.sqrt(2))]
    )
    assert cubic.extremum("rho1").attained
    assert not cubic.extremum("gamma").attained
    assert cubic.extremum("nosuch") is None


@pytest.mark.parametrize("formula", ["z**3 + z", "sinh(z)", "tanh(z)", "softplus(z)", "z**5 + z**3 + z", "erf(z)"])
def test_the_constants_pass_their_check(formula):
    results = check_constants(assumptions(UnitFunction(formula)))
    assert {result.record for result in results} == {"rho1", "rho2", "gamma", "beta"}
    assert all(result.passed for result in results)


@pytest.mark.parametrize("name", ["rho1", "rho2", "beta"])
def test_a_wrong_constant_is_refused(name):
    found = assumptions(UnitFunction("z**3 + z"))
    right = found.extremum(name)
    too_large = replace(right, infimum=right.infimum * Rational(1001, 1000))
    assert not check_constants(replace(found, extrema=(too_large,)))[0].passed
    misplaced = replace(right, critical=((Rational(1, 2), right.infimum + 1),))
    assert not check_constants(replace(found, extrema=(misplaced,)))[0].passed


def test_inverses_lead_back():
    for formula, order in (("sinh(z)", 0), ("z**3 + z", 2), ("exp(z)", 0), ("tanh(z)", 0)):
        unit = UnitFunction(formula)
        back = inverse(unit, order)
        for z in (Rational(3, 10), Rational(7, 10)):
            level = derivatives(unit)[order].subs(unit.z, z)
            assert abs((back.subs(LEVEL, level) - z).evalf(30)) < 1e-25
    assert inverse(UnitFunction("z**3 + z"), 0) is None
    assert inverse(UnitFunction("z**2"), 0) is None


@pytest.mark.parametrize(("formula", "expected"), [("sinh(z)", LEVEL**2 + 1), ("tanh(z)", (1 - LEVEL**2) ** 2)])
def test_the_least_sharpness_in_closed_form(formula, expected):
    assert simplify(least_sharpness(UnitFunction(formula)) - expected) == 0
    assert least_sharpness(UnitFunction("z**3 + z")) is None


@pytest.mark.parametrize("formula", ["z**3 + z", "sinh(z)", "z**5 + z**3 + z", "sinh(2*z) + z"])
def test_the_slope_is_at_its_bound_at_both_ends(formula):
    unit = UnitFunction(formula)
    low, high = confinement(unit)
    slope = derivatives(unit)[1]
    for bound in (4, 9):
        ends = [end.subs(LEVEL, bound).evalf(30) for end in (low, high)]
        assert ends[0] < 0 < ends[1]
        assert all(abs(slope.subs(unit.z, end).evalf(30) - bound) < 1e-20 for end in ends)


def test_what_does_not_confine_has_no_closed_form():
    assert confinement(UnitFunction("exp(z)")) is None
    assert confinement(UnitFunction("tanh(z)")) is None


def test_functions_by_one_generator():
    z = Symbol("z", real=True)
    found = curves({"f": exp(z / 2), "g": exp(-z)}, z)
    assert [found[name].ratio for name in "fg"] == [T, 1 / T**2]
    assert curves({"f": exp(z) + z}, z) is None
    assert curves({"f": pi * z + 1}, z) is None
    assert found["f"].slope == T / 2


def test_zeros_and_poles_are_exact_and_within_the_ends():
    assert zeros((T**2 - 2) / (T - 3), -oo, oo) == (-sqrt(2), sqrt(2))
    assert zeros((T**2 - 2) / (T - 3), Integer(0), oo) == (sqrt(2),)
    assert poles((T**2 - 2) / (T - 3), -oo, oo) == (3,)
    assert number(log(2)) == pytest.approx(math.log(2))
