"""How flows without an end of their own come to one: at rounding, or on the way to infinity, where F has no minimum."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

import manifoldflow as mf
from manifoldflow.integration import Integration
from manifoldflow.trajectory import Segment
from tests.manifoldflow.conftest import problem

pytestmark = pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")


class Opposed:
    """e^z1 - e^z2 = 1 with q = e^z2: q' = -(4 + 8 q) q^2 (1 + q)^2 / (1 + 2 q + 2 q^2), so q ~ 1 / (4 t); F -> 2."""

    q0 = 1.5

    def __init__(self):
        network = mf.TwoLayerNetwork("exp(z)", width=2, output_weights=[1.0, -1.0])
        self.man = mf.ZeroLossManifold(network, [[1.0]], [1.0])
        self.theta = np.log([[1.0 + self.q0], [self.q0]])

    def clock(self, z2):
        """The time at which the second unit is at z2."""

        def pace(z):
            q = np.exp(z)
            return (1.0 + 2.0 * q + 2.0 * q * q) / ((4.0 + 8.0 * q) * q * (1.0 + q) ** 2)

        return quad(pace, z2, np.log(self.q0), epsrel=1e-12, limit=500)[0]

    def gradient_norm(self, z2):
        q = np.exp(z2)
        return (4.0 + 8.0 * q) / np.hypot(1.0 / (1.0 + q), 1.0 / q)


def saturating(formula="tanh(z)", seed=2, n=6, d=10, m=8, own=()):
    data = mf.datasets.synthetic(n=n, d=d, rng=seed)
    network = mf.TwoLayerNetwork(mf.UnitFunction(formula, own=own), width=m)
    man = mf.ZeroLossManifold(network, data.X, data.y)
    return man, man.random_point(rng=seed)


def test_a_run_to_infinity_follows_its_closed_form_and_says_where_it_goes():
    case = Opposed()
    sol = mf.sharpness_flow(case.man, case.theta)
    assert (sol.status, sol.success) == ("not_attained", False)
    assert "infinity" in sol.message
    assert sol.t[-1] > 1e12
    assert sol.stats["accepted"] < 1000
    assert sol.sharpness[-1] == pytest.approx(2.0, rel=1e-12)
    for k in np.linspace(1, sol.t.size - 1, 12).astype(int):
        z2 = sol.theta[k, 1, 0]
        # t and q are inverse: an error of z2 is one of t, relatively. Some hundred steps of 1e-8 |z2| each.
        assert case.clock(z2) == pytest.approx(sol.t[k], rel=1e-5)
        # What rounding leaves of the gradient, 1e-15 of its normal part, is 5e-2 of it at the end.
        assert sol.gradient_norm[k] == pytest.approx(case.gradient_norm(z2), rel=1e-7, abs=2e-15)


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_the_gradient_falls_to_rounding_along_steps_of_any_length(seed):
    # Steps of 1e12 over the smallest rate that is not zero: the other directions must not bring in their rounding.
    sol = mf.sharpness_flow(*saturating("c*tanh(z)", seed=seed, own=("c",)), max_steps=2000)
    assert sol.status == "not_attained"
    late = sol.t > 1e5
    assert np.all(np.diff(sol.gradient_norm[late]) < 1e-3 * sol.gradient_norm[late][:-1])
    # theta grows as log t, so the gradient falls as 1 / t.
    shrunk = sol.gradient_norm[late][[0, -1]] * sol.t[late][[0, -1]]
    assert 0.5 < shrunk[1] / shrunk[0] < 2.0


def test_parameters_from_coefficients_bring_in_the_rounding_of_long_steps(monkeypatch):
    # The control: what images are for. Without them the gradient rises tenfold and more in a step, where it is to fall.
    whole = Integration.integrate

    def integrate(run):
        run.frame = run.frame._replace(condition=np.inf)
        whole(run)

    monkeypatch.setattr(Integration, "integrate", integrate)
    sol = mf.sharpness_flow(*saturating("c*tanh(z)", own=("c",)), max_steps=2000)
    late = sol.gradient_norm[sol.t > 1e10]
    assert np.max(late[1:] / late[:-1]) > 10.0
    assert late.min() > 1e-7  # 4e-14 with images


@pytest.mark.parametrize(
    ("formula", "own"),
    [("tanh(z)", ()), ("erf(z)", ()), ("atan(z)", ()), ("z/sqrt(1 + z**2)", ())],
)
def test_saturating_units_end_a_run_without_an_end(formula, own):
    # tanh and erf at rounding; the others, which grow as a power of t, when they are 1e5 times as far out.
    sol = mf.sharpness_flow(*saturating(formula, seed=0, n=5, d=8, m=6, own=own), rtol=1e-6, max_steps=5000)
    assert (sol.status, sol.success) == ("not_attained", False)
    assert sol.residual.max() < 1e-6
    assert np.all(np.diff(sol.sharpness) <= 1e-6 * sol.sharpness[:-1])


