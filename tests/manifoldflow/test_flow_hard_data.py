"""The flow on data that its methods were not made for: windows of one time series, large labels, flat units."""

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.integration import cost_ratio
from manifoldflow.trajectory import Segment, Trajectory

pytestmark = pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")


def windows(n, d, rng):
    """Windows of one time series as unit rows: neighbours nearly agree."""
    series = np.sin(np.arange(n + d) / 7) + 0.1 * rng.normal(size=n + d).cumsum() / 3
    X = np.stack([series[i : i + d] for i in range(n)])
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("formula", "n", "d", "m", "seed"), [("z**3 + z", 20, 24, 10, 0), ("log(cosh(z))", 7, 37, 4, 3)]
)
def test_auto_comes_back_to_the_implicit_method_after_a_transient(formula, n, d, m, seed):
    # Valleys in which implicit steps are a thousand times longer, between transients in which they are not.
    rng = np.random.default_rng(seed)
    X, y = windows(n, d, rng), rng.normal(size=n) if formula == "z**3 + z" else np.full(n, 1.5)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, m), X, y)
    theta, stats = man.random_point(rng=0), {}
    for method in ("auto", "implicit"):
        sol = mf.sharpness_flow(man, theta, rtol=1e-4, atol=1e-6, method=method)
        assert sol.status == "stationary"
        stats[method] = sol.stats
    assert stats["auto"]["switches"] >= 3  # to the implicit method, away, and back
    work = {name: found["explicit_steps"] + cost_ratio(man) * found["implicit_steps"] for name, found in stats.items()}
    assert work["auto"] < 1.05 * work["implicit"], work


@pytest.mark.parametrize("formula", ["(z - 1)**3 + z", "z + (z - 1)**3 + (z - 1)**5"])
def test_a_point_that_rests_where_the_euclidean_gradient_vanishes_too_is_the_end(formula):
    # phi'' = 0 at the flattest point: no normal part tells how much of the gradient is rounding.
    data = mf.datasets.synthetic(n=5, d=10, rng=1)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, 4), data.X, np.full(5, 4.0))
    sol = mf.sharpness_flow(man, man.random_point(rng=1))
    assert (sol.status, sol.t[-1] < 1e20) == ("stationary", True)
    assert sol.stats["accepted"] < 200
    np.testing.assert_allclose(sol.theta[-1], mf.flattest_point(man, sol.theta[-1]).x, atol=1e-13)


@pytest.mark.parametrize("seed", [0, 2, 4, 5])
def test_a_flow_to_infinity_ends_when_the_sharpness_no_longer_falls(seed):
    # Units far out on the flat side of z / (1 + e^-z): their own part of the gradient is below the others' rounding.
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(8, 16)), 100.0 * np.abs(rng.normal(size=8)) + 0.5
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z/(1 + exp(-z))", 4), X, y)
    sol = mf.sharpness_flow(man, man.random_point(rng=seed, scale=3.0), rtol=1e-5)
    assert sol.status == "not_attained"
    assert sol.stats["accepted"] < 600
    fallen = sol.sharpness[np.searchsorted(sol.t, 0.1 * sol.t[-1], side="right") - 1] - sol.sharpness[-1]
    assert fallen < 1e-12 * sol.sharpness[-1]


@pytest.mark.parametrize(
    ("fall", "gradient", "falls"),
    [(1.0, 1.0, True), (0.0, 1.0, True), (1.0, 100.0, True), (0.0, 100.0, False)],
)
def test_f_no_longer_falls_only_where_the_gradient_is_rounding_too(fall, gradient, falls):
    # A point that moves as log t, whose gradient is that speed or a multiple of it, and F = 1 + fall / t.
    t = np.geomspace(1.0, 1e8, 400)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("exp(z)", 2, [1.0, -1.0]), [[1.0]], [1.0])
    numbers = np.column_stack([1.0 + fall / t, gradient / t, np.zeros(t.size)])
    path = Trajectory(man, None, np.inf)
    path.add(Segment(t, np.log(t)[:, None, None], numbers, None))
    assert path.falls() is falls
