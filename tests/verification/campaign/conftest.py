"""Small campaigns, and drivers in processes of their own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from verification.campaign import Call, Campaign

EXAMPLES = "verification.campaign.examples"
SMALL = {"n": 3, "d": 6, "width": 4}


def calls(name: str, *arguments: dict[str, object]) -> Campaign:
    return Campaign(calls=[Call(f"{EXAMPLES}:{name}", given) for given in arguments])


def every_kind() -> Campaign:
    """Verdicts, flows and SGD, small, with a verdict that fails and one task that is refused by the library."""
    grid = {**SMALL, "kind": ["verify", "flow", "sgd"], "activation": ["z**3 + z", "tanh(z)"], "seed": [0, 1],
            "statement": ["S2", "S7"], "coarse_steps": 200, "runs": 3}  # fmt: skip
    return Campaign(grid=grid, exclude=[{"kind": "sgd", "activation": "tanh(z)"}])


SCRIPT = """
import sys
from verification.campaign import Call, Campaign, run
seconds, count, database, processes = sys.argv[1:]
given = [{"seconds": float(seconds), "number": k} for k in range(int(count))]
asked = [Call("verification.campaign.examples:wait", arguments) for arguments in given]
sys.exit(run(Campaign(calls=asked), database, processes=int(processes)).exit_code)
"""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a driver of `count` tasks of so many seconds in a process of its own, in a group of its own."""
    started = []

    def begin(seconds: float, count: int, database: Path, processes: int) -> subprocess.Popen[str]:
        arguments = [str(part) for part in (seconds, count, database, processes)]
        started.append(subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
        ))  # fmt: skip
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def kept(database: Path) -> dict[str, str]:
    """The results in a database, read by SQLite alone; it must be whole."""
    connection = sqlite3.connect(database)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT key, result FROM results WHERE state = 'done'").fetchall())
    finally:
        connection.close()


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Until it is true; a run that never gets there is an error, however slow the machine is."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def wait_for_results(database: Path, count: int) -> None:
    wait_for(lambda: database.exists() and len(kept(database)) >= count)


def workers_seen(database: Path, count: int) -> set[int]:
    """The processes that results came from, once there are so many."""

    def seen() -> set[int]:
        results = kept(database).values() if database.exists() else ()
        return {json.loads(result)["process"] for result in results}

    wait_for(lambda: len(seen()) >= count)
    return seen()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        return not Path("/proc").exists() or "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
