"""The limit map of the gradient flow, against SciPy's Radau on autograd's gradient, and bad input."""

import autograd
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import manifoldflow as mf
from manifoldflow.errors import GeometryError, InputError

from . import oracle


def problem(formula, psi, n, d, m, own=(), seed=0):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)), 0.5 * rng.standard_normal(n)
    a = rng.choice([-1.0, 1.0], m) * rng.uniform(0.5, 1.5, m)
    net = mf.TwoLayerNetwork(mf.UnitFunction(formula, own=own), width=m, output_weights=a)
    reference = oracle.Oracle(psi, X, y, np.repeat(a[:, None], n, axis=1), len(own))
    manifold = mf.ZeroLossManifold(net, X, y)
    return manifold, reference, manifold.random_point(rng=seed), rng


def by_radau(reference, theta):
    gradient = autograd.grad(reference.loss)
    path = solve_ivp(
        lambda s, v: -gradient(v.reshape(theta.shape)).ravel(),
        (0.0, 1e5),
        theta.ravel(),
        "Radau",
        rtol=1e-9,
        atol=1e-11,
    )
    return path.y[:, -1].reshape(theta.shape)


@pytest.mark.parametrize(
    ("formula", "psi", "n", "d", "m", "own"),
    [
        ("z**3 + z", oracle.cubic, 2, 4, 3, ()),
        ("sinh(z)", oracle.sinh, 3, 5, 3, ()),
        ("tanh(z)", oracle.tanh, 4, 2, 4, ()),  # n > d
        ("c*(z**3 + z)", oracle.trained_cubic, 2, 3, 3, ("c",)),
    ],
)
def test_limit_is_that_of_the_ordinary_differential_equation(formula, psi, n, d, m, own):
    manifold, reference, point, rng = problem(formula, psi, n, d, m, own)
    theta = point + 0.1 * rng.standard_normal(point.shape)
    limit = mf.gradient_flow_limit(manifold, theta)
    assert np.abs(manifold.residual(limit)).max() <= manifold.projection_tolerance()
    expected = by_radau(reference, theta)
    # Radau's own error is about 1e-9; the nearest point is further off by orders of magnitude (next test).
    np.testing.assert_allclose(limit, expected, rtol=0, atol=2e-8)
    assert np.abs(manifold.nearest_point(theta) - expected).max() > 1e-5


def test_limit_and_nearest_point_differ_in_the_second_order():
    manifold, _, point, rng = problem("z**3 + z", oracle.cubic, 3, 5, 4)
    direction = rng.standard_normal(point.shape)
    sizes = 0.02 / 2.0 ** np.arange(5)
    gaps = [
        np.linalg.norm(
            mf.gradient_flow_limit(manifold, point + h * direction, rtol=1e-11)
            - manifold.nearest_point(point + h * direction)
        )
        for h in sizes
    ]
    order = np.polyfit(np.log(sizes), np.log(gaps), 1)[0]
    assert 1.9 < order < 2.1


def test_limit_keeps_points_of_the_manifold_and_the_part_orthogonal_to_the_data():
    manifold, _, point, rng = problem("sinh(z)", oracle.sinh, 2, 6, 3)
    np.testing.assert_allclose(mf.gradient_flow_limit(manifold, point), point, rtol=0, atol=1e-13)
    theta = point + 0.1 * rng.standard_normal(point.shape)
    moved = mf.gradient_flow_limit(manifold, theta) - theta
    np.testing.assert_allclose(manifold.coordinates.orthogonal_part(moved), 0.0, atol=1e-14)


def test_tolerance_is_kept():
    manifold, _, point, rng = problem("z**3 + z", oracle.cubic, 3, 5, 4)
    theta = point + 0.1 * rng.standard_normal(point.shape)
    exact = mf.gradient_flow_limit(manifold, theta, rtol=1e-12)
    size = 1.0 + np.linalg.norm(theta)
    errors = [
        np.linalg.norm(mf.gradient_flow_limit(manifold, theta, rtol=r) - exact) / size for r in (1e-4, 1e-7, 1e-10)
    ]
    # A step keeps the tolerance; there are some ten of them.
    assert errors[0] < 1e-3
    assert errors[1] < 1e-6
    assert errors[2] < 1e-9


def test_stiff_data():
    data = mf.datasets.digits()
    manifold = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=20), data.X, data.y)
    point = manifold.random_point(rng=0)
    theta = point + 0.01 * np.random.default_rng(0).standard_normal(point.shape)
    coarse, fine = (mf.gradient_flow_limit(manifold, theta, rtol=r) for r in (1e-8, 1e-11))
    np.testing.assert_allclose(coarse, fine, rtol=0, atol=1e-7 * np.linalg.norm(point))


@pytest.mark.parametrize("rtol", [0.0, -1.0, 0.5, 1e-13, np.nan, "small"])
def test_tolerances_that_are_refused(rtol):
    manifold, _, point, _ = problem("z**3 + z", oracle.cubic, 2, 4, 3)
    with pytest.raises(InputError, match="rtol"):
        mf.gradient_flow_limit(manifold, point, rtol=rtol)


def test_shape_is_checked():
    manifold, _, point, _ = problem("z**3 + z", oracle.cubic, 2, 4, 3)
    with pytest.raises(InputError, match="theta"):
        mf.gradient_flow_limit(manifold, point[:, :-1])


def test_a_saddle_of_the_loss_is_said_to_be_no_start():
    # z^2 has gradient 0 at 0: the flow stays there, with loss 1.
    manifold = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**2", width=2), [[1.0, 0.0]], [1.0])
    with pytest.raises(GeometryError, match="did not come to the manifold"):
        mf.gradient_flow_limit(manifold, np.zeros((2, 2)))
