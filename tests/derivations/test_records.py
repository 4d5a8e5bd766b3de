"""The records as documents: which there are, what they rest on, how they print."""

import dataclasses
import re

import pytest
from sympy import Basic, Expr, KroneckerDelta, Sum, Tuple

from derivations import NOTATION, UnitFunction, activations, derive, derive_general, notation_table
from derivations import symbols as sym

ALWAYS = {
    "output",
    "loss",
    "loss_gradient",
    "loss_hessian",
    "jacobian",
    "gram_of_jacobian",
    "output_hessian",
    "hessian_on_manifold",
    "sharpness",
    "euclidean_gradient",
    "multipliers",
    "riemannian_gradient",
    "riemannian_hessian",
    "flow_multipliers",
    "flow_jacobian",
    "geodesic",
    "projection",
}
WITHOUT_OWN = {"stationarity", "hessian_in_features", "hidden_convexity", "gradient_decay"}
OF_ACTIVATIONS = {"convexity_bound", "global_rate", "flattest_value", "feature_slope", "modulus", "local_decay"}
OF_ACTIVATIONS |= {"entry_time", "local_pl", "distance", "confinement"}
DERIVATIONS = [
    derive(activations.cubic()),
    derive(UnitFunction("sin(a*z)")),
    derive(UnitFunction("c*tanh(z)", ("c",))),
    derive_general(0, separable=True),
    derive_general(2),
]
RECORDS = [(derivation, record) for derivation in DERIVATIONS for record in derivation.records]


@pytest.mark.parametrize(
    ("derivation", "names"),
    [
        (DERIVATIONS[0], ALWAYS | WITHOUT_OWN | OF_ACTIVATIONS),
        (DERIVATIONS[1], ALWAYS | WITHOUT_OWN),
        (DERIVATIONS[2], ALWAYS),
        (DERIVATIONS[3], ALWAYS | WITHOUT_OWN | OF_ACTIVATIONS),
        (DERIVATIONS[4], ALWAYS),
    ],
)
def test_which_records_there_are(derivation, names):
    found = [record.name for record in derivation.records]
    assert set(found) == names
    assert len(found) == len(names)


def test_records_are_found_by_name_and_a_wrong_name_lists_them():
    derivation = derive(activations.cubic())
    assert derivation["sharpness"].name == "sharpness"
    with pytest.raises(KeyError, match="riemannian_gradient"):
        derivation["hessian"]


@pytest.mark.parametrize(("derivation", "record"), RECORDS)
def test_every_record_is_complete(derivation, record):
    assert record.title
    assert record.statement.endswith(".")
    assert record.source
    assert record.definition
    assert record.relation in ("==", ">=", "<=", "iff")
    assert record.steps
    assert all(isinstance(step.expression, Basic) and step.reason for step in record.steps)


@pytest.mark.parametrize(("derivation", "record"), RECORDS)
def test_a_record_uses_earlier_records_and_assumptions_only(derivation, record):
    names = [known.name for known in derivation.records]
    earlier = set(names[: names.index(record.name)])
    for used in record.uses:
        assert used in earlier or re.match(r"A[123]\b", used), used


@pytest.mark.parametrize(("derivation", "record"), RECORDS)
def test_the_last_step_arrives_at_the_formula(derivation, record):
    assert record.steps[-1].expression == record.right


@pytest.mark.parametrize(("derivation", "record"), RECORDS)
def test_sizes_stay_symbolic_and_no_delta_is_left(derivation, record):
    for part in record.right if isinstance(record.right, Tuple) else (record.right,):
        assert isinstance(part, Expr)
        assert not part.has(KroneckerDelta)
        for sum_ in part.atoms(Sum):
            assert all((low, high) == (1, sym.SIZE[index]) for index, low, high in sum_.limits)


@pytest.mark.parametrize(("derivation", "record"), RECORDS)
def test_latex_is_balanced_and_has_only_known_words(derivation, record):
    known = {"sum", "left", "right", "frac", "phi", "psi", "lambda", "Theta", "partial", "mathrm", "ddot", "iff"}
    known |= {"geq", "mu", "gamma", "rho", "tau", "kappa", "beta", "min", "star", "leq", "zeta", "nu", "sqrt"}
    for text in (record.latex(), *[step.latex() for step in record.steps]):
        assert text.count("{") == text.count("}")
        assert text.count(r"\left") == text.count(r"\right")
        words = set(re.findall(r"\\([A-Za-z]+)", text))
        assert words <= known, words - known
        assert not re.search(r"Derivative|lambda_ |_\{\}|None", text)


def test_how_some_formulas_print():
    derivation = derive(activations.cubic())
    assert derivation["sharpness"].latex() == (
        r"F = 2 \sum_{i=1}^{n} \sum_{j=1}^{m} {\phi'(z_{j i})}^{2} a_{j i}^{2} s_{i}"
    )
    assert (
        derivation["hidden_convexity"]
        .latex()
        .endswith(r"\frac{2 \phi'''(z_{j i})}{\phi'(z_{j i})}")
    )
    mixed = derive_general(1)["jacobian"].latex()
    assert r"\psi_{z}(v_{j i}) X_{i k}" in mixed


def test_records_cannot_be_changed():
    record = derive(activations.cubic())["loss"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.title = "x"
    with pytest.raises(dataclasses.FrozenInstanceError):
        derive(activations.cubic()).unit = None


def test_two_derivations_of_one_unit_are_equal():
    assert derive(UnitFunction("z**3 + z")) == derive(UnitFunction("z + z**3"))


def test_the_notation_table_has_every_symbol_once():
    rows = notation_table().split("\n")
    assert all(row.count("|") == 4 for row in rows)  # a bar within a formula would end the cell
    assert len(rows) == len(NOTATION) + 2
    assert all(row.startswith(("| ", "|-")) for row in rows)
    assert len({entry.latex for entry in NOTATION.values()}) == len(NOTATION)


def test_every_array_and_scalar_of_the_derivations_is_in_the_table():
    arrays = {str(base.label) for base in vars(sym).values() if type(base).__name__ == "IndexedBase"}
    scalars = {x.name for x in vars(sym).values() if type(x).__name__ == "Symbol"}
    assert arrays | scalars <= set(NOTATION)


def letters_twice(expr: Basic, used: frozenset[Basic]) -> list[Basic]:
    """The indices of sums that already mean something where the sum stands."""
    if not isinstance(expr, Sum):
        return [index for part in expr.args for index in letters_twice(part, used)]
    bound = frozenset(expr.bound_symbols)
    return [*(bound & used), *letters_twice(expr.function, used | bound)]


def test_no_letter_means_two_things_in_a_formula():
    twice = Sum(sym.Z[sym.j, sym.i] * Sum(sym.Z[sym.j, sym.i], (sym.j, 1, sym.m)), (sym.j, 1, sym.m))
    assert letters_twice(twice, frozenset()) == [sym.j]
    for _, record in RECORDS:
        for block in (record.right, *[step.expression for step in record.steps]):
            for part in block if isinstance(block, Tuple) else (block,):
                assert letters_twice(part, frozenset(part.free_symbols)) == [], record.name
