"""Drivers that are killed, interrupted, or two at once."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from verification.campaign import Database

from .conftest import is_alive, kept, wait_for, wait_for_results, workers_seen

Start = Callable[..., "subprocess.Popen[str]"]


def test_kill_9_of_the_driver_loses_nothing_that_finished(tmp_path: Path, start: Start) -> None:
    """Killed at random moments, each time later; the last run does only what is left."""
    database, rng, before = tmp_path / "a.sqlite", np.random.default_rng(0), {}
    for _ in range(3):
        driver = start(0.005, 600, database, 0)
        wait_for_results(database, len(before) + int(rng.integers(1, 40)))
        time.sleep(rng.uniform(0.0, 0.01))
        seen = kept(database)
        driver.send_signal(signal.SIGKILL)
        assert driver.wait() == -signal.SIGKILL
        after = kept(database)
        assert before.items() <= seen.items() <= after.items()
        before = after
    assert start(0.005, 600, database, 0).wait() == 0
    final = kept(database)
    assert len(final) == 600
    assert before.items() <= final.items()
    processes = {json.loads(result)["process"] for result in final.values()}
    assert len(processes) == 4  # each did a part
    assert [path.name for path in tmp_path.iterdir()] == ["a.sqlite"]  # the last has cleaned up the log


def test_kill_9_of_the_driver_ends_its_workers(tmp_path: Path, start: Start) -> None:
    driver = start(0.05, 1000, tmp_path / "a.sqlite", 2)
    workers = workers_seen(tmp_path / "a.sqlite", 2)
    assert all(map(is_alive, workers))
    driver.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, workers)))
    with Database(tmp_path / "a.sqlite", create=False) as database:  # with the log still there
        assert sum(row.state == "done" for row in database.rows()) >= 2


def test_ctrl_c_stops_driver_and_workers_without_a_word(tmp_path: Path, start: Start) -> None:
    """The terminal sends it to the whole group."""
    driver = start(0.05, 1000, tmp_path / "a.sqlite", 2)
    workers = workers_seen(tmp_path / "a.sqlite", 2)
    os.killpg(driver.pid, signal.SIGINT)
    assert (driver.wait(), driver.stderr.read()) == (130, "")
    assert not any(map(is_alive, workers))


def test_two_drivers_at_once_leave_one_result_a_task(tmp_path: Path, start: Start) -> None:
    drivers = [start(0.01, 200, tmp_path / "a.sqlite", 0) for _ in range(2)]
    assert [(driver.wait(), driver.stderr.read()) for driver in drivers] == [(0, ""), (0, "")]
    found = kept(tmp_path / "a.sqlite")
    numbers = [json.loads(result)["number"] for result in found.values()]
    assert sorted(numbers) == list(range(200))
