"""Properties over shapes, scales, repeated rows and activations: a result with the property, or a typed error.

Warnings are errors here as everywhere, so a silent overflow fails too. For more examples, other ones each time:
`make unit ARGS="tests/robustness --hypothesis-profile=long"`.
"""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import manifoldflow as mf
from manifoldflow.errors import FormulaError, ManifoldflowError, UnreachableLabelsError
from tests.robustness.drawn import Drawn, examples, formulas, problems

pytestmark = [
    pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning"),
    pytest.mark.filterwarnings("ignore::manifoldflow.errors.IllConditionedWarning"),  # an answer too, as an error is
    pytest.mark.filterwarnings("ignore:Output seems independent of input"),  # autograd, where phi' is constant
]
# A kernel takes a second to compile and none to interpret: test_interpreted.py sets this.
FORMULAS = int(os.environ.get("MANIFOLDFLOW_TEST_FORMULAS", "2"))
EPS = np.finfo(float).eps


def explained(error):
    """An error says something."""
    assert len(str(error)) > 20


def at_a_point(drawn):
    """Whether the drawn problem has a point of M; a typed error says why not, and is the result then."""
    try:
        return drawn.theta is not None
    except ManifoldflowError as error:
        explained(error)
        return False


def typed(call, *arguments, **options):
    """A finite result, or None where a typed error came."""
    try:
        found = call(*arguments, **options)
    except ManifoldflowError as error:
        explained(error)
        return None
    assert np.isfinite(found).all()
    return found


def condition(man, theta):
    values = np.linalg.eigvalsh(man.distinct.jacobian_gram(theta))
    return values[-1] / max(values[0], values[-1] * 1e-300)


def allowed(man, theta):
    """Ten times what counts as rounding of f at theta: scales of data and parameters make large summands."""
    return 10.0 * man.projection_tolerance(man.coordinates.reduce(theta))


def check_first_order(drawn):
    man, theta = drawn.man, drawn.theta
    size = allowed(man, theta)
    assert np.abs(man.residual(theta)).max() <= size
    g = typed(man.gradient, theta)
    if g is None:
        return
    cond, oracle = condition(man, theta), drawn.oracle
    with np.errstate(over="ignore"):  # autograd divides by cosh(z)^2
        normal = np.linalg.norm(oracle.jacobian(theta)) * np.linalg.norm(man.multipliers(theta))
        euclidean = np.linalg.norm(g) + normal
        if cond < 1e8:
            wanted, nearby = oracle.gradient(theta), oracle.gradient(theta * (1.0 + 1e-13))
            rounding = 10.0 * np.linalg.norm(nearby - wanted)  # of z, which a steep activation enlarges
            assert np.linalg.norm(g - wanted) <= 1e3 * EPS * cond * euclidean + rounding
    np.testing.assert_array_equal(g, man.gradient(theta))
    F = man.sharpness(theta)
    assert F >= 0.0
    wanted = float(drawn.oracle.sharpness(theta))
    nearby = float(drawn.oracle.sharpness(theta * (1.0 + 1e-13 * np.sign(drawn.vector(1)))))  # z may be what cancels
    assert pytest.approx(wanted, rel=1e-12, abs=1e-290 + abs(nearby - wanted)) == F


def check_tangent_space(drawn):
    man, theta, u = drawn.man, drawn.theta, drawn.vector(1)
    P = typed(man.projection, theta, u)
    if P is None:
        return
    cond = condition(man, theta)
    assert np.linalg.norm(man.projection(theta, P) - P) <= 1e3 * EPS * cond * np.linalg.norm(u)
    assert np.linalg.norm(P) <= (1.0 + 1e3 * EPS * cond) * np.linalg.norm(u)
    size = np.linalg.norm(theta) + EPS
    moved = typed(man.retraction, theta, 1e-3 * size * P / (np.linalg.norm(P) + 1e-300))
    if moved is not None:
        assert np.abs(man.residual(moved)).max() <= allowed(man, moved)


def check_hessian(drawn):
    man, theta = drawn.man, drawn.theta
    u, v = drawn.vector(1), drawn.vector(2)
    Hu, Hv = typed(man.hessian_vector_product, theta, u), typed(man.hessian_vector_product, theta, v)
    if Hu is None or Hv is None:
        return
    cond = condition(man, theta)
    scale = 1e4 * EPS * cond * (np.linalg.norm(Hu) * np.linalg.norm(v) + np.linalg.norm(Hv) * np.linalg.norm(u))
    rounding = 1e4 * EPS * cond * man.sharpness(theta) * np.linalg.norm(u) * np.linalg.norm(v)
    rounding /= min(np.linalg.norm(theta), 1.0) ** 2
    assert abs(np.vdot(Hu, v) - np.vdot(u, Hv)) <= scale + rounding
    if cond < 1e6 and man.m * sum(man.shape) < 40:
        wanted = drawn.oracle.hessian_vector_product(theta, u)
        assert np.linalg.norm(Hu - wanted) <= 1e5 * EPS * cond * np.linalg.norm(wanted) + rounding


