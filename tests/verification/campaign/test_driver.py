"""The driver on executors of all kinds: what is done once, kept, tried again."""

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import manifoldflow as mf
from manifoldflow.errors import InputError
from verification.campaign import Call, Campaign, Database, Standing, drive, run
from verification.campaign.executors import InThisProcess
from verification.campaign.task import shared
from verification.campaign.work import perform
from verification.errors import WorkerError

from .conftest import EXAMPLES, SMALL, calls, every_kind, kept


def rows(path: Path) -> list[Any]:
    with Database(path, create=False) as database:
        return list(database.rows())


def test_a_second_run_does_only_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(tasks: Any) -> Any:
        asked.extend(task.key for task in tasks)
        return perform(tasks)

    monkeypatch.setattr(drive, "perform", counted)
    grid = {**SMALL, "seed": [0, 1], "statement": ["S2", "S7"]}
    first, more = Campaign(grid=grid), Campaign(grid=grid | {"statement": ["S2", "S5", "S7"], "seed": [1, 2]})
    assert run(first, tmp_path / "a.sqlite", processes=0).done == 4
    assert run(first, tmp_path / "a.sqlite", processes=0) == Standing(4, 4, 0, 0.0, pytest.approx(0.0, abs=60.0))
    assert len(asked) == 4
    assert run(more, tmp_path / "a.sqlite", processes=0).done == 6
    assert len(asked) == len(set(asked)) == 4 + 4
    assert len(rows(tmp_path / "a.sqlite")) == 8


def test_workers_return_plain_data() -> None:
    for group in shared([*every_kind().tasks, *calls("fail", {"message": "no"}).tasks]):
        for row in perform(group):
            assert {type(value) for value in row.values()} <= {str, int, float, type(None)}
            assert row["result"] is None or isinstance(json.loads(row["result"]), dict)


def test_a_failure_is_a_row_with_its_reason_and_is_tried_again_when_asked(tmp_path: Path) -> None:
    campaign = calls("fail", {"message": "no \ud800 reason"})
    for retry, attempts in ((False, 1), (False, 1), (True, 2)):
        standing = run(campaign, tmp_path / "a.sqlite", processes=0, retry_failed=retry)
        assert (standing.done, standing.failed, standing.left, standing.exit_code) == (0, 1, 0, 1)
        (row,) = rows(tmp_path / "a.sqlite")
        assert (row.state, row.error, row.message) == ("failed", "ArithmeticError", "no ? reason")
        assert row.attempts == attempts


def test_a_case_that_the_library_refuses_fails_by_name(tmp_path: Path) -> None:
    mf.datasets.save(mf.datasets.DataSet("far", [[1.0, 0.0], [0.0, 1.0]], [100.0, 1.0], ""), tmp_path / "far.npz")
    grid = {"data": "far.npz", "activation": ["tanh(z)", "z**3 + z"], "width": 2, "statement": ["S2", "S7"]}
    campaign = Campaign(grid=grid, folder=tmp_path)
    standing = run(campaign, tmp_path / "a.sqlite", processes=0)
    assert (standing.done, standing.failed) == (2, 2)
    failed = [row for row in rows(tmp_path / "a.sqlite") if row.state == "failed"]
    assert {row.error for row in failed} == {"UnreachableLabelsError"}


