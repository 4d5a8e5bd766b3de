"""Ctrl-C and kill -9 in the middle of a verification: no verdict on half a flow, no process left."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import manifoldflow as mf
from manifoldflow.integration import Integration
from verification import Evidence, verify
from verification.evidence import FlowOptions

from .campaign.conftest import is_alive, wait_for
from .conftest import small_case

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ctrl_c_in_the_flow(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Ctrl-C while the second piece of the integration is computed; gives how many were begun."""
    whole, begun = Integration._next_segment, []

    def next_segment(run: Integration) -> object:
        begun.append(run)
        if len(begun) > 1:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(run)

    monkeypatch.setattr(Integration, "_next_segment", next_segment)
    return lambda: len(begun)


def test_half_a_flow_is_not_judged(ctrl_c_in_the_flow: Callable[[], int]) -> None:
    case = small_case()
    whole = FlowOptions(callback=lambda progress: False)  # with a callback the pieces have 32 steps
    with pytest.raises(KeyboardInterrupt):
        _ = Evidence(case, whole).flow
    assert ctrl_c_in_the_flow() == 2


def test_who_asks_for_a_part_gets_it(ctrl_c_in_the_flow: Callable[[], int]) -> None:
    options = FlowOptions(callback=lambda progress: False, keeps_part=True)
    found = Evidence(small_case(), options).flow
    assert (found.status, ctrl_c_in_the_flow()) == ("interrupted", 2)
    assert 1 < found.t.size <= 33


def test_a_verification_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> object:
        return solution

    solution = mf.sharpness_flow(*_problem(), method="implicit", callback=_ctrl_c)
    assert solution.status == "interrupted"
    monkeypatch.setattr(mf, "sharpness_flow", interrupted)
    report = verify([small_case()], ["S8"])
    assert (report.interrupted, report.cases, report.exit_code) == (True, (), 130)


def _problem() -> tuple[mf.ZeroLossManifold, object]:
    evidence = Evidence(small_case())
    return evidence.manifold, evidence.start


def _ctrl_c(progress: object) -> None:
    raise KeyboardInterrupt


SCRIPT = """
import multiprocessing, sys, time
from verification import runner
from verification.runner import verify
from tests.verification.conftest import small_case

def progress(line):
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    verify([small_case(), small_case(seed=1)], ["S9"], processes=2, progress=progress)
"""


def test_kill_9_of_the_driver_ends_its_workers(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    driver = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        assert driver.stdout is not None
        workers = [int(number) for number in driver.stdout.readline().split()]
        assert len(workers) == 2
        assert all(map(is_alive, workers))
        driver.send_signal(signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, workers)))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)  # its workers too, should they live on
        driver.communicate()
