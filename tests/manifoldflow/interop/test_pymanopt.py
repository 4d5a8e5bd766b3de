"""pymanopt's solvers on the zero-loss manifold."""

import autograd.numpy as anp
import numpy as np
import pymanopt
import pytest

import manifoldflow as mf
from manifoldflow import checks, interop
from manifoldflow.errors import InputError
from tests.manifoldflow.conftest import problem

TRUST = pymanopt.optimizers.TrustRegions(verbosity=0)
GRADIENTS = pymanopt.optimizers.ConjugateGradient(verbosity=0, min_gradient_norm=1e-8)


@pytest.mark.parametrize("solver", [TRUST, GRADIENTS], ids=["trust regions", "conjugate gradients"])
@pytest.mark.parametrize("name", ["cubic", "sinh", "signed", "trained"])
def test_the_solvers_reach_the_flattest_point(name, solver):
    case = problem(name)
    adapter = interop.ZeroLossPymanopt(case.man)
    found = solver.run(interop.pymanopt_problem(adapter), initial_point=case.theta)
    wanted = mf.flattest_point(case.man, case.theta)
    assert found.cost == pytest.approx(wanted.fun, rel=1e-9)
    assert np.linalg.norm(case.man.gradient(found.point)) < 1e-4 * np.linalg.norm(case.man.gradient(case.theta))
    assert np.abs(case.man.residual(found.point)).max() < 1e-11


@pytest.mark.parametrize("name", ["cubic", "two_own", "wide_data", "per_sample"])
def test_any_autograd_cost_has_a_right_riemannian_hessian(name):
    """By the Weingarten map of the adapter, against the gradient."""
    case = problem(name)
    adapter = interop.ZeroLossPymanopt(case.man)
    weights = np.random.default_rng(2).normal(size=case.man.shape)

    @pymanopt.function.autograd(adapter)
    def cost(theta):
        return anp.sum(weights * theta**3) + anp.sum(anp.sin(theta))

    task = pymanopt.Problem(adapter, cost)
    given = adapter, task.riemannian_gradient, task.riemannian_hessian, case.theta
    assert checks.check_gradient(adapter, task.cost, task.riemannian_gradient, case.theta).verdict == "ok"
    assert checks.check_hessian(*given).verdict == "ok"
    adapter.weingarten = lambda point, tangent, normal: np.zeros_like(tangent)
    assert checks.check_hessian(*given).verdict == "wrong"


def test_another_cost_is_minimised():
    case = problem("cubic")
    adapter = interop.ZeroLossPymanopt(case.man)

    @pymanopt.function.autograd(adapter)
    def size(theta):
        return anp.sum(theta**2)

    task = pymanopt.Problem(adapter, size)
    found = TRUST.run(task, initial_point=case.theta)
    assert np.linalg.norm(task.riemannian_gradient(found.point)) < 1e-5
    assert found.cost < np.sum(case.theta**2)


def test_the_adapter_is_the_manifold():
    case = problem("trained")
    adapter = interop.ZeroLossPymanopt(case.man, rng=1)
    point = adapter.random_point()
    u, v = adapter.random_tangent_vector(point), adapter.random_tangent_vector(point)
    assert np.abs(case.man.residual(point)).max() < 1e-11
    assert adapter.norm(point, u) == pytest.approx(1.0)
    assert adapter.inner_product(point, u, v) == pytest.approx(float(np.sum(u * v)))
    assert adapter.dim == case.man.shape[0] * case.man.shape[1] - case.man.n
    np.testing.assert_allclose(adapter.to_tangent_space(point, u), u, atol=1e-13)
    np.testing.assert_array_equal(adapter.zero_vector(point), np.zeros(case.man.shape))
    np.testing.assert_array_equal(adapter.exp(point, 0.1 * u), case.man.exp(point, 0.1 * u))
    there = adapter.retraction(point, 0.1 * u)
    np.testing.assert_array_equal(adapter.transport(point, there, u), case.man.projection(there, u))
    again = interop.ZeroLossPymanopt(case.man, rng=1)
    np.testing.assert_array_equal(again.random_point(), point)
    assert adapter.failed_retractions == 0


def test_a_step_too_long_for_a_retraction_is_counted_and_stays():
    case = problem("cubic")
    adapter = interop.ZeroLossPymanopt(case.man)
    far = adapter.retraction(case.theta, np.full(case.man.shape, 1e60))
    np.testing.assert_array_equal(far, case.theta)
    assert adapter.failed_retractions == 1


def test_arguments():
    with pytest.raises(InputError, match="manifold must be a ZeroLossManifold"):
        interop.ZeroLossPymanopt(object())
    with pytest.raises(InputError, match="manifold must be a ZeroLossPymanopt"):
        interop.pymanopt_problem(problem("cubic").man)
