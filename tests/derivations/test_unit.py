"""The unit function as a value: equality, copies, symbols, and what it refuses."""

import copy
import dataclasses
import math
import pickle

import pytest
import sympy
from sympy import Float, Rational, Symbol

from derivations import FormulaError, ManifoldflowError, UnitFunction, activations

ACTIVATIONS = [
    activations.cubic(),
    activations.cubic(nu=0.1),
    activations.sinh(),
    activations.tanh(),
    activations.softplus(),
    activations.sigmoid(),
    activations.arctan(),
    activations.erf(),
    activations.quadratic(),
    activations.exponential(),
]
UNITS = [
    *ACTIVATIONS,
    UnitFunction("c * tanh(z)", own=("c",)),
    UnitFunction("a*(u**2 - v**2)", own=("u", "v")),
    UnitFunction("a*c*(z**3 + z) + b**2*sin(z) + 0.3*a*b", own=("c", "b")),
    UnitFunction("sin(a*z)"),
    UnitFunction("log(z)"),
    UnitFunction("1/z"),
    UnitFunction("sqrt(z)"),
    UnitFunction("z**2.5"),
    UnitFunction("2**z + z**z"),
    UnitFunction("exp(-z**2/2)/sqrt(2*pi) + E*z"),
]


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_the_canonical_text_gives_an_equal_unit(unit):
    again = UnitFunction(unit.formula, unit.own)
    assert again == unit
    assert hash(again) == hash(unit)
    assert again.formula == unit.formula
    assert again.psi == unit.psi


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_the_unit_as_an_expression_gives_an_equal_unit(unit):
    assert UnitFunction(unit.psi, unit.own) == unit


@pytest.mark.parametrize("unit", UNITS, ids=str)
def test_copies_are_equal(unit):
    for other in (pickle.loads(pickle.dumps(unit)), copy.copy(unit), copy.deepcopy(unit)):
        assert other == unit
        assert other.psi == unit.psi


def test_a_unit_cannot_be_changed():
    unit = activations.cubic()
    with pytest.raises(dataclasses.FrozenInstanceError):
        unit.formula = "z"


def test_the_parts_of_a_unit():
    unit = UnitFunction("c * tanh(z)", own=("c",))
    assert (unit.p, unit.own, unit.z.name, [c.name for c in unit.c], unit.a.name) == (1, ("c",), "z", ["c"], "a")
    assert all(symbol.is_real for symbol in (unit.z, *unit.c, unit.a))
    assert unit.psi == unit.a * unit.c[0] * sympy.tanh(unit.z)
    assert unit.psi.free_symbols == {unit.z, *unit.c, unit.a}


@pytest.mark.parametrize(
    ("formula", "own", "phi"),
    [
        ("z**3 + z", (), "z**3 + z"),
        ("a*(z**3 + z)", (), "z**3 + z"),
        ("a*z**3 + z*a", (), "z**3 + z"),
        ("sin(a*z)", (), None),
        ("a*z + 1", (), None),
        ("a**2*z", (), None),
        ("c*z", ("c",), None),
    ],
)
def test_phi_is_there_exactly_where_psi_is_a_phi(formula, own, phi):
    found = UnitFunction(formula, own).phi
    assert (None if found is None else str(found)) == phi


def test_a_common_coefficient_may_be_written_or_left_out():
    assert UnitFunction("a*(z**3 + z)") == UnitFunction("z**3 + z")
    assert UnitFunction("a*c*z", ("c",)) == UnitFunction("c*z", ("c",))
    assert UnitFunction("a + z").psi == Symbol("a", real=True) + Symbol("z", real=True)


def test_own_names_count_in_their_order():
    assert UnitFunction("u*z + v", ("u", "v")) != UnitFunction("u*z + v", ("v", "u"))
    assert UnitFunction("u*z + v", ["u", "v"]) == UnitFunction("u*z + v", ("u", "v"))


def test_logistic_formulas_become_the_functions_that_do_not_overflow():
    assert UnitFunction("log(1 + exp(z))") == activations.softplus()
    assert UnitFunction("log1p(exp(z))") == activations.softplus()
    assert UnitFunction("1/(1 + exp(-z))") == activations.sigmoid()


@pytest.mark.parametrize("text", ["0.1*z", "z*1e-1", "z/10", ".1*z", "z*0.10"])
def test_decimals_are_exact_and_agree_with_floats(text):
    assert UnitFunction(text) == UnitFunction(Float(0.1) * Symbol("z")) == UnitFunction(Rational(1, 10) * Symbol("z"))


def test_symbols_of_an_expression_are_matched_by_name():
    for z in (Symbol("z"), Symbol("z", positive=True), Symbol("z", integer=True), sympy.Dummy("z")):
        assert UnitFunction(z**3 + z) == activations.cubic()


def test_activations_by_name():
    z = Symbol("z", real=True)
    assert activations.cubic(nu=2).phi == z**3 + 2 * z
    assert activations.cubic(nu=0.1).phi == z**3 + z / 10
    assert [unit.p for unit in ACTIVATIONS] == [0] * len(ACTIVATIONS)
    assert len(set(ACTIVATIONS)) == len(ACTIVATIONS)


@pytest.mark.parametrize("nu", [math.nan, math.inf, "1", None, True, 1j])
def test_cubic_refuses_what_is_no_finite_number(nu):
    with pytest.raises(FormulaError, match="finite real number"):
        activations.cubic(nu)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("c", "sequence of names"),
        (("z",), "already has a meaning"),
        (("a",), "already has a meaning"),
        (("s",), "already has a meaning"),
        (("lambda_",), "already has a meaning"),
        (("tanh",), "already has a meaning"),
        (("pi",), "already has a meaning"),
        (("E",), "already has a meaning"),
        (("c", "c"), "twice"),
        (("c d",), "cannot name"),
        (("",), "cannot name"),
        (("2c",), "cannot name"),
        (("lambda",), "cannot name"),
        (("__class__",), "cannot name"),
        (("c" * 100,), "cannot name"),
        (("\u00b5",), "cannot name"),
        (("c;import os",), "cannot name"),
        ((1,), "is text, not int"),
        (tuple(f"c{q}" for q in range(9)), "at most 8"),
        (("c", "b"), "do not occur"),
    ],
)
def test_own_names_that_are_refused(own, message):
    with pytest.raises(FormulaError, match=message):
        UnitFunction("c*z", own)


@pytest.mark.parametrize("formula", ["1", "a", "pi*a", "z - z", "z**0", "0*z"])
def test_constants_are_refused(formula):
    with pytest.raises(FormulaError, match="depends on no parameter"):
        UnitFunction(formula)


@pytest.mark.parametrize("formula", [None, 3, 2.5, b"z", ["z"], object(), sympy.Matrix([1]), True])
def test_what_is_neither_text_nor_expression_is_refused(formula):
    with pytest.raises(FormulaError):
        UnitFunction(formula)


def test_errors_belong_to_the_toolkit_and_are_value_errors():
    with pytest.raises(ManifoldflowError):
        UnitFunction("")
    with pytest.raises(ValueError, match="empty"):
        UnitFunction("")
