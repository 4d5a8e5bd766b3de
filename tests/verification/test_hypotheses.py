"""Assumptions are examined by certificates: what a grid misses they do not, and what is not proved says so."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import manifoldflow as mf
from verification import Case, Evidence, hypotheses
from verification.noise import relaxations

from .conftest import small_case

DIP = "z**3 + z + 1e-9*erf(1e5*(z - 0.1234567))"  # phi''' < 0 on 1e-5 of the line, between two points of the grid


def test_proved_where_a_certificate_is_given(good: Evidence) -> None:
    for hypothesis in (hypotheses.slopes, hypotheses.independence, hypotheses.normality, hypotheses.confinement):
        found = hypothesis(good)
        assert (found.met, found.basis) == (True, "proved")
        assert "met, proved" in found.text


def test_bounds_are_computed_from_the_proved_ends(good: Evidence) -> None:
    constants, enclosure = good.constants, good.enclosure
    assert constants.mu == enclosure.mu.low
    assert constants.rho2 == enclosure.rho2.low
    assert constants.beta == enclosure.beta.low
    assert constants.interval == enclosure.interval


def test_a_dip_that_the_grid_misses_is_refuted() -> None:
    evidence = Evidence(small_case(DIP))
    grid = mf.assumptions.constants(evidence.manifold, evidence.start)
    assert "A1" not in grid.failing
    found = hypotheses.slopes(evidence)
    assert (found.met, found.basis) == (False, "refuted")
    assert evidence.constants.rho2 < 0.0
    assert {"A1", "A3"} <= set(evidence.constants.failing)


def test_where_nothing_confines_z_nothing_is_proved() -> None:
    data = mf.datasets.synthetic(n=3, d=6, rng=3)
    evidence = Evidence(Case(mf.datasets.DataSet("ones", data.X, np.ones(3), "made up"), "exp(z)", 5))
    found = hypotheses.slopes(evidence)
    assert (found.met, found.basis) == (True, "grid")
    assert "nothing confines z" in found.detail
    assert "not proved" in found.text


def test_dependent_samples(good: Evidence, dependent: Evidence) -> None:
    assert hypotheses.independence(dependent).basis == "refuted"
    assert hypotheses.dependence(dependent).met
    assert not hypotheses.dependence(good).met


def given_twice(case: Case, rows: list[int]) -> Evidence:
    data = case.data
    return Evidence(replace(case, data=mf.datasets.DataSet("rows", data.X[rows], data.y[rows], "test")))


def test_equal_samples_are_dependent_but_are_not_what_s12_is_about() -> None:
    evidence = given_twice(small_case(), [0, 1, 2, 3, 0, 0])
    assert hypotheses.independence(evidence).basis == "refuted"
    assert "of which 4 are distinct" in hypotheses.independence(evidence).text
    assert hypotheses.existence(evidence).basis == "proved"
    assert not hypotheses.dependence(evidence).met
    assert hypotheses.dependence(given_twice(small_case(n=5, d=3), [0, 1, 2, 3, 4, 0])).met


def test_equal_samples_need_no_time_until_they_agree() -> None:
    evidence = given_twice(small_case(), [0, 1, 2, 3, 0])
    steps = SimpleNamespace(step_sizes=np.array([1e-3]), steps=np.array([1000]))
    values = np.linalg.eigvalsh(evidence.manifold.jacobian_gram(evidence.start))
    assert abs(values[0]) < 1e-12 * values[-1]
    assert relaxations(evidence, cast(Any, steps)) == pytest.approx(2.0 * values[1] / 5.0, rel=1e-9)


@pytest.mark.parametrize(("activation", "moves"), [("z**3 + z", True), ("z**2", False)])
def test_the_flow_moves_or_not(activation: str, moves: bool) -> None:
    data = mf.datasets.synthetic(n=3, d=6, rng=3)
    case = Case(mf.datasets.DataSet("ones", data.X, np.ones(3), "made up"), activation, 5)
    assert hypotheses.moving(Evidence(case)).met is moves
