"""Moving onto the manifold far out, where summands cancel, and retractions that are smooth where they are defined."""

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.errors import ProjectionError
from manifoldflow.projection import newton, rounding_level

DATA = mf.datasets.synthetic(n=3, d=6, rng=0)


def manifold(formula, width=4, weights=None):
    return mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width, output_weights=weights), DATA.X, DATA.y)


def tangent(man, theta, seed):
    u = man.projection(theta, np.random.default_rng(seed).normal(size=theta.shape))
    return u / np.linalg.norm(u)


def test_a_long_geodesic_is_measured_although_its_summands_are_large():
    man = manifold("z**3 + z")
    theta = man.random_point(rng=0)
    found = mf.geodesic_convexity(man, mf.flattest_point(man, theta).x, 0.1 * man.gradient(theta))
    assert found.verdict == "convex"


@pytest.mark.parametrize("formula", ["z**3 + z", "a*(z**3 + z) + c*sin(z)"])
def test_the_rounding_level_grows_with_the_summands_and_lets_nothing_else_through(formula):
    own = ("c",) if "c*" in formula else ()
    net = mf.TwoLayerNetwork(mf.UnitFunction(formula, own=own), width=4)
    man = mf.ZeroLossManifold(net, DATA.X, DATA.y)
    theta = man.random_point(rng=0)
    W = man.coordinates.reduce(theta)
    assert rounding_level(man, W) < man.projection_tolerance() == man.projection_tolerance(W)
    far = man.retraction(theta, 1e3 * tangent(man, theta, 0))
    level = rounding_level(man, man.coordinates.reduce(far))
    Z = far[:, :6] @ DATA.X.T
    assert 1.0 < level / (8 * np.finfo(float).eps * np.abs(Z**3 + Z).sum(axis=0).max()) < 20.0
    assert np.abs(man.residual(far)).max() <= level
    # Negative control: a point moved in its tenth digit is above the level, until Newton's method moves it back.
    off = man.coordinates.reduce(far * (1.0 + 1e-10 * np.random.default_rng(1).normal(size=far.shape)))
    assert np.abs(man.residual(man.coordinates.expand(off))).max() > 10.0 * level
    assert newton(man, off) is None
    assert np.abs(man.residual(man.coordinates.expand(off))).max() <= level


def test_units_that_cancel_in_sum_have_a_level_of_their_own():
    # The summands are 1e6 + z: their slopes do not show their size.
    man = manifold("z + 1e6", weights=[1.0, -1.0, 1.0, -1.0])
    W = man.coordinates.reduce(man.random_point(rng=0))
    assert rounding_level(man, W) == pytest.approx(8 * np.finfo(float).eps * 4e6, rel=1e-3)


@pytest.mark.parametrize(("formula", "width"), [("sinh(z)", 6), ("tanh(z)", 8), ("z**3 + z", 4)])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_retraction_is_smooth_where_it_is_defined(formula, width, seed):
    man = manifold(formula, width)
    theta = man.random_point(rng=seed)
    u = tangent(man, theta, seed)
    taken, refused = [], []
    for length in 2.0 ** np.arange(-2.0, 14.0, 0.25):
        try:
            moved = man.retraction(theta, length * (1.0 + 1e-7) * u) - man.retraction(theta, length * u)
        except ProjectionError as error:
            refused.append((length, str(error)))
        else:
            taken.append(length)
            assert np.linalg.norm(moved) < 2.0 * length * 1e-7
    assert max(taken) > 16.0
    assert bool(refused) == (formula != "z**3 + z")


def test_a_step_too_long_is_refused_with_one_that_is_not():
    man = manifold("sinh(z)", 6)
    theta = man.random_point(rng=0)
    u = tangent(man, theta, 0)
    with pytest.raises(ProjectionError, match=r"too long for a retraction.*0\.\d+ u, of length") as caught:
        man.retraction(theta, 100.0 * u)
    share = float(str(caught.value).split(" u, of length")[0].split()[-1])
    end = man.retraction(theta, share * 100.0 * u)
    assert np.abs(man.residual(end)).max() <= man.projection_tolerance(man.coordinates.reduce(end)) < 1e-2
    with pytest.raises(ProjectionError):
        man.retraction(theta, 2.0 * share * 100.0 * u)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_nearest_point_does_not_depend_on_the_unit_of_theta(scale):
    man = manifold("z**3 + z")
    scaled = mf.ZeroLossManifold(man.network, scale * DATA.X, DATA.y)
    start = man.random_point(rng=0) + 0.01 * np.random.default_rng(0).normal(size=man.shape)
    expected = man.nearest_point(start)
    found = scale * scaled.nearest_point(start / scale)
    assert np.linalg.norm(found - expected) < 1e-10 * np.linalg.norm(expected)
