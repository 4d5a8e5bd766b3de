"""Problems that the tests of the numerics share: a manifold, a point on it, and an oracle of the same network."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manifoldflow as mf
from tests.manifoldflow import oracle as units
from tests.manifoldflow.oracle import Oracle, data_with_condition

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class PerSampleNetwork:
    """A network whose fixed coefficients differ from sample to sample; the protocol of `TwoLayerNetwork`."""

    unit: mf.UnitFunction
    width: int
    table: Any

    @property
    def p(self):
        return self.unit.p

    def inputs(self, X):
        return X

    def coefficients(self, X):
        return self.table


@dataclass(frozen=True)
class Problem:
    """One network on one data set: `man`, `oracle` and `theta`, a point on M with a part orthogonal to the data."""

    network: Any
    psi: Any
    X: np.ndarray
    y: np.ndarray
    scale: float = 1.0

    @cached_property
    def man(self):
        return mf.ZeroLossManifold(self.network, self.X, self.y)

    @property
    def inputs(self):
        return self.network.inputs(self.X)

    @cached_property
    def oracle(self):
        return Oracle(self.psi, self.inputs, self.y, self.network.coefficients(self.X), self.network.p)

    @cached_property
    def theta(self):
        theta = self.man.random_point(rng=3, scale=self.scale)
        theta.flags.writeable = False
        return theta

    def direction(self, seed=0, size=1.0):
        u = np.random.default_rng(seed).normal(size=self.man.shape)
        return size * u / np.linalg.norm(u)

    def tangent(self, seed=0, size=1.0):
        u = self.oracle.projector(self.theta) @ self.direction(seed).ravel()
        return (size * u / np.linalg.norm(u)).reshape(self.man.shape)


def _problem(formula, psi, n, d, width, weights=None, own=(), condition=None, labels=1.0, scale=1.0):
    rng = np.random.default_rng(11)
    X = data_with_condition(n, d, condition, rng) if condition else rng.normal(size=(n, d)) / np.sqrt(d)
    y = labels * rng.normal(size=n)
    network = mf.TwoLayerNetwork(mf.UnitFunction(formula, own=own), width=width, output_weights=weights)
    return Problem(network, psi, X, y, scale)


def _per_sample():
    rng = np.random.default_rng(12)
    X, y = rng.normal(size=(4, 2)), rng.normal(size=4)
    unit = mf.UnitFunction("a*c1*(z**3 + z) + c2**2*sin(z) + 0.3*a*c2", own=("c1", "c2"))
    return Problem(PerSampleNetwork(unit, 3, rng.normal(size=(3, 4))), units.two_own, X, y)


def _diagonal(signed):
    rng = np.random.default_rng(13)
    X = rng.normal(size=(3, 6))
    y = X @ rng.uniform(0.5, 1.5, size=6)
    return Problem(mf.DiagonalLinearNetwork(signed), units.signed_squares if signed else units.squares, X, y)


_TWO_OWN = "a*c1*(z**3 + z) + c2**2*sin(z) + 0.3*a*c2"
_MAKE = {
    "cubic": lambda: _problem("z**3 + z", units.cubic, n=3, d=5, width=4),
    "sinh": lambda: _problem("sinh(z)", units.sinh, n=3, d=5, width=4),
    "signed": lambda: _problem("z**3 + z", units.cubic, n=3, d=5, width=4, weights=[1.0, -2.0, 0.5, 1.5]),
    "trained": lambda: _problem("z**3 + z", units.trained_cubic, n=3, d=5, width=4, weights="trained"),
    "two_own": lambda: _problem(_TWO_OWN, units.two_own, n=3, d=4, width=3, own=("c1", "c2")),
    "per_sample": _per_sample,
    "diagonal": lambda: _diagonal(True),
    "squares": lambda: _diagonal(False),
    "wide_data": lambda: _problem("z**3 + z", units.cubic, n=5, d=3, width=4),
    "tanh": lambda: _problem("tanh(z)", units.tanh, n=3, d=5, width=4, labels=0.5, scale=1.5),
    "ill": lambda: _problem("z**3 + z", units.cubic, n=4, d=5, width=4, condition=1e6),
    "large_d": lambda: _problem("z**3 + z", units.cubic, n=10, d=3000, width=3),
}
SMALL = ("cubic", "sinh", "signed", "trained", "two_own", "per_sample", "wide_data", "tanh", "diagonal", "squares")


@cache
def problem(name):
    """The shared problem of that name, built on first use."""
    return _MAKE[name]()


@pytest.fixture
def cubic():
    return problem("cubic")


@pytest.fixture(params=SMALL)
def each(request):
    """Every small problem in turn."""
    return problem(request.param)


@pytest.fixture(scope="session")
def digits_run():
    """The digits problem (cond(G) ~ 1e6) followed to its stationary point."""
    data = mf.datasets.digits()
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=20), data.X, data.y)
    theta = man.random_point(rng=0)
    return man, theta, mf.sharpness_flow(man, theta, method="implicit")


def start_command(*arguments):
    """The command in a process of its own, which Ctrl-C can be sent to."""
    return _start(["-m", "manifoldflow", *arguments], stderr=subprocess.PIPE)


def start_script(code, *arguments):
    """A script in a process of its own, which can be killed."""
    return _start(["-c", code, *arguments])


def _start(arguments, **streams):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **streams)


def kill_after(process, lines):
    """Kill a process, as kill -9 does, when it has printed that many lines."""
    for _ in range(lines):
        assert process.stdout.readline()
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def last_line(process):
    """The last line that a process prints, when it has ended."""
    return process.communicate(timeout=300)[0].splitlines()[-1]


def wait_until_written(path, process, after=0):
    """Until a file is there that was written at another time."""
    for _ in range(60_000):
        if path.exists() and path.stat().st_mtime_ns != after:
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    raise AssertionError(f"{path} was not written.")


class Terminal:
    """A stream that may be a terminal, and what was written to it."""

    def __init__(self, is_one=True):
        self.is_one, self.written = is_one, ""

    def isatty(self):
        return self.is_one

    def write(self, text):
        self.written += text

    def flush(self):
        pass


def run_python(code, *arguments, **environment):
    """Run a script in a fresh interpreter at the root of the tree; (exit code, standard output, standard error)."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def python():
    """`run_python`, as a fixture."""
    return run_python
