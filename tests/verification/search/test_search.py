"""The power of the search: true statements are not refuted, each made too large by 1 % is, and so is a false one."""

import json
from dataclasses import replace
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq

from manifoldflow import cli
from manifoldflow.certificates import enclose_constants
from manifoldflow.errors import DataError
from manifoldflow.manifold import ZeroLossManifold
from manifoldflow.network import TwoLayerNetwork
from verification.search import (
    FAMILIES,
    INEQUALITIES,
    Effort,
    Family,
    Instance,
    Row,
    inequality_named,
    load,
    replay,
    run,
)
from verification.search.driver import missed, table
from verification.search.enclosed import constants
from verification.search.geometry import geometry
from verification.search.inequalities import Region
from verification.search.measured import Measured
from verification.search.replay import NOT_REFUTED, REFUTED, UNDECIDED, Replay

SMALL = Effort(pools=2, starts=1, evaluations=110)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    out = tmp_path_factory.mktemp("search")
    plain = [item for item in INEQUALITIES if not item.threshold]
    thresholds = [item for item in INEQUALITIES if item.threshold]
    rows = run(FAMILIES[:2], inequalities=plain, effort=SMALL, out=out)
    rows += run(FAMILIES[:1], inequalities=thresholds, effort=Effort(pools=2, starts=2, evaluations=120), out=out)
    return sorted(rows, key=lambda row: INEQUALITIES.index(row.inequality))


def test_no_statement_is_refuted(found: list[Row]) -> None:
    assert [row.inequality.name for row in found] == [item.name for item in INEQUALITIES]
    assert {row.inequality.name: row.replay.verdict() for row in found if row.replay.verdict() != NOT_REFUTED} == {}


def test_one_per_cent_too_large_is_refuted(found: list[Row]) -> None:
    assert missed(found, 1.0) == []
    # S6 is not sharp: its 2 may be replaced by 4, which is.
    [stated] = [row for row in found if row.inequality.name == "S6"]
    assert float(stated.replay.high) == pytest.approx(2.0, rel=1e-2)
    assert stated.replay.verdict(1.0) == NOT_REFUTED
    assert stated.replay.verdict(102.0) == REFUTED


def test_a_constant_that_is_not_attained_is_missed(found: list[Row]) -> None:
    assert set(missed(found, 1e-12)) >= {"S3r*", "S6*"}


def test_files_give_the_same_verdicts(found: list[Row]) -> None:
    for row in found:
        assert row.file is not None
        again = load(row.file)
        np.testing.assert_array_equal(again.theta, row.instance.theta)
        assert again.groups == row.instance.groups
    row = found[0]
    assert row.file is not None
    assert replay(load(row.file)) == row.replay


def test_float64_is_near_fifty_digits(found: list[Row]) -> None:
    for row in found:
        # F - F* may be as small as 1e-9 F, with an error of 1e-15 F.
        assert float(row.replay.high) == pytest.approx(row.instance.ratio, rel=1e-4), row.inequality.name


def test_constants_of_a_replay_are_those_of_the_certificates(found: list[Row]) -> None:
    instance = next(row.instance for row in found if row.inequality.name == "S13")
    net = TwoLayerNetwork(instance.formula, width=len(instance.a))
    known = enclose_constants(ZeroLossManifold(net, instance.X, instance.y), instance.theta)
    exact = np.vectorize(mpmath.mpf, otypes=[object])
    with mpmath.workdps(50):
        X, theta = exact(instance.X), exact(instance.theta)
        point = geometry(X, exact(instance.a), instance.family.digits(theta @ X.T, instance.values))
        (low, high), _ = constants(instance, point, instance.theta @ instance.X.T)
    for name in ("rho1", "rho2", "beta", "ratio"):
        enclosure = getattr(known, name)
        slack = 1e-9 * enclosure.high
        assert float(getattr(low, name)) <= enclosure.high + slack, name
        assert float(getattr(high, name)) >= enclosure.low - slack, name


def test_a_false_statement_is_refuted() -> None:
    s6 = inequality_named("S6*")
    false = replace(s6, ratio=lambda x: s6.ratio(x) / 1.3)
    [row] = run(FAMILIES[:1], inequalities=[false], effort=SMALL)
    assert row.replay.verdict() == REFUTED


def test_another_family() -> None:
    family = Family.of("z**5 + b*z**3 + nu*z", {"nu": (0.2, 2.0), "b": (0.1, 2.0)})
    names = ("S3*", "S13*", "S6*", "S7*")
    rows = run([family], inequalities=[inequality_named(name) for name in names], effort=Effort(2, 1, 60))
    assert [row.replay.verdict() for row in rows] == [NOT_REFUTED] * 4
    assert missed(rows, 5.0) == []


def test_an_activation_outside_the_assumptions_gives_nothing() -> None:
    assert run([Family.of("tanh(z)", {})], effort=Effort(1, 1, 10)) == []


