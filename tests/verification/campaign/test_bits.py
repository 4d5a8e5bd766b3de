"""The same bits for any executor and any number of workers; and a Dask cluster over TCP."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from verification.campaign import Database, load, run
from verification.campaign.export import export

from .conftest import kept, wait_for_results, workers_seen

COMMAND = [sys.executable, "-m", "manifoldflow", "campaign"]
TOML = """
[grid]
kind = ["verify", "flow", "sgd"]
activation = ["z**3 + z", "tanh(z)"]
n = 3
d = 6
width = 4
seed = [0, 1]
statement = ["S2", "S7"]
coarse_steps = 200
runs = 3
"""


def table(path: Path) -> bytes:
    with Database(path, create=False) as database:
        return export(database, "csv", timing=False)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of one process."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "a.toml").write_text(TOML)
    run(load(folder / "a.toml"), folder / "a.sqlite", processes=0)
    return table(folder / "a.sqlite")


def test_two_processes_give_the_bits_of_one(expected: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(TOML)
    assert run(load(tmp_path / "a.toml"), tmp_path / "a.sqlite", processes=2).exit_code == 0
    assert table(tmp_path / "a.sqlite") == expected
    assert expected.count(b"\n") == 1 + 8 + 4 + 12


@pytest.fixture(scope="module")
def cluster() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A scheduler and two worker processes, by the documented command; and its address."""
    pytest.importorskip("distributed")
    command = [*COMMAND, "cluster", "--processes", "2", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("scheduler at tcp://127.0.0.1:")
    yield process, line.split()[-1]
    process.terminate()
    process.communicate()


SCRIPT = """
import sys
from verification.campaign import Call, Campaign, run
from verification.campaign.executors import dask
address, database, count = sys.argv[1:]
asked = [Call("verification.campaign.examples:wait", {"seconds": 0.1, "number": k}) for k in range(int(count))]
with dask(address) as executor:
    sys.exit(run(Campaign(calls=asked), database, executor=executor).exit_code)
"""


def begin(address: str, database: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, address, str(database), str(count)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_cluster_gives_the_bits_of_one_process(
    expected: bytes, cluster: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    (tmp_path / "a.toml").write_text(TOML)
    command = [*COMMAND, "a.toml", "--quiet", "--scheduler", cluster[1]]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert table(tmp_path / "a.sqlite") == expected


def test_a_killed_worker_of_a_cluster_costs_nothing_and_a_killed_scheduler_what_is_left(
    cluster: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, address = cluster
    driver = begin(address, tmp_path / "a.sqlite", 60)
    os.kill(min(workers_seen(tmp_path / "a.sqlite", 2)), signal.SIGKILL)
    assert (driver.wait(), driver.communicate()[1]) == (0, "")
    assert len(kept(tmp_path / "a.sqlite")) == 60
    driver = begin(address, tmp_path / "b.sqlite", 600)
    wait_for_results(tmp_path / "b.sqlite", 4)
    process.kill()
    error = driver.communicate()[1]
    assert driver.returncode == 1
    assert "WorkerError: The executor gave its work up" in error
    assert error.count("Traceback") == 1  # and none of Dask's own
    assert 4 <= len(kept(tmp_path / "b.sqlite")) < 600
