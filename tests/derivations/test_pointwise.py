"""What is read off the records, against the same quantities differentiated from psi, and its behaviour in floats."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy
from sympy import diag

from derivations import LAMBDA, DerivationError, S, UnitFunction, activations, derive, derive_general
from derivations.checks.evaluate import evaluate
from derivations.checks.points import FLOATS
from derivations.functions import ActivationDerivative, UnitDerivative
from derivations.pointwise import unit_derivative

ROOT = Path(__file__).resolve().parents[2]
MIXED = UnitFunction("a*c*(z**3 + z) + b**2*sin(z) + 0.3*a*b", own=("c", "b"))
UNITS = [
    activations.cubic(),
    activations.sinh(),
    activations.tanh(),
    activations.softplus(),
    UnitFunction("z"),
    UnitFunction("sin(a*z)"),
    UnitFunction("c * tanh(z)", own=("c",)),
    UnitFunction("a*(u**2 - v**2)", own=("u", "v")),
    MIXED,
]


def table(unit):
    return {(x.name, x.index): x.expression for x in derive(unit).pointwise}


def numbers(unit, seed=0):
    """A random number for every symbol, away from nought."""
    rng = np.random.default_rng(seed)
    symbols = (unit.z, *unit.c, unit.a, S, LAMBDA)
    return {symbol: sympy.Float(str(round(float(rng.uniform(0.3, 1.7)), 6)), 40) for symbol in symbols}


def expected(unit):
    """Every required entry from psi alone, by SymPy's own derivatives."""
    v, p = (unit.z, *unit.c), unit.p
    gradient = [unit.psi.diff(x) for x in v]
    curvature = sympy.hessian(unit.psi, v)
    weights = diag(S, *[1] * p)
    h = 2 * sum(weights[q, q] * gradient[q] ** 2 for q in range(p + 1))
    second = sympy.hessian(h, v)
    entries = {("psi", ()): unit.psi, ("h", ()): h}
    for q in range(p + 1):
        entries[("g", (q,))] = gradient[q]
        entries[("alpha", (q,))] = h.diff(v[q])
        for r in range(q, p + 1):
            entries[("H", (q, r))] = curvature[q, r]
            entries[("D", (q, r))] = second[q, r]
            entries[("E", (q, r))] = second[q, r] - LAMBDA * curvature[q, r]
    return entries


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_every_required_entry_is_there_and_right(unit):
    found, at = table(unit), numbers(unit)
    for key, expr in expected(unit).items():
        assert abs((found[key] - expr).evalf(30, subs=at)) < 1e-25, key


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.phi is not None], ids=str)
def test_the_entries_of_an_activation(unit):
    found, at, z = table(unit), numbers(unit), unit.z
    derivatives = [unit.phi.diff(z, order) for order in range(4)]
    assert [abs((found[("phi", (k,))] - derivatives[k]).evalf(30, subs=at)) < 1e-25 for k in range(4)] == [True] * 4
    assert abs((found[("convexity", ())] - derivatives[3] / derivatives[1]).evalf(30, subs=at)) < 1e-25
    if derivatives[2] != 0:
        beta = derivatives[1] ** 2 * derivatives[3] / derivatives[2]
        assert abs((found[("beta", ())] - beta).evalf(30, subs=at)) < 1e-25


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_only_these_symbols_occur_and_no_generic_function_is_left(unit):
    allowed = {unit.z, *unit.c, unit.a, S, LAMBDA}
    for entry in derive(unit).pointwise:
        assert entry.expression.free_symbols <= allowed
        assert not entry.expression.has(UnitDerivative, ActivationDerivative, sympy.nan, sympy.zoo, sympy.Derivative)
        if entry.name == "phi":
            assert entry.expression.free_symbols <= {unit.z}


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_every_entry_names_its_record(unit):
    derivation = derive(unit)
    names = [record.name for record in derivation.records]
    assert {entry.record for entry in derivation.pointwise} <= set(names)
    entries = [x for x in derivation.pointwise if x.name == "E"]
    assert len(entries) == (unit.p + 1) * (unit.p + 2) // 2


def test_where_the_entries_were_read():
    records = {entry.name: entry.record for entry in derive(MIXED).pointwise}
    assert records == {
        "psi": "output",
        "g": "jacobian",
        "H": "output_hessian",
        "h": "sharpness",
        "alpha": "euclidean_gradient",
        "D": "riemannian_hessian",
        "E": "riemannian_hessian",
    }


def test_a_straight_activation_has_no_beta():
    assert ("beta", ()) not in table(UnitFunction("2*z"))
    assert table(UnitFunction("z**2"))[("beta", ())] == 0


def test_a_changed_record_changes_what_is_read():
    """The expressions come from the records: doubling a record's right side doubles the entry."""
    from dataclasses import replace

    from derivations.pointwise import pointwise_expressions

    unit = activations.cubic()
    records = {record.name: record for record in derive(unit).records}
    sharp = records["sharpness"]
    records["sharpness"] = replace(sharp, right=sympy.Sum(2 * sharp.right.function, *sharp.right.limits))
    changed = {x.name: x.expression for x in pointwise_expressions(unit, 0, records)}
    assert sympy.expand(changed["h"] - 2 * table(unit)[("h", ())]) == 0


