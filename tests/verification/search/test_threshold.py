"""Where the first negative eigenvalue appears: never below S3's threshold, and noticed if it did."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import cli
from verification.commands import search as command
from verification.search import Effort, Family
from verification.search.layout import FARTHEST, Layout
from verification.search.optimise import moved
from verification.search.threshold import Found, _on_flow, _on_ray, thresholds, write

CUBIC = Family.of("z**3 + nu*z", {"nu": (0.05, 5.0)})


@pytest.fixture(scope="module")
def found() -> Found:
    return thresholds([CUBIC], sizes=(2, 16), samples=(1, 2), count=1, effort=Effort(1, 1, 30))


def test_no_crossing_is_below_the_threshold(found: Found) -> None:
    assert found.complete
    assert not found.refuted
    assert {(item.path, item.m, item.n) for item in found.crossings} >= {
        (path, m, n) for path in ("ray", "flow") for m in (2, 16) for n in (1, 2)
    }
    for m in found.sizes:
        assert found.ratios("search", m)[0] < max(found.ratios("ray", m))


def test_one_crossing_below_refutes(found: Found) -> None:
    low = replace(found.crossings[0], ratio=0.99)
    assert replace(found, crossings=(*found.crossings, low)).refuted
    assert not replace(found, crossings=found.crossings[:1]).complete


@pytest.mark.parametrize("follow", [_on_ray, _on_flow])
def test_the_manifolds_own_spectrum_changes_sign_there(follow: object) -> None:
    layout, rng = Layout(CUBIC, (1, 3), 2), np.random.default_rng(3)
    points = [point for _ in range(6) for point in follow(layout, layout.random(rng))]  # type: ignore[operator]
    assert points
    for point in points:
        theta = np.linalg.solve(point.X, point.Z.T).T
        net = mf.TwoLayerNetwork(CUBIC.formula(point.values), width=4)
        y = CUBIC.table(theta @ point.X.T, point.values)[0].sum(axis=0)
        man = mf.ZeroLossManifold(net, point.X, y)
        spectrum = man.hessian_spectrum(theta)
        assert abs(spectrum[0]) < 1e-5 * spectrum[-1]


def test_a_flow_keeps_its_labels() -> None:
    layout, rng = Layout(CUBIC, (1, 3), 1), np.random.default_rng(3)
    for x in (layout.random(rng) for _ in range(12)):
        start = layout.point(moved(layout, x, FARTHEST))
        assert start is not None
        y = CUBIC.table(start.Z, start.values)[0].sum(axis=0)
        for point in _on_flow(layout, x):
            np.testing.assert_allclose(CUBIC.table(point.Z, point.values)[0].sum(axis=0), y, rtol=1e-6)


def test_files_and_text(found: Found, tmp_path: Path) -> None:
    write(found, tmp_path)
    assert len((tmp_path / "threshold.csv").read_text().splitlines()) == 1 + len(found.crossings)
    assert f"{found.smallest.ratio:.4f} at m = {found.smallest.m}" in (tmp_path / "threshold.svg").read_text()
    assert f"{found.smallest.ratio:.6f}" in found.text


def test_same_seed_same_numbers() -> None:
    options = {"sizes": (2,), "samples": (1,), "count": 1, "effort": Effort(1, 1, 10)}
    first, second = (thresholds([CUBIC], **options, rng=4) for _ in range(2))  # type: ignore[arg-type]
    assert first == second


@pytest.mark.parametrize("options", [{"sizes": ()}, {"sizes": (1, 2)}, {"count": 0}])
def test_bad_sizes_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(mf.errors.InputError):
        thresholds([CUBIC], **options)  # type: ignore[arg-type]


def test_the_command_says_where_nothing_was_met(
    found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "thresholds", lambda families, rng: replace(found, crossings=()))
    assert cli.main(["search", "--threshold", "--out", str(tmp_path)]) == 3
    below = replace(found, crossings=(replace(found.crossings[0], ratio=0.9),))
    monkeypatch.setattr(command, "thresholds", lambda families, rng: below)
    assert cli.main(["search", "--threshold", "--out", str(tmp_path)]) == 1
    assert "0.900000" in capsys.readouterr().out