def test_between_the_ends_nothing_is_decided() -> None:
    close = Replay(mpmath.mpf("0.99"), mpmath.mpf("1.01"), 1.0)
    assert close.verdict() == UNDECIDED
    assert Replay(mpmath.nan, mpmath.nan, 1.0, "no enclosure").verdict() == UNDECIDED


@pytest.mark.parametrize("nu", [1.0, 0.3])
def test_an_equality_is_no_refutation(nu: float) -> None:
    """S7* with one unit at z = 0, where phi' = rho1: its two sides are the same number."""
    family, exact = Family.of("z**3 + nu*z", {"nu": (0.1, 2.0)}), inequality_named("S7*")
    flattest = np.full((2, 1), brentq(lambda z: 2.0 * (z**3 + nu * z) - 1.0 - nu, 0.0, 1.0))
    theta = np.array([[1.0], [0.0]])
    instance = Instance(exact, family, (nu,), np.ones((1, 1)), theta, np.ones(2), flattest, 1.0, 0)
    assert replay(instance).verdict() == NOT_REFUTED
    wrong = replace(exact, ratio=lambda x: exact.ratio(x) / (1 + mpmath.mpf("1e-12")))
    assert replay(replace(instance, inequality=wrong)).verdict() == REFUTED


def _polyak(x: Measured, **other: object) -> object:
    return x.point.gradient_norm**2 / (2.0 * Region.stated(replace(x, **other)).rate * x.excess)


WRONG = {
    "S3 4 + kappa": ("S3", lambda x: x.smallest / ((4 + Region.stated(x).kappa) * Region.stated(x).c1)),
    "S5 s_max": ("S5", lambda x: _polyak(x, data=replace(x.data, s_min=x.point.s.max()))),
    "S6 without s_i": ("S6", lambda x: x.point.gradient_norm / (2 * x.data.mu**0.5 * x.stated.rho1 * x.stated.rho2
                                                               * abs(x.Z - x.flattest).max())),
    "S7 s^2": ("S7", lambda x: x.point.F / (2 * x.point.s**2 * x.point.table[1] ** 2).max()),
    "S13 s_max": ("S13", lambda x: inequality_named("S13").ratio(x) * x.data.s_min / x.point.s.max()),
    "S10/S5 max a^2": ("S10/S5", lambda x: _polyak(x, weight=(x.point.a**2).max())),
}  # fmt: skip
"""Statements with a wrong exponent, sign, or extremum."""


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_statements_are_refuted(name: str) -> None:
    base, ratio = WRONG[name]
    wrong = replace(inequality_named(base), name=name, ratio=ratio)
    [row] = run(FAMILIES[1:2], inequalities=[wrong], effort=Effort(1, 1, 20))
    assert row.replay.verdict() == REFUTED, row.replay


def test_same_seed_same_numbers() -> None:
    ratios = [run(FAMILIES[:1], inequalities=[INEQUALITIES[4]], effort=Effort(1, 1, 60))[0].instance for _ in range(2)]
    assert ratios[0].ratio == ratios[1].ratio
    np.testing.assert_array_equal(ratios[0].theta, ratios[1].theta)


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"inequality": "S99"}, {"theta": [[1.0]]}, {"a": [0.0] * 2}, {"X": [[float("nan")]]},
               {"family": "exec(z)"}, {"coefficients": {"nu": "x"}}],
)  # fmt: skip
def test_damaged_files_are_refused(found: list[Row], tmp_path: Path, change: dict[str, object]) -> None:
    assert found[0].file is not None
    content = json.loads(found[0].file.read_text()) | change
    (tmp_path / "instance.json").write_text(json.dumps(content))
    with pytest.raises(DataError):
        load(tmp_path / "instance.json")


def test_the_command(found: list[Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--family", "z**3 + nu*z", "--range", "nu=0.1:2", "--inequalities", "S7", "--out", str(tmp_path)]
    assert cli.main(["search", *small, "--quiet"]) == 0
    assert "not refuted" in capsys.readouterr().out
    assert "| `z**3 + nu*z` |" in (tmp_path / "search.md").read_text()
    numbers = json.loads((tmp_path / "search.json").read_text())
    assert numbers["inequalities"][0]["broken"] == "refuted"
    assert cli.main(["search", "--replay", str(tmp_path / "S7.json")]) == 0
    assert "50 digits" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [["--inequalities", "S99"], ["--range", "nu=1:2"], ["--phase", "relu"], ["--replay", "/nowhere"],
                ["--family", "z**3 + nu*z", "--range", "mu=0:1"]],
)  # fmt: skip
def test_the_command_refuses(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["search", *options]) == 2
    assert capsys.readouterr().err.startswith("manifoldflow search: ")


def test_the_table_names_every_inequality(found: list[Row]) -> None:
    text = table(found, 1.0).text()
    assert all(item.text in text for item in INEQUALITIES)


def test_a_critical_point_decides_nothing(found: list[Row]) -> None:
    instance = found[4].instance
    alike = replace(instance, theta=np.repeat(instance.theta[:1], len(instance.a), axis=0))
    again = replay(alike)
    assert again.verdict() == UNDECIDED
    assert "critical" in again.reason
