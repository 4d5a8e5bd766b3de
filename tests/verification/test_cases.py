"""Cases beyond the paper's: every statement says whether it applies, and nothing raises."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.errors import InputError
from verification import STATEMENTS, Case, Evidence, make_cases, problems, verify
from verification.commands.inspect import inspect
from verification.points import activation_table, minimising_features

from .conftest import small_case, statement

NAMES = [found.id for found in STATEMENTS]
ANY_UNIT = {"S8", "S9", "S14"}


def with_own(**more: object) -> Case:
    return replace(small_case("c*tanh(z)", n=3, d=6, width=4), own=("c",), **more)


@pytest.fixture(scope="module")
def own() -> Evidence:
    return Evidence(with_own())


@pytest.mark.parametrize("name", NAMES)
def test_units_with_own_parameters(own: Evidence, name: str) -> None:
    verdict = statement(name).check(own)
    assert verdict.status == ("holds" if name in ANY_UNIT else "does not apply"), verdict
    if name not in ANY_UNIT:
        assert "c*tanh(z)" in verdict.reason


def test_a_trained_second_layer_is_a_unit_of_its_own() -> None:
    case = replace(small_case("tanh(z)"), output_weights="trained")
    assert case.name == "synthetic, tanh(z), trained weights"
    text, numbers = inspect(case)
    assert "of another form" in text
    assert [name for name, item in numbers["statements"].items() if item["applies"]] == ["S8", "S9", "S14"]


def test_signed_weights() -> None:
    evidence = Evidence(replace(small_case("sinh(z)"), output_weights="signed"))
    assert evidence.signed is evidence
    statuses = {name: statement(name).check(evidence).status for name in NAMES if name not in {"S9", "S14"}}
    elsewhere = {"S1", "S2", "S3", "S4", "S5", "S6"}
    assert statuses == {name: "does not apply" if name in elsewhere else "holds" for name in statuses}


def test_given_weights_are_of_the_width() -> None:
    weights = (1.0, -2.0, 0.5, 1.0, 1.0)
    case = replace(small_case(), output_weights=weights)
    np.testing.assert_array_equal(Evidence(case).manifold.a[:, 0], weights)
    with pytest.raises(InputError, match="output_weights"):
        verify([replace(case, width=4)], ["S7"])


def test_features_of_signed_weights_solve_the_equations() -> None:
    """The bisection against what defines the features: a common level, and the labels."""
    manifold = Evidence(replace(small_case("sinh(z)"), output_weights="signed")).manifold
    Z = minimising_features(manifold)
    table = activation_table(manifold, Z)
    level = manifold.a * table[2]
    assert np.ptp(level, axis=0).max() < 1e-12
    np.testing.assert_allclose((manifold.a * table[0]).sum(axis=0), manifold.y, atol=1e-12)


def test_a_network_of_another_kind_fits_into_a_case() -> None:
    case = Case(small_case().data, "sinh(z)", width=3, network=partial(widened, more=2))
    assert Evidence(case).manifold.m == 5


def widened(case: Case, more: int) -> mf.TwoLayerNetwork:
    return mf.TwoLayerNetwork(mf.UnitFunction(case.activation), width=case.width + more)


def test_made_problems_are_what_they_say() -> None:
    case = small_case(n=5, d=9, width=4)
    assert Evidence(problems.dependent(case)).manifold.coordinates.rank == 3
    assert problems.outside(replace(case, output_weights="signed")).output_weights is None
    signs = np.sign(Evidence(problems.signed(case)).manifold.a[:, 0])
    assert sorted(signs) == [-1.0, -1.0, 1.0, 1.0]


def test_no_problem_can_be_made_of_one_sample() -> None:
    verdict = statement("S12").check(Evidence(small_case(n=1, d=3, width=3)))
    assert (verdict.status, verdict.reason) == ("does not apply", "One sample cannot be dependent.")


def test_cases_take_own_parameters_and_weights() -> None:
    (case,) = make_cases(("synthetic",), ("c*tanh(z)",), 4, 1, ("c",), None)
    assert (case.own, case.name) == (("c",), "synthetic, c*tanh(z), own c")
