"""Exact zero-loss points: distances that are known exactly, radii a hair too small, points that are too far."""

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.certificates import exact_zero_loss_point
from manifoldflow.errors import InputError
from tests.manifoldflow.conftest import problem


def one_unit():
    """f = theta^3 + theta = 2 has the one zero-loss point theta = 1."""
    return mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=1), np.eye(1), [2.0])


@pytest.mark.parametrize("gap", [0.0, 2.0**-30, 2.0**-10, 0.0625])
def test_the_distance_is_found(gap):
    man = one_unit()
    found = exact_zero_loss_point(man, [[1.0 + gap]])
    assert found.certificate.proved
    assert gap <= found.radius <= gap * (1 + 1e-6) + 1e-13
    assert found.contraction < 1.0


@pytest.mark.parametrize("share", [0.99, 1.0 - 1e-9])
def test_a_radius_that_is_too_small_is_refused(share):
    man = one_unit()
    gap = 2.0**-10
    short = exact_zero_loss_point(man, [[1.0 + gap]], radius=share * gap)
    assert short.certificate.verdict == "not proved"
    assert "only a distance of 0.000976562" in short.certificate.reason
    assert exact_zero_loss_point(man, [[1.0 + gap]], radius=(1.0 + 1e-6) * gap).certificate.proved


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed", "tanh", "ill", "wide_data", "large_d"])
def test_computed_points_are_near_exact_ones(name):
    case = problem(name)
    found = exact_zero_loss_point(case.man, case.theta)
    assert found.certificate.proved
    assert found.radius < 1e-9
    # Not nearer than the residual allows: |f - y| <= |J| r to first order.
    slope = np.linalg.norm(case.man.jacobian(case.theta).reshape(case.man.n, -1), 2)
    assert np.abs(case.man.residual(case.theta)).max() <= 1.1 * slope * found.radius


def test_digits(digits_run):
    man, theta, _ = digits_run
    found = exact_zero_loss_point(man, theta)
    assert found.certificate.proved
    assert found.radius < 1e-11


def test_moves_off_the_manifold_are_measured():
    case = problem("cubic")
    man = case.man
    normal = man.jacobian(case.theta)[0]
    for size in (1e-7, 1e-4, 1e-1):
        off = case.theta + size * normal / np.linalg.norm(normal)
        distance = np.linalg.norm(off - man.nearest_point(off))
        found = exact_zero_loss_point(man, off)
        assert found.certificate.proved
        assert distance * (1 - 1e-9) <= found.radius <= distance * (1 + 1e-3)


def test_where_there_is_no_such_point_nothing_is_proved():
    # z^2 = -1 has no solution, and J = 0 at z = 0.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**2", width=1), np.eye(1), [1.0])
    found = exact_zero_loss_point(man, [[0.0]])
    assert not found.certificate.proved
    assert "singular" in found.certificate.reason
    far = exact_zero_loss_point(one_unit(), [[1e3]])
    assert far.certificate.proved  # by way of the nearest point
    assert far.radius == pytest.approx(999.0)


def test_a_formula_that_is_not_real_there_says_so():
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("sqrt(z)", width=1), np.eye(1), [1.0])
    found = exact_zero_loss_point(man, [[-2.0]])
    assert not found.certificate.proved
    assert found.radius == np.inf
    assert "is it real there?" in found.certificate.reason or "converge" in found.certificate.reason


def test_bad_input():
    case = problem("cubic")
    with pytest.raises(InputError, match="radius must be"):
        exact_zero_loss_point(case.man, case.theta, radius=-1.0)
    with pytest.raises(InputError, match="theta must have shape"):
        exact_zero_loss_point(case.man, case.theta[:2])


# --- units of any form ----------------------------------------------------------------------------

OWN = [
    ("c*tanh(b*z)", ("c", "b")),
    ("(z + b)**3 + z + b", ("b",)),
    ("c*log(1 + exp(z))", ("c",)),
    ("a*c*tanh(z) + a**2*c", ("c",)),
    ("c*exp(-(z - b)**2/2) + e*z", ("c", "b", "e")),
]


@pytest.mark.parametrize(("formula", "own"), OWN)
def test_units_with_own_parameters_more_samples_than_columns(formula, own):
    rng = np.random.default_rng(3)
    net = mf.TwoLayerNetwork(mf.UnitFunction(formula, own=own), 6, [1.0, 1.0, -1.0, 2.0, 1.0, 0.5])
    X, theta = rng.normal(size=(5, 3)), rng.normal(size=(6, 3 + len(own)))
    man = mf.ZeroLossManifold(net, X, mf.ZeroLossManifold(net, X, np.zeros(5)).predict(theta))
    found = exact_zero_loss_point(man, theta)
    assert found.certificate.proved
    assert found.radius < 1e-12
    off = theta + 1e-3 * rng.normal(size=theta.shape)
    distance = np.linalg.norm(off - man.nearest_point(off))
    found = exact_zero_loss_point(man, off)
    assert distance * (1.0 - 1e-9) <= found.radius <= distance * (1.0 + 1e-3)
    assert not exact_zero_loss_point(man, off, radius=0.999 * distance).certificate.proved


@pytest.mark.parametrize("signed", [True, False])
def test_diagonal_linear_networks(signed):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(10, 40))
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed), X, X @ rng.uniform(size=40))
    found = exact_zero_loss_point(man, man.random_point(rng=0))
    assert found.certificate.proved
    assert found.radius < 1e-12
    singular = exact_zero_loss_point(man, np.zeros(man.shape))
    assert "singular" in singular.certificate.reason


@pytest.mark.parametrize("gap", [2.0**-30, 2.0**-10, 0.0625])
def test_the_distance_to_a_hyperbola_is_found(gap):
    # f = c z = 1: from (1 + gap, 1 + gap) the nearest point is (1, 1).
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z", width=1, output_weights="trained"), np.eye(1), [1.0])
    found = exact_zero_loss_point(man, [[1.0 + gap, 1.0 + gap]])
    distance = np.sqrt(2.0) * gap
    assert distance * (1.0 - 1e-15) <= found.radius <= distance * (1.0 + 1e-6) + 1e-13


def test_no_point_is_claimed_where_own_parameters_cannot_reach_the_label():
    # b^2 + 1 is never 0.5; J is regular at b = 2.
    net = mf.TwoLayerNetwork(mf.UnitFunction("b**2 + 1 + 0.01*z", own=("b",)), width=1)
    man = mf.ZeroLossManifold(net, np.eye(1), [0.5])
    assert not exact_zero_loss_point(man, [[0.0, 2.0]], radius=1.0).certificate.proved