FAR = [-700.0, -350.0, -40.0, 40.0, 350.0, 700.0]
FAR_UNITS = [
    activations.tanh(),
    activations.softplus(),
    activations.sigmoid(),
    activations.arctan(),
    activations.erf(),
    UnitFunction("1/cosh(z)"),
    UnitFunction("1/(1 + exp(-2*z))"),
    UnitFunction("log(1 + exp(z/2))"),
    UnitFunction("tanh(z/2)**3"),
    UnitFunction("c*tanh(z)", own=("c",)),
    UnitFunction("exp(-z**2)*z"),
    UnitFunction("z*sigmoid(z)"),
]


def in_floats(expr, values):
    """Evaluate as a kernel does: what overflows becomes infinite and nothing raises."""
    numpy_functions = {
        **{name: getattr(np, name) for name in ["exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh"]},
        "atan": np.arctan,
        "asinh": np.arcsinh,
        "erf": math.erf,
        "sigmoid": FLOATS.functions["sigmoid"],
        "softplus": lambda x: np.logaddexp(0.0, x),
    }
    stable = {**numpy_functions, "sigmoid": lambda x: 1 / (1 + np.exp(-x)) if x >= 0 else np.exp(x) / (1 + np.exp(x))}
    arithmetic = type(FLOATS)(FLOATS.rational, constant=float, functions=stable)
    with np.errstate(all="ignore"):
        return evaluate(expr, lambda name, index: np.float64(values[name]), arithmetic)


@pytest.mark.parametrize("unit", FAR_UNITS, ids=str)
@pytest.mark.parametrize("z", FAR)
def test_nothing_overflows_where_the_value_is_finite(unit, z):
    values = {"z": z, "a": 0.7, "s": 1.3, "lambda_": 0.4, **dict.fromkeys(unit.own, 0.9)}
    exact = {sympy.Symbol(n, real=True): sympy.Rational(str(v)) for n, v in values.items()} | {S: sympy.Rational("1.3")}
    for entry in derive(unit).pointwise:
        true = entry.expression.xreplace(exact).evalf(30)
        if true.is_finite and abs(true) < 1e300:
            got = in_floats(entry.expression, values)
            assert np.isfinite(got), (entry.name, entry.index, entry.expression)
            if entry.name not in ("beta", "convexity"):
                assert abs(float(got) - float(true)) <= 1e-12 * max(1.0, abs(float(true))), (
                    entry.name,
                    entry.expression,
                )


@pytest.mark.parametrize("z", [5.0, 12.0, 18.0])
def test_the_slope_of_tanh_keeps_its_digits(z):
    slope = table(activations.tanh())[("phi", (1,))]
    assert in_floats(slope, {"z": z}) == pytest.approx(math.cosh(z) ** -2, rel=1e-14)


def test_a_generic_derivation_keeps_generic_derivatives():
    generic = derive_general(1)
    found = {(x.name, x.index): x.expression for x in generic.pointwise}
    assert generic.unit is None
    assert found[("H", (0, 1))].func is UnitDerivative
    assert found[("H", (0, 1))].orders == (1, 1)
    assert {x.name for x in derive_general(0, separable=True).pointwise} >= {"phi", "convexity", "beta"}


@pytest.mark.parametrize(
    ("p", "separable"), [(-1, False), (9, False), (1.0, False), (True, False), ("1", False), (1, True)]
)
def test_generic_derivations_that_are_refused(p, separable):
    with pytest.raises(DerivationError):
        derive_general(p, separable=separable)


def test_only_unit_functions_are_derived():
    with pytest.raises(DerivationError, match=r"UnitFunction\(\.\.\.\) first"):
        derive("z**3 + z")


def test_a_formula_that_is_complex_everywhere_is_refused():
    with pytest.raises(DerivationError, match="real nowhere"):
        derive(UnitFunction("sqrt(-1 - z**2)"))


@pytest.mark.parametrize("formula", ["sqrt(-z)", "log(-z)", "(1 - z)**1.5", "(-z)**-0.5", "z**(1/3)", "sqrt(1 - z**2)"])
def test_formulas_of_limited_domain_are_derived(formula):
    assert len(derive(UnitFunction(formula)).pointwise) >= 10


def test_phi_is_not_asked_of_a_unit_without_it():
    with pytest.raises(DerivationError, match="not of the form"):
        unit_derivative(UnitFunction("sin(a*z)"), ActivationDerivative(1, sympy.Symbol("z")))


PROGRAM = """
from derivations import UnitFunction, derive
units = [UnitFunction("z**3 + z"), UnitFunction("tanh(z)*sigmoid(z) + log(z**2 + 1)"),
         UnitFunction("a*c*(z**3 + z) + b**2*sin(z) + 0.3*a*b", own=("c", "b"))]
for unit in units:
    derivation = derive(unit)
    print(unit.formula)
    for entry in derivation.pointwise:
        print(entry.name, entry.index, entry.expression)
    for record in derivation.records:
        print(record.latex())
        for step in record.steps:
            print(step.latex())
"""


def test_the_same_text_in_every_process():
    printed = set()
    for seed in ("0", "1", "31337"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", PROGRAM]
        run = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True)
        printed.add(run.stdout)
    assert len(printed) == 1
    assert printed.pop().count("\n") > 200