def test_a_statement_that_breaks_takes_none_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from verification.campaign import measures
    from verification.runner import check_case

    def broken(case: Any, names: list[str], progress: Any) -> Any:
        if "S5" in names:
            raise ZeroDivisionError("S5 is broken")
        return check_case(case, names, progress)

    monkeypatch.setattr(measures, "check_case", broken)
    campaign = Campaign(grid={**SMALL, "statement": ["S2", "S5", "S7"]})
    standing = run(campaign, tmp_path / "a.sqlite", processes=0)
    assert (standing.done, standing.failed) == (2, 1)


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        ("operator:index", {}, "TypeError"),
        ("no_such_module:f", {}, "ModuleNotFoundError"),
        ("math:no_such_function", {}, "AttributeError"),
        ("os:getpid", {}, "must return a dict"),
        (f"{EXAMPLES}:square", {"x": [1]}, "TypeError"),
        (f"{EXAMPLES}:square", {"x": 2**40}, "64 with its sign"),
        ("os:cpu_count", {"x": 1}, "TypeError"),
    ],
)
def test_what_is_no_task_of_ones_own_fails_by_itself(
    function: str, arguments: dict[str, Any], said: str, tmp_path: Path
) -> None:
    campaign = Campaign(calls=[Call(function, arguments), Call(f"{EXAMPLES}:square", {"x": 2})])
    standing = run(campaign, tmp_path / "a.sqlite", processes=0)
    assert (standing.done, standing.failed) == (1, 1)
    failed = next(row for row in rows(tmp_path / "a.sqlite") if row.state == "failed")
    assert said in f"{failed.error}: {failed.message}"


def test_progress_ends_with_everything(tmp_path: Path) -> None:
    seen: list[Standing] = []
    run(calls("square", *({"x": x} for x in range(5))), tmp_path / "a.sqlite", processes=0, progress=seen.append)
    assert [standing.done for standing in seen] == [0, 1, 2, 3, 4, 5]
    assert seen[0].seconds_left is None
    assert seen[1].seconds_left is not None
    assert seen[-1].exit_code == 0


def test_threads_are_an_executor_too(tmp_path: Path) -> None:
    run(every_kind(), tmp_path / "a.sqlite", processes=0)
    with ThreadPoolExecutor(3) as threads:
        assert run(every_kind(), tmp_path / "b.sqlite", executor=threads).done == len(every_kind().tasks)
        assert threads.submit(int).result() == 0  # it is left as it was
    assert kept(tmp_path / "a.sqlite") == kept(tmp_path / "b.sqlite")


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(tasks: Any) -> Any:
        if tasks[0].options["arguments"]["x"] == 2:
            raise KeyboardInterrupt
        return perform(tasks)

    monkeypatch.setattr(drive, "perform", interrupted)
    campaign = calls("square", *({"x": x} for x in (1, 2, 3)))
    monkeypatch.setattr(drive.secrets, "randbelow", lambda count: 0)
    standing = run(campaign, tmp_path / "a.sqlite", processes=0)
    assert (standing.done, standing.left, standing.interrupted, standing.exit_code) == (1, 2, True, 130)
    monkeypatch.undo()
    assert run(campaign, tmp_path / "a.sqlite", processes=0).exit_code == 0


def test_a_result_that_ctrl_c_cut_short_is_not_kept(tmp_path: Path) -> None:
    standing = run(calls("interrupted", {}), tmp_path / "a.sqlite", processes=0)
    assert (standing.done, standing.failed, standing.exit_code) == (0, 0, 130)
    assert kept(tmp_path / "a.sqlite") == {}


class Slow(Executor):
    """Runs nothing before somebody waits: what another driver does meanwhile is seen."""

    def __init__(self, before: Callable[[], Any]) -> None:
        self.before = before

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.before()
        future: Future[Any] = Future()
        future.set_result(function(*args, **kwargs))
        return future


def test_what_another_driver_has_done_meanwhile_is_not_done_again(tmp_path: Path) -> None:
    campaign, submitted = calls("square", *({"x": x} for x in range(4))), []

    def other() -> None:
        submitted.append(1)
        run(campaign, tmp_path / "a.sqlite", processes=0)

    standing = run(campaign, tmp_path / "a.sqlite", executor=Slow(other), window=1)
    # The first submission is the package's version, during which the other driver does everything.
    assert (standing.done, len(submitted)) == (4, 1)
    assert {row.attempts for row in rows(tmp_path / "a.sqlite")} == {1}


def test_workers_of_another_version_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "__version__", "0.0.0")
    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(drive, "installed_version", lambda: "0.0.1")
        with pytest.raises(WorkerError, match=r"version 0\.0\.1 of manifoldflow, this is 0\.0\.0"):
            run(calls("square", {"x": 1}), tmp_path / "a.sqlite", executor=threads)


