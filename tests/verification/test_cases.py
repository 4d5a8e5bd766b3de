"""Cases beyond the paper's: every statement says whether it applies, and nothing raises."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import cli
from manifoldflow.cli import options
from manifoldflow.errors import InputError
from verification import STATEMENTS, Case, Evidence, make_cases, networks, problems, verify
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
    assert [(found["name"], found["verdict"]) for found in numbers["certificates"]] == [("zero-loss point", "proved")]
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


# --- diagonal linear networks ----------------------------------------------------------------------


def sparse_target(signed: bool) -> mf.datasets.DataSet:
    """Two of 14 features are used, fewer than there are samples: the flow ends where J J^T is singular."""
    X = np.random.default_rng(5).normal(size=(6, 14))
    w = np.zeros(14)
    w[[3, 8]] = 1.0, -1.0 if signed else 1.0
    return mf.datasets.DataSet("sparse", X, X @ w, "made up")


def diagonal_case(network: str) -> Case:
    return Case(sparse_target(network == "diagonal"), networks.UNITS[network], 14, network=networks.NETWORKS[network])


@pytest.fixture(scope="module", params=list(networks.UNITS))
def diagonal(request: pytest.FixtureRequest) -> Evidence:
    return Evidence(diagonal_case(request.param))


@pytest.mark.parametrize("name", NAMES)
def test_diagonal_networks_with_sparse_targets(diagonal: Evidence, name: str) -> None:
    assert diagonal.flow.status in ("singular", "limit", "stationary")
    verdict = statement(name).check(diagonal)
    assert verdict.status == ("holds" if name in ANY_UNIT else "does not apply"), verdict
    assert verdict.status == "holds" or "units a*phi(z)" in verdict.reason


def test_the_flow_of_a_sparse_target_does_end_at_a_singular_point() -> None:
    """Otherwise the test above would show nothing about such points; the limit is the linear program's."""
    evidence = Evidence(diagonal_case("squares"))
    assert evidence.flow.status == "limit"
    assert evidence.flow.condition > 1e10
    assert evidence.flow.sharpness[-1] == pytest.approx(evidence.flattest.fun, rel=1e-6)


@pytest.mark.parametrize("network", list(networks.UNITS))
def test_the_report_says_which_network_it_is_about(network: str, tmp_path: Path, capsys: Any) -> None:
    mf.datasets.save(sparse_target(network == "diagonal"), tmp_path / "sparse.npz")
    problem = [f"--data={tmp_path / 'sparse.npz'}", f"--network={network}"]
    given = ["verify", *problem, "--statements=S1,S8,S10,S12", "--processes=0", f"--out={tmp_path}", "--quiet"]
    assert cli.main(given) == 0
    title = f"diagonal linear network {networks.UNITS[network]}"
    assert f"sparse, {title}: n = 6, d = 14, m = 14" in capsys.readouterr().out
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"<h1>Verification of sharpness minimisation: {title}</h1>" in page
    assert " ".join(["manifoldflow verify", *problem, "--seed=0", "--statements=S1,S8,S10,S12"]) in page
    again = json.loads((tmp_path / "verification.json").read_text())["cases"][0]
    X = sparse_target(signed=True).X
    assert again["facts"]["mu"] == pytest.approx(np.linalg.eigvalsh(X @ X.T)[0])
    assert cli.main(["flow", *problem, f"--out={tmp_path / 'flow'}"]) == 0
    assert "sv2/sv1" not in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "flow").iterdir()} == {"flow.npz", "sharpness.svg"}
    assert cli.main(["sgd", *problem, "--steps=500", f"--out={tmp_path / 'sgd'}"]) == 0
    text = capsys.readouterr().out
    assert "nan" not in text
    assert "sv2/sv1" not in text
    assert cli.main(["inspect", *problem, "--json"]) == 0
    statements = json.loads(capsys.readouterr().out)["statements"]
    assert {name for name, item in statements.items() if item["applies"]} == ANY_UNIT
    assert statements["S11"]["missing"] == ["units a*phi(z)"]


@pytest.mark.parametrize(
    "option", ["--activation=z", "--width=10", "--own=c", "--output-weights=signed", "--width=10 --activation=z"]
)
def test_options_without_a_meaning_are_refused(option: str, capsys: Any) -> None:
    for command in ("verify", "inspect", "flow", "sgd"):
        assert cli.main([command, "--network=diagonal", *option.split()]) == 2
        message = capsys.readouterr().err
        assert message.startswith(f"manifoldflow {command}: {option.split('=')[0]}")
        assert "no meaning with --network diagonal" in message


def test_labels_that_no_squares_give_are_refused(capsys: Any) -> None:
    assert cli.main(["verify", "--network=squares", "--data=digits", "--quiet", "--processes=0"]) == 2
    assert "no w = v^2 >= 0" in capsys.readouterr().err


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(InputError, match=r"network.*'cubic'"):
        make_cases(network="cubic")


def test_the_printed_command_of_a_two_layer_network_names_what_it_did_before() -> None:
    given = cli.parser().parse_args(["sgd", "--width", "4", "--output-weights=-1,1,1,1"])
    command = options.command_line(given, ())
    assert command == (
        "manifoldflow sgd --data=digits --activation='z**3 + z' --output-weights=-1.0,1.0,1.0,1.0 --width=4 --seed=0"
    )
