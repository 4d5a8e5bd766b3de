"""The flow on data that its methods were not made for: windows of one time series, large labels, flat units."""

import types
from dataclasses import replace

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import integration
from manifoldflow.cost import cost_ratio
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


def ending_of(t, W, F, speed):
    """How a run without an end ends by its points, sharpness and gradient norm at t; None: it goes on."""
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("exp(z)", 2, [1.0, -1.0]), [[1.0]], [1.0])
    whole = Segment(t, W[:, None, None], np.column_stack([F, speed, np.zeros(t.size)]), None)
    path = Trajectory(man, types.SimpleNamespace(gradient_tolerance=0.0), np.inf, [whole.until(t.size // 2)])
    rest = replace(whole, t=t[t.size // 2 :], W=whole.W[t.size // 2 :], numbers=whole.numbers[t.size // 2 :])
    return path.until_rounding(rest, False)[1]


@pytest.mark.parametrize(
    ("fall", "gradient", "ending"),
    [(1.0, 1.0, None), (0.0, 1.0, None), (1.0, 100.0, None), (0.0, 100.0, "not_attained")],
)
def test_f_no_longer_falls_only_where_the_gradient_is_rounding_too(fall, gradient, ending):
    # A point that moves as log t, whose gradient is that speed or a multiple of it, and F = 1 + fall / t.
    t = np.geomspace(1.0, 1e8, 400)
    assert ending_of(t, np.log(t), 1.0 + fall / t, gradient / t) == ending


@pytest.mark.parametrize(
    ("growth", "ending"), [(lambda t: 0.0 * t, "stationary"), (lambda t: 1e-20 * np.exp(1e-5 * t), None)]
)
def test_a_point_has_stopped_where_its_gradient_would_have_moved_it_a_million_times_as_far(growth, ending):
    # The gradient is rounding, or what grows out of a saddle at the rate 1e-5 and has not moved the point yet.
    t = np.linspace(0.0, 2e6, 400)
    speed = np.maximum(1e-5 * growth(t), 0.0 if ending is None else 1e-12)
    assert ending_of(t, 1.0 + growth(t), np.ones(t.size), speed) == ending


def test_a_run_whose_gradient_is_the_rounding_of_far_points_ends_before_its_steps_go_astray():
    # The Euclidean gradient's normal part vanishes along SiLU's straight side: by it alone no rounding is seen, and
    # ever longer steps multiplied what there is until F rose by 1e-4 of itself and |grad F| was 0.2.
    rng = np.random.default_rng(93)
    X = np.vander(np.linspace(-1.0, 1.0, 7), 22, increasing=True)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z/(1 + exp(-z))", 4), X, 100.0 * np.abs(rng.normal(size=7)) + 0.5)
    sol = mf.sharpness_flow(man, man.random_point(rng=93), rtol=1e-5)
    assert sol.status in ("stationary", "not_attained")
    assert sol.gradient_norm[-1] < 1e-8
    assert np.all(np.diff(sol.sharpness) <= 1e-11 * sol.sharpness[-1])


def test_far_out_the_residual_may_be_the_rounding_of_the_outputs_terms(monkeypatch):
    # |W| grows to ten thousand times its start, and with it the terms whose sum is y.
    rng = np.random.default_rng(0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z + atan(z)", 3), 10.0 * rng.normal(size=(4, 8)), rng.normal(size=4))
    theta, options = man.random_point(rng=0, scale=0.1), {"rtol": 1e-5, "max_steps": 1000}
    sol = mf.sharpness_flow(man, theta, **options)
    assert sol.status == "not_attained"
    assert sol.residual[-1] < 1e-15 * np.abs(sol.theta[-1] @ man.X.T).sum()
    assert np.isfinite(sol.sol(0.7 * sol.t[-1])).all()
    # Where it ends does not depend on how many steps are looked at together.
    watched = mf.sharpness_flow(man, theta, **options, callback=lambda progress: None)
    assert np.array_equal(watched.theta, sol.theta)
    # The control: by the tolerance of the start there is a point that no step can be projected from.
    monkeypatch.setattr(integration.Integration, "_allow_for_rounding", lambda run: False)
    assert mf.sharpness_flow(man, theta, **options).status == "projection_failed"


def rows_of_all_lengths(decades, n=6, m=6):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2 * n)) * np.logspace(-decades / 2, decades / 2, n)[:, None]
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", m), X, rng.normal(size=n))
    return man, man.random_point(rng=0)


def off(sol, man):
    """Largest distance of a pre-activation from its value at the flattest point."""
    return np.abs(man.preactivations(sol.theta[-1]) - man.preactivations(mf.flattest_point(man).x)).max()


@pytest.mark.parametrize("decades", [2, 3])
def test_short_rows_come_to_rest_beside_long_ones(decades, monkeypatch):
    man, theta = rows_of_all_lengths(decades)
    sol = mf.sharpness_flow(man, theta)
    assert sol.status == "stationary"
    assert off(sol, man) < 1e-13
    # The control: by the gradient's norm alone the run ends, some ten steps earlier, with the short rows on their way.
    monkeypatch.setattr(integration, "is_underway", lambda *_: False)
    early = mf.sharpness_flow(man, theta)
    assert off(early, man) > 1e-10
    assert early.stats["accepted"] > sol.stats["accepted"] - 30


def test_rows_of_one_length_take_no_more_steps(monkeypatch):
    man, theta = rows_of_all_lengths(0)
    steps = mf.sharpness_flow(man, theta).stats
    monkeypatch.setattr(integration, "is_underway", lambda *_: False)
    assert mf.sharpness_flow(man, theta).stats == steps


@pytest.mark.parametrize("method", ["auto", "implicit"])
def test_a_minimum_of_order_four_where_the_euclidean_gradient_vanishes_is_reached(method):
    # z falls as t^(-1/2): F is constant to rounding from z = 1e-4 on, and nothing is relative to what vanishes.
    data = mf.datasets.synthetic(n=3, d=6, rng=0)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**5 + z", 2), data.X, np.zeros(3))
    sol = mf.sharpness_flow(man, man.random_point(rng=0), method=method)
    assert (sol.status, sol.success) == ("stationary", True)
    assert np.abs(man.preactivations(sol.theta[-1])).max() < 1e-12
    assert sol.stats["accepted"] < 1000
    assert sol.stats["rejected"] < 10