@pytest.mark.parametrize("name", ["campaign", "executor", "processes", "attempts", "window"])
def test_arguments_outside_their_domain_are_refused(name: str, tmp_path: Path) -> None:
    for bad in (-1, 0.5, "2", float("nan"), object()):
        given: dict[str, Any] = {"campaign": calls("square", {"x": 1}), "database": tmp_path / "a.sqlite", name: bad}
        with pytest.raises(InputError, match=name):
            run(**given)
    assert list(tmp_path.iterdir()) == []


# --- workers that die --------------------------------------------------------------------------------


def test_a_worker_that_is_killed_costs_nothing(tmp_path: Path) -> None:
    before = multiprocessing.active_children()
    squares = [Call(f"{EXAMPLES}:square", {"x": x}) for x in range(30)]
    killed = Call(f"{EXAMPLES}:die", {"times": 1, "file": str(tmp_path / "deaths")})
    campaign = Campaign(calls=[*squares[:10], killed, *squares[10:]])
    assert run(campaign, tmp_path / "a.sqlite", processes=2).exit_code == 0
    assert (tmp_path / "deaths").read_text() == "x"
    assert {row.attempts for row in rows(tmp_path / "a.sqlite")} == {1}
    assert set(multiprocessing.active_children()) <= set(before)


class Dead(InThisProcess):
    """Its worker has died."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        raise BrokenExecutor("a worker died")


def test_a_worker_that_dies_before_the_first_task_is_replaced(tmp_path: Path) -> None:
    asked, made = calls("square", {"x": 1}), iter([Dead(), Dead(), InThisProcess()])
    assert run(asked, tmp_path / "a.sqlite", executor=lambda: next(made)).exit_code == 0
    with pytest.raises(WorkerError, match="The workers die"):
        run(asked, tmp_path / "b.sqlite", executor=Dead, attempts=2)


def test_a_task_that_kills_every_worker_is_a_failure_and_takes_none_with_it(tmp_path: Path) -> None:
    squares = [Call(f"{EXAMPLES}:square", {"x": x}) for x in range(40)]
    killer = Call(f"{EXAMPLES}:die", {"times": 99, "file": str(tmp_path / "deaths")})
    campaign = Campaign(calls=[*squares[:3], killer, *squares[3:]])
    standing = run(campaign, tmp_path / "a.sqlite", processes=1, attempts=2)
    assert (standing.done, standing.failed) == (40, 1)
    assert (tmp_path / "deaths").read_text() == "xxx"  # once in company, and then alone
    (failed,) = (row for row in rows(tmp_path / "a.sqlite") if row.state == "failed")
    assert (failed.error, failed.attempts) == ("BrokenProcessPool", 2)
    assert "tried 2 times" in failed.message
    assert json.loads(failed.asked)["function"] == f"{EXAMPLES}:die"


def test_an_executor_that_breaks_and_cannot_be_made_again_is_said(tmp_path: Path) -> None:
    killer = calls("die", {"times": 99, "file": str(tmp_path / "deaths")})
    said = "Pass a function that makes the executor"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool, pytest.raises(WorkerError, match=said):
        run(killer, tmp_path / "a.sqlite", executor=pool)
    assert kept(tmp_path / "a.sqlite") == {}


def test_loky_is_an_executor_too(tmp_path: Path) -> None:
    loky = pytest.importorskip("joblib.externals.loky")
    killed = Call(f"{EXAMPLES}:die", {"times": 1, "file": str(tmp_path / "deaths")})
    campaign = Campaign(calls=[*(Call(f"{EXAMPLES}:square", {"x": x}) for x in range(3)), killed])
    standing = run(campaign, tmp_path / "a.sqlite", executor=lambda: loky.get_reusable_executor(1))
    loky.get_reusable_executor(1).shutdown(kill_workers=True)
    assert standing.exit_code == 0
