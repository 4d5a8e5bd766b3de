"""The benchmarks run on tiny sizes and without peers, and what they compute from times and errors is right."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import formulas, workers
from benchmarks.__main__ import NAMES, main
from benchmarks.common import duration, power, ratio, table, table_by_size
from benchmarks.flow import seconds_at
from benchmarks.problems import PROBLEMS, TINY, Problem
from benchmarks.solvers import solvers
from benchmarks.workers import sweep


@pytest.mark.parametrize("name", NAMES)
def test_each_benchmark_writes_a_record_a_table_and_a_plot(name: str, tmp_path: Path) -> None:
    main([name, "--quick", "--no-peers", "--out", str(tmp_path)])
    record = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    assert record["machine"]["cpu"]
    assert "| --- |" in (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert "<svg" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    assert {path.stem for path in tmp_path.iterdir()} == {name}


@pytest.mark.parametrize("problem", TINY, ids=lambda problem: problem.name)
@pytest.mark.parametrize("activation", ["z**3 + z", "sinh(z)"])
def test_the_gradient_by_hand_is_that_of_the_package(problem: Problem, activation: str) -> None:
    case = Problem("case", "", problem.n, problem.d, problem.m, 1.0, activation, problem.trained)
    man, operations = case.manifold, formulas.numpy_operations(activation)
    s = (man.X**2).sum(axis=1)
    by_hand = formulas.gradient(case.theta, man.X, man.X @ man.X.T, s, case.trained, operations)
    np.testing.assert_allclose(by_hand, man.gradient(case.theta), rtol=1e-9, atol=1e-11)


def test_an_activation_without_a_formula_by_hand_is_refused() -> None:
    with pytest.raises(ValueError, match="tanh"):
        formulas.numpy_operations("tanh(z)")


@pytest.mark.parametrize("solver", ["manifoldflow auto", "SciPy LSODA", "SciPy DOP853", "SciPy LSODA, NumPy field"])
@pytest.mark.parametrize("problem", TINY, ids=lambda problem: problem.name)
def test_solvers_agree(solver: str, problem: Problem) -> None:
    exact = solvers()["SciPy DOP853"](problem, 1e-12)()
    points = solvers()[solver](problem, 1e-8)()
    assert points.shape == (len(problem.times), *problem.W.shape)
    np.testing.assert_allclose(points, exact, rtol=0.0, atol=1e-6)


def test_a_run_that_takes_too_long_is_a_row_with_its_reason() -> None:
    (row,) = sweep(TINY[0], "manifoldflow explicit", 0.0, 60.0)
    assert row["reason"] == "over 0 s"


class Sent(list[Any]):
    """Stands for a worker's connection."""

    send = list.append


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ModuleNotFoundError("none", name="peer"), "not installed (peer)"), (ValueError("bad"), "ValueError: bad")],
)
def test_a_peer_that_fails_is_a_row_with_its_reason(
    error: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(problem: Problem, rtol: float) -> None:
        raise error

    monkeypatch.setattr(workers, "solvers", lambda: {"peer": prepare})
    sent = Sent()
    workers._work(TINY[0], "peer", sent)  # type: ignore[arg-type]
    assert sent == ["ready", {"reason": reason}]


def test_problems_have_names_of_their_own() -> None:
    assert len({problem.name for problem in PROBLEMS + TINY}) == len(PROBLEMS + TINY)


def test_time_at_an_error_is_read_off_between_two_runs() -> None:
    assert seconds_at(1e-4, [(1e-2, 1.0), (1e-6, 100.0)]) == pytest.approx(10.0)


def test_time_at_an_error_is_not_extrapolated() -> None:
    assert seconds_at(1e-8, [(1e-2, 1.0), (1e-6, 100.0)]) is None
    assert seconds_at(1e-1, [(1e-2, 1.0), (1e-6, 100.0)]) == 1.0
    assert seconds_at(1e-1, []) is None


def test_time_at_an_error_is_the_least_where_runs_are_not_in_order() -> None:
    assert seconds_at(1e-4, [(1e-2, 1.0), (1e-6, 9.0), (1e-5, 3.0)]) == pytest.approx(3.0)


def test_numbers_as_text() -> None:
    assert [duration(value).replace("\u00a0", " ") for value in (12.0, 0.0123, 9.996e-4, 5e-6, 2e-8)] == [
        "12 s", "12.3 ms", "1 ms", "5 µs", "20 ns",
    ]  # fmt: skip
    assert duration(None) == duration(math.inf) == ratio(None, 1.0) == "-"
    assert ratio(10.0, 2.0) == "5"
    assert [power(value) for value in (1e-8, 3.6e6)] == ["1e-8", "4e6"]
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    sizes = table_by_size(["ours", "theirs"], [((1, 2, 3), ["a", "b"]), ((4, 5, 6), ["c", "d"])])
    assert sizes.splitlines()[0] == "| m, n, d | 1, 2, 3 | 4, 5, 6 |"
    assert sizes.splitlines()[2:] == ["| ours | a | c |", "| theirs | b | d |"]
