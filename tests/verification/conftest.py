"""Evidence that many tests read: computed once, never changed (`Evidence.replaced` copies)."""

from collections.abc import Callable

import numpy as np
import pytest

import manifoldflow as mf
from verification import STATEMENTS, Case, Evidence, Statement, Verdict, VerificationReport, verify


def small_case(activation: str = "z**3 + z", n: int = 4, d: int = 8, width: int = 5, seed: int = 0) -> Case:
    return Case(mf.datasets.synthetic(n=n, d=d, rng=1), activation, width, seed)


def statement(name: str) -> Statement:
    return next(found for found in STATEMENTS if found.id == name)


@pytest.fixture(scope="session")
def good() -> Evidence:
    """A case in which every hypothesis is met, with everything computed."""
    evidence = Evidence(small_case())
    for found in STATEMENTS:
        found.check(evidence)
    return evidence


@pytest.fixture(scope="session")
def flat() -> Evidence:
    """tanh: A1 and A3 fail, small labels make the rank-one point a maximum."""
    return Evidence(small_case("tanh(z)"))


@pytest.fixture(scope="session")
def dependent() -> Evidence:
    """More samples than columns: A2 fails."""
    return Evidence(small_case(n=6, d=3, width=6))


@pytest.fixture(scope="session")
def judge() -> Callable[[str, Evidence], Verdict]:
    """The verdict of a statement, by its id."""
    return lambda name, evidence: statement(name).check(evidence)


@pytest.fixture(scope="session")
def report() -> VerificationReport:
    """A report with verdicts of every kind but one, and every plot."""
    cases = [small_case(), small_case("tanh(z)")]
    return verify(cases)


@pytest.fixture(scope="session")
def data_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "small.npz"
    data = mf.datasets.synthetic(n=3, d=6, rng=2)
    np.savez(path, X=data.X, y=data.y)
    return str(path)
