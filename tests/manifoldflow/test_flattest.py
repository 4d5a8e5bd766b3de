"""The flattest point against SciPy's constrained optimiser on the oracle, the flow's end, and S1, S2, S10."""

import warnings

import autograd
import numpy as np
import pytest
from scipy.optimize import NonlinearConstraint, OptimizeResult, brentq, minimize

import manifoldflow as mf
from manifoldflow.errors import AssumptionWarning, GeometryError, InputError
from tests.manifoldflow.conftest import problem

WEIGHTS = {
    "equal": None,
    "positive": [0.5, 1.0, 2.0, 3.0],
    "signed": [1.0, -2.0, 0.5, 1.5],
    "all negative": [-1.0, -1.0, -2.0, -0.5],
}


def manifold(formula, weights, labels=1.0):
    rng = np.random.default_rng(21)
    X, y = rng.normal(size=(3, 5)), labels * rng.normal(size=3)
    return mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=4, output_weights=weights), X, y)


def by_scipy(oracle, start):
    """Minimise F = 2 sum |grad f_i|^2 subject to f = y, from `start`, with derivatives by autograd."""
    shape = start.shape

    def jacobian(flat):
        return oracle.jacobian(flat.reshape(shape)).reshape(oracle.y.size, -1)

    return minimize(
        lambda flat: oracle.sharpness(flat.reshape(shape)),
        start.ravel(),
        jac=lambda flat: autograd.grad(oracle.sharpness)(flat.reshape(shape)).ravel(),
        constraints=NonlinearConstraint(
            lambda flat: oracle.output(flat.reshape(shape)), oracle.y, oracle.y, jac=jacobian
        ),
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed"])
def test_scipy_finds_the_same_minimum(name):
    case = problem(name)
    found = mf.flattest_point(case.man, case.theta)
    other = by_scipy(case.oracle, case.theta)
    assert np.abs(case.oracle.output(other.x.reshape(case.man.shape)) - case.y).max() < 1e-8
    assert found.fun == pytest.approx(other.fun, rel=1e-8)
    Z = case.man.preactivations(other.x.reshape(case.man.shape))
    np.testing.assert_allclose(case.man.preactivations(found.x), Z, atol=1e-4)
    assert found.is_global


@pytest.mark.parametrize("formula", ["z**3 + z", "sinh(z)"])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("labels", [1.0, 100.0])
def test_it_is_where_the_flow_ends(formula, weights, labels):
    man = manifold(formula, weights, labels)
    theta = man.random_point(rng=0)
    found = mf.flattest_point(man, theta)
    end = mf.sharpness_flow(man, theta, method="implicit")
    assert end.status == "stationary"
    np.testing.assert_allclose(end.theta[-1], found.x, atol=1e-9 * np.abs(found.x).max())
    assert end.sharpness[-1] == pytest.approx(found.fun, rel=1e-11)
    assert found.is_global
    assert found.success


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_curvatures_agree_over_the_units(weights):
    # S10: a_j phi''(z_ji) = k_i for all j; here phi'' = 6 z, so a_j z_ji is the same for all units.
    man = manifold("z**3 + z", weights)
    found = mf.flattest_point(man)
    products = man.network.output_weights[:, None] * man.preactivations(found.x)
    np.testing.assert_allclose(products, np.repeat(products[:1], 4, axis=0), atol=1e-12)
    assert np.abs(man.residual(found.x)).max() < 1e-12


@pytest.mark.parametrize(
    ("formula", "phi", "slope"),
    [
        ("z**3 + z", lambda z: z**3 + z, lambda z: 3 * z**2 + 1),
        ("z**3 + z/4", lambda z: z**3 + z / 4, lambda z: 3 * z**2 + 0.25),
        ("sinh(z)", np.sinh, np.cosh),
    ],
)
def test_equal_weights_give_the_closed_form(formula, phi, slope):
    # S2: every unit has z_ji = phi^{-1}(y_i / m), and F* = 2 m sum_i s_i phi'(phi^{-1}(y_i / m))^2.
    man = manifold(formula, None)
    found = mf.flattest_point(man)
    z = np.array([brentq(lambda t, y=y: phi(t) - y / man.m, -50.0, 50.0, xtol=1e-15) for y in man.y])
    np.testing.assert_allclose(man.preactivations(found.x), np.repeat(z[None], man.m, axis=0), atol=1e-12)
    s = (man.X**2).sum(axis=1)
    assert found.fun == pytest.approx(2 * man.m * np.sum(s * slope(z) ** 2), rel=1e-12)


def test_no_point_seen_is_flatter():
    man = manifold("z**3 + z", WEIGHTS["signed"])
    best = mf.flattest_point(man).fun
    values = [man.sharpness(man.random_point(rng=seed, scale=scale)) for seed in range(20) for scale in (0.3, 1.0)]
    assert min(values) > best


def test_the_part_orthogonal_to_the_data_is_that_of_theta0(cubic):
    found = mf.flattest_point(cubic.man, cubic.theta)
    without = mf.flattest_point(cubic.man)
    rows = np.linalg.svd(cubic.X, full_matrices=False)[2]
    outside = np.eye(5) - rows.T @ rows
    np.testing.assert_allclose(found.x @ outside, cubic.theta @ outside, atol=1e-14)
    np.testing.assert_allclose(without.x @ outside, 0.0, atol=1e-14)
    np.testing.assert_allclose(found.x @ cubic.X.T, without.x @ cubic.X.T, atol=1e-13)


def test_the_result_is_scipys(cubic):
    found = mf.flattest_point(cubic.man)
    assert isinstance(found, OptimizeResult)
    assert (found.status, found.success) == (0, True)
    assert found.fun == pytest.approx(cubic.oracle.sharpness(found.x), rel=1e-12)
    assert found.gradient_norm == pytest.approx(np.linalg.norm(found.jac))
    assert found.gradient_norm < 1e-12
    assert "S13" in found.message


@pytest.mark.parametrize("name", ["tanh", "wide_data", "trained", "per_sample"])
def test_where_the_theorem_does_not_apply_the_result_is_local(name):
    case = problem(name)
    found = mf.flattest_point(case.man, case.theta)
    assert not found.is_global
    assert "local" in found.message
    assert found.success
    assert np.abs(case.oracle.output(found.x) - case.y).max() < 1e-11
    assert np.linalg.norm(case.oracle.gradient(found.x)) < 1e-7
    assert found.fun < case.oracle.sharpness(case.theta)
    assert case.man.hessian_spectrum(found.x)[0] > -1e-6 * found.fun
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)
        sol = mf.sharpness_flow(case.man, case.theta, method="implicit", gradient_tolerance=1e-8)
    # tanh ends in its flat tails, where a gradient of 1e-8 is reached early.
    assert sol.sharpness[-1] == pytest.approx(found.fun, rel=1e-6)


def test_the_exponential_with_signs_has_no_flattest_point_to_claim():
    # a_j e^(z_ji) = k_i for all j is impossible when the a_j differ in sign: nothing global may be claimed.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("exp(z)", width=2, output_weights=[1.0, -1.0]), [[1.0]], [1.0])
    found = mf.flattest_point(man)
    assert not found.is_global


def test_positive_exponentials():
    # Equal weights: z_ji = log(y_i / m). Towards -oo phi' has no lower bound, so S7 confines nothing: not claimed.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("exp(z)", width=3), np.eye(2), [0.3, 30.0])
    found = mf.flattest_point(man)
    assert found.success
    assert not found.is_global
    np.testing.assert_allclose(found.x, np.repeat(np.log([[0.1, 10.0]]), 3, axis=0), atol=1e-8)


def test_bad_arguments(cubic):
    with pytest.raises(InputError, match="ZeroLossManifold; got str"):
        mf.flattest_point("manifold")
    with pytest.raises(GeometryError, match="not on the manifold"):
        mf.flattest_point(cubic.man, cubic.theta + 1.0)
    with pytest.raises(InputError, match=r"shape \(4, 5\)"):
        mf.flattest_point(cubic.man, np.zeros((1, 5)))
