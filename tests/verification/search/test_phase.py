"""Phase diagrams against what is known: thresholds, critical points found another way, ends of flows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import fsolve

from manifoldflow.errors import InputError
from verification.search import Family
from verification.search.one_sample import ends, point
from verification.search.patterns import pattern_counts
from verification.search.phase import DIAGRAMS, Found, diagram, write

S11 = {"tanh": 1 / np.sqrt(3), "arctan": np.pi / 6, "sigmoid": (3 + np.sqrt(3)) / 6, "softplus": np.log(2.0)}


@pytest.fixture(scope="module")
def small() -> dict[str, Found]:
    return {item.name: diagram(item.name, 4) for item in DIAGRAMS}


@pytest.mark.parametrize("name", list(S11))
def test_thresholds_at_nought_are_those_of_s11(small: dict[str, Found], name: str) -> None:
    found = small[name]
    assert found.consistent
    assert np.abs(found.rows[0].thresholds - S11[name]).min() < 1e-12
    kinds = {kind for row in found.rows for kind in row.kinds}
    assert kinds >= {"minimum", "maximum"}
    assert set(found.rows[-1].kinds) == {"minimum"}  # the cubic term restores A1
    assert set(found.rows[-1].random) == {"rank one"}
    assert set(found.rows[-1].patterns) == {0}


def test_every_diagram_has_its_thresholds() -> None:
    assert set(S11) == {item.name for item in DIAGRAMS}


def test_a_wrong_threshold_is_noticed(small: dict[str, Found]) -> None:
    right = small["tanh"]
    wrong = replace(right.rows[0], thresholds=np.array([0.0, *right.rows[0].thresholds[1:]]))  # between two maxima
    found = replace(right, rows=(wrong, *right.rows[1:]))
    assert not found.consistent
    assert "contradict" in found.text


def test_bistable_is_a_minimum_whose_random_flow_ends_elsewhere(small: dict[str, Found]) -> None:
    row = replace(
        small["tanh"].rows[0], kinds=("minimum", "minimum", "maximum", "minimum"),
        random=("disagreeing", "rank one", "disagreeing", "moving"),
    )  # fmt: skip
    found = replace(small["tanh"], rows=(row,))
    assert found.bistable == [(0.0, float(found.labels[0]))]
    assert "elsewhere: 1" in found.text


def test_counts_of_critical_points_by_random_starts() -> None:
    """Newton's method on phi'' equal and sum phi = y, from many starts, finds as many kinds."""
    family, values, y, m = Family.of("tanh(z) + e*z**3", {"e": (0.0, 1.0)}), (0.1,), 0.7, 4

    def equations(z: np.ndarray) -> np.ndarray:
        phi, _, bend, _ = family.table(z, values)
        return np.append(bend[1:] - bend[:-1], phi.sum() - y)

    kinds, rng = set(), np.random.default_rng(0)
    for _ in range(400):
        z, _, status, _ = fsolve(equations, rng.uniform(-4.0, 4.0, m), full_output=True, xtol=1e-12)
        if status == 1 and np.abs(equations(z)).max() < 1e-10 and np.ptp(z) > 1e-6:
            assert float(point(family, values, z).gradient_norm) < 1e-8
            kinds.add(tuple(np.round(np.sort(z), 6)))
    assert len(kinds) == pattern_counts(family, values, np.array([y]), m)[0] > 0


def test_flows_side_by_side_end_as_alone() -> None:
    family, values = Family.of("tanh(z) + e*z**3", {"e": (0.0, 1.0)}), (0.1,)
    starts = [np.array([-1.0, 0.0, 0.5, 2.0]), np.array([0.3, 0.31, 0.3, 0.32]), np.array([3.0, -3.0, 3.0, -2.9])]
    together = point(family, values, np.array(starts).T)
    for k, Z in enumerate(starts):
        np.testing.assert_allclose(together.C[:, k], point(family, values, Z).C[:, 0], rtol=1e-12, atol=1e-14)
    words = ends(family, values, starts)
    assert words == [ends(family, values, [Z])[0] for Z in starts]
    assert {"rank one", "disagreeing"} & set(words)


def test_processes_give_the_same(tmp_path: Path) -> None:
    alone, pool = diagram("arctan", 2), diagram("arctan", 2, processes=2)
    for a, b in zip(alone.rows, pool.rows, strict=True):
        assert (a.kinds, a.nearby, a.random) == (b.kinds, b.nearby, b.random)
        np.testing.assert_array_equal(a.smallest, b.smallest)
    write(alone, tmp_path)
    lines = (tmp_path / "phase-arctan.csv").read_text().splitlines()
    assert len(lines) == 5
    assert (tmp_path / "phase-arctan.svg").read_text().startswith("<svg")


def test_bad_diagrams_are_refused() -> None:
    with pytest.raises(InputError, match="tanh, sigmoid"):
        diagram("relu")
    with pytest.raises(InputError):
        diagram("tanh", 1)
