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
    trained = problem("trained")
    with pytest.raises(InputError, match=r"units a\*phi\(z\)"):
        exact_zero_loss_point(trained.man, trained.theta)