def beyond_rounding(formula="tanh(z) + z", seed=0):
    """Heavy-tailed data: 1 < phi' falls to 1, and with it the whole gradient, its normal part too, vanishes far out."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_t(1.5, size=(6, 10)), rng.normal(size=6)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=8), X, y)
    return man, man.random_point(rng=seed), 16.0 * np.sum(X**2)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_ends_where_the_sharpness_no_longer_falls_and_its_gradient_never_is_rounding(seed):
    man, theta, infimum = beyond_rounding(seed=seed)
    sol = mf.sharpness_flow(man, theta, max_steps=2000)
    assert (sol.status, sol.success) == ("not_attained", False)
    assert sol.sharpness[-1] == pytest.approx(infimum, rel=1e-14)
    assert 0.0 < sol.gradient_norm[-1] ** 2 * sol.t[-1] < 1e-15 * infimum
    assert mf.sharpness_flow(man, theta, gradient_tolerance=1e-40).gradient_norm[-1] <= 1e-40
    found = mf.flattest_point(man, theta)
    assert (found.attained, found.status) == (False, 3)


def test_a_minimum_at_a_finite_distance_is_reached_on_the_same_data():
    # The control: with z^3 in place of tanh(z) F falls to its least value at a finite point.
    man, theta, _ = beyond_rounding("z**3 + z")
    assert mf.sharpness_flow(man, theta, max_steps=5000).status == "stationary"
    assert mf.flattest_point(man, theta).is_global


def test_an_end_that_is_asked_for_is_reached():
    man, theta = saturating()
    assert mf.sharpness_flow(man, theta, (0.0, 1e15)).status == "reached_end"
    found = mf.sharpness_flow(man, theta, gradient_tolerance=1e-9)
    assert (found.status, found.success) == ("stationary", True)


@pytest.mark.parametrize(("formula", "label"), [("3*z + z**2 + (z - 1)**5", 8.0), ("z**3 + z", 8.0), ("sinh(z)", 1e4)])
def test_slow_convergence_is_not_taken_for_escape(formula, label):
    # The third derivative of the first is 60 (z - 1)^2: F is of order 4 around its minimum, z = 1, approached as
    # t^(-1/2). The last travels for most of its time and converges within a fraction of it.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=2), [[1.0]], [label])
    sol = mf.sharpness_flow(man, man.nearest_point([[1.3], [0.7]]), max_steps=5000)
    assert (sol.status, sol.success) == ("stationary", True)


@pytest.mark.parametrize(
    ("growth", "away"),
    [
        (lambda t: np.log1p(t), True),
        (lambda t: np.log1p(t) ** 0.5, True),
        (lambda t: (1.0 + t) ** 0.2, True),
        (lambda t: 1.0 + (1.0 + t) ** -0.5, False),
        (lambda t: 1.0 + (1.0 + t) ** (-1 / 6), False),
        (lambda t: 1.0 + np.exp(-t), False),
        (lambda t: 1.0 + 1e-12 * t, False),
        (lambda t: np.ones_like(t), False),
    ],
)
def test_what_counts_as_running_away(growth, away):
    t = np.concatenate([[0.0], np.geomspace(1e-3, 1e8, 400)])
    numbers = np.zeros((t.size, 3))
    numbers[:, 1] = np.abs(np.gradient(growth(t), t))
    case = Opposed()
    path = replace(mf.sharpness_flow(case.man, case.theta, (0.0, 1e-3)).path, segments=[], memory_limit=np.inf)
    for part in (slice(0, 150), slice(149, None)):
        path.add(Segment(t[part], growth(t[part])[:, None, None], numbers[part], None))
    assert path.runs_away() is away


@pytest.mark.parametrize("method", ["auto", "implicit"])
def test_a_span_far_beyond_the_end_costs_no_more(method):
    case = problem("cubic")
    sol = mf.sharpness_flow(case.man, case.theta, (0.0, 1e200), method=method)
    assert sol.status in ("reached_end", "stationary")  # the gradient may be exactly 0 before
    assert sol.stats["accepted"] < 1000
    assert sol.gradient_norm[-1] < 1e-12
    np.testing.assert_allclose(sol.theta[-1], mf.flattest_point(case.man, case.theta).x, atol=1e-8)