def check_reduced(drawn):
    man, theta = drawn.man, drawn.theta
    reduced, W = man.reduced, man.coordinates.reduce(theta)
    F = typed(reduced.sharpness, W)
    assert F is not None
    assert pytest.approx(F, rel=1e-10, abs=1e-290) == man.sharpness(theta)
    g, small = typed(man.gradient, theta), typed(reduced.gradient, W)
    if g is not None and small is not None:
        cond = condition(man, theta)
        error = np.linalg.norm(man.coordinates.expand(small) - g)
        J = np.linalg.norm(drawn.oracle.jacobian(theta))
        natural = F / max(np.linalg.norm(theta), 1e-300)  # of a derivative, where cancellation leaves nothing of it
        assert error <= 1e3 * EPS * cond * (np.linalg.norm(g) + J * np.linalg.norm(man.multipliers(theta)) + natural)


def check_flow(drawn):
    man, theta = drawn.man, drawn.theta
    g = typed(man.gradient, theta)
    F = man.sharpness(theta)
    if g is None or not np.linalg.norm(g) > 0.0 or not 0.0 < F < 1e200:
        return
    end = 0.3 * F / np.linalg.norm(g) ** 2
    if not 0.0 < end < np.inf:
        return
    try:
        found = mf.sharpness_flow(man, theta, (0.0, end), rtol=1e-6, atol=1e-9 * np.linalg.norm(theta), max_steps=60)
    except ManifoldflowError:
        return
    assert len(found.message) > 10
    for values in (found.t, found.theta, found.sharpness, found.gradient_norm, found.residual):
        assert np.isfinite(values).all()
    assert found.residual.max() <= allowed(man, theta)
    assert np.all(np.diff(found.sharpness) <= 1e-6 * F)
    again = mf.sharpness_flow(man, theta, (0.0, end), rtol=1e-6, atol=1e-9 * np.linalg.norm(theta), max_steps=60)
    np.testing.assert_array_equal(again.theta, found.theta)


CHECKS = {
    "first order": (check_first_order, 25),
    "tangent space": (check_tangent_space, 30),
    "hessian": (check_hessian, 25),
    "reduced": (check_reduced, 25),
    "flow": (check_flow, 25),
}


@pytest.mark.parametrize("name", CHECKS)
def test_every_scale_and_shape(name):
    check, count = CHECKS[name]

    @examples(count)
    @given(problems())
    def over(drawn):
        if at_a_point(drawn):
            check(drawn)

    over()


@examples(FORMULAS)
@given(formulas(), st.integers(0, 99))
def test_any_activation(formula, seed):
    try:
        own = ("c",) if "c" in formula.replace("cosh", "").replace("arc", "").replace("cos", "") else ()
        drawn = Drawn(formula, own, m=3, n=2, d=3, seed=seed, label_scale=0.5)
        drawn.network  # noqa: B018
    except FormulaError as error:
        explained(error)
        return
    if at_a_point(drawn):
        for check, _ in CHECKS.values():
            check(drawn)


@examples(15)
@given(problems())
def test_the_flattest_point(drawn):
    try:
        found = mf.flattest_point(drawn.man, n_starts=2, max_iterations=50)
    except ManifoldflowError as error:
        explained(error)
        return
    assert np.isfinite(found.x).all()
    assert np.isfinite([found.fun, found.gradient_norm, found.lower_bound]).all()
    assert found.fun >= found.lower_bound * (1.0 - 1e-9)
    assert np.abs(drawn.man.residual(found.x)).max() <= 100.0 * allowed(drawn.man, found.x)


@examples(20)
@given(problems(), st.sampled_from([1, "full"]))
def test_sgd(drawn, batch):
    if not at_a_point(drawn):
        return
    run = lambda: mf.label_noise_sgd(  # noqa: E731
        drawn.network, *drawn.data, drawn.theta, step_size="auto", n_steps=30, batch_size=batch,
        noise=mf.LabelNoise(std=0.1 * drawn.label_scale), rng=drawn.seed,
    )  # fmt: skip
    try:
        found = run()
    except ManifoldflowError as error:
        explained(error)
        return
    assert np.isfinite(found.theta).all()
    assert np.isfinite(found.loss).all()
    np.testing.assert_array_equal(run().theta, found.theta)


@pytest.mark.parametrize("labels", [[1e-8, 1e-8], [1e8, -1e8], [1e300, 1.0], [5e-324, 0.0], [0.0, 0.0]])
def test_labels_of_any_size(labels):
    drawn = Drawn("z**3 + z", (), m=3, n=2, d=3, seed=1)
    try:
        man = mf.ZeroLossManifold(drawn.network, drawn.data[0], labels)
    except UnreachableLabelsError as error:
        explained(error)
        return
    theta = typed(man.random_point, rng=0)
    if theta is not None and typed(man.gradient, theta) is not None:
        assert typed(man.sharpness, theta) is not None


def test_typed_errors_are_the_only_ones():
    """The helper itself lets nothing else pass."""
    with pytest.raises(ZeroDivisionError):
        typed(lambda: 1 / 0)
    with pytest.raises(AssertionError):
        typed(lambda: np.nan)
    with pytest.raises(AssertionError):
        typed(_short_message)


def _short_message():
    raise UnreachableLabelsError("no")
