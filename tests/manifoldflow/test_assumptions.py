"""The constants of the theorems: closed forms of rho1, rho2, beta, the confinement of S7, and where A1-A3 fail."""

from types import SimpleNamespace

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import assumptions
from manifoldflow.assumptions import NEEDS, constants
from manifoldflow.errors import AssumptionWarning, GeometryError, InputError
from tests.manifoldflow.conftest import problem

# phi', phi'', phi''' typed in, for the bounds below.
DERIVATIVES = {
    "cubic": (lambda z: 3 * z**2 + 1, lambda z: 6 * z, lambda z: 6 + 0 * z),
    "signed": (lambda z: 3 * z**2 + 1, lambda z: 6 * z, lambda z: 6 + 0 * z),
    "sinh": (np.cosh, np.sinh, np.cosh),
}


def steep(formula, width=4):
    """A point with pre-activations far out, so that the interval contains every minimiser."""
    rng = np.random.default_rng(2)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=width), rng.normal(size=(3, 5)), rng.normal(size=3))
    return man, man.random_point(rng=0, scale=3.0)


@pytest.mark.parametrize("nu", [0.25, 1.0, 3.0])
def test_constants_of_the_cubic(nu):
    found = constants(*steep(mf.activations.cubic(nu)))
    assert found.interval[0] < -np.sqrt(nu) < np.sqrt(nu) < found.interval[1]
    assert found.rho1 == pytest.approx(nu, rel=1e-12)
    assert found.rho2 == 6.0
    assert found.beta == pytest.approx(16 / 3 * nu**1.5, rel=1e-9)
    # phi'''/phi' = 6 / (3 z^2 + nu) is least at the farther end.
    end = np.abs(found.interval).max()
    assert found.ratio == pytest.approx(6 / (3 * end**2 + nu), rel=1e-9)
    assert found.confined
    assert found.failing == found.inapplicable == ()


def test_constants_of_sinh():
    found = constants(*steep("sinh(z)"))
    assert found.interval[0] < -1.0 < 1.0 < found.interval[1]
    assert found.rho1 == pytest.approx(1.0, rel=1e-12)
    assert found.rho2 == pytest.approx(1.0, rel=1e-12)
    assert found.beta == pytest.approx(1.5 * np.sqrt(3.0), rel=1e-9)
    assert found.ratio == pytest.approx(1.0, rel=1e-12)


def test_constants_of_exp_are_those_of_the_left_end():
    # rho1 = rho2 = e^low; beta = inf e^(2z) = e^(2 low); the interval to the left has no end, so it is not confined.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("exp(z)", width=3), np.eye(2), [1.0, 2.0])
    theta = man.random_point(rng=0)
    found = constants(man, theta)
    low = man.preactivations(theta).min()
    assert not found.confined
    assert found.interval == (low, man.preactivations(theta).max())
    assert (found.rho1, found.rho2) == pytest.approx((np.exp(low), np.exp(low)), rel=1e-12)
    assert found.beta == pytest.approx(np.exp(2 * low), rel=1e-12)


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed"])
def test_the_interval_bounds_the_slope_and_no_more(name):
    # S7: a_j^2 phi'(z_ji)^2 <= F / (2 s_i) for ever.
    case = problem(name)
    found = constants(case.man, case.theta)
    slope = DERIVATIVES[name][0]
    bound = np.sqrt(found.sharpness / (2 * found.s_min * found.weight))
    grid = np.linspace(*found.interval, 1001)
    assert np.abs(slope(grid)).max() <= bound * (1 + 1e-9)
    for end in found.interval:
        assert slope(end) == pytest.approx(bound, rel=1e-9)
    assert found.weight == pytest.approx((case.oracle.a**2).min())
    assert found.sharpness == pytest.approx(case.oracle.sharpness(case.theta), rel=1e-12)


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed"])
def test_the_flow_stays_in_the_interval_and_the_constants_hold_along_it(name):
    case = problem(name)
    found = constants(case.man, case.theta)
    sol = mf.sharpness_flow(case.man, case.theta, method="implicit")
    Z = np.array([case.man.preactivations(theta) for theta in sol.theta])
    assert found.interval[0] <= Z.min()
    assert Z.max() <= found.interval[1]
    first, second, third = (derivative(Z) for derivative in DERIVATIVES[name])
    assert first.min() >= found.rho1 * (1 - 1e-12)
    assert third.min() >= found.rho2 * (1 - 1e-12)
    assert np.all(found.beta * np.abs(second) <= first**2 * third * (1 + 1e-12))
    assert np.all(third / first >= found.ratio * (1 - 1e-12))


def test_derived_constants_are_those_of_the_statements(cubic):
    found = constants(cubic.man, cubic.theta)
    gram = cubic.X @ cubic.X.T
    mu, s_min = np.linalg.eigvalsh(gram)[0], np.diag(gram).min()
    assert found.mu == pytest.approx(mu, rel=1e-11)
    assert found.s_min == pytest.approx(s_min, rel=1e-13)
    for kappa in (0.5, 2.0, 4.0):
        assert found.radius(kappa) == pytest.approx(kappa * np.sqrt(mu) * found.beta * s_min, rel=1e-10)
        wanted = (4 - kappa) * found.rho1 * found.rho2 * s_min * mu
        assert found.convexity(kappa) == pytest.approx(wanted, rel=1e-10)
    wanted = 8 * s_min * mu * found.rho1**2 * found.ratio
    assert found.global_rate() == pytest.approx(wanted, rel=1e-10)


def test_tanh_fails_a1_where_its_third_derivative_changes_sign():
    # phi''' of tanh is negative where tanh^2 < 1/3: labels of three units at 0.9 keep z beyond, 0.1 do not.
    network = mf.TwoLayerNetwork("tanh(z)", width=1)
    for label, failing in ((0.3, True), (0.9, False)):
        man = mf.ZeroLossManifold(network, np.eye(2), [label, label])
        found = constants(man, np.arctanh([[label, label]]))
        wanted = (1 - label**2) * (6 * label**2 - 2)  # phi'''
        assert (found.rho2 <= 0) == failing
        assert ("A1" in found.failing) == failing
        if not found.confined:
            assert found.rho2 == pytest.approx(wanted, rel=1e-9)
            assert found.rho1 == pytest.approx(1 - label**2, rel=1e-9)


def test_what_fails_names_its_statements():
    case = problem("tanh")
    found = constants(case.man, case.theta)
    assert "A1" in found.failing
    assert set(NEEDS["A1"]) <= set(found.inapplicable)
    assert found.inapplicable == tuple(sorted(found.inapplicable, key=lambda name: int(name[1:])))


def test_more_samples_than_dimensions_fails_a2():
    case = problem("wide_data")
    found = constants(case.man, case.theta)
    assert found.mu == 0.0
    assert found.failing == ("A2",)
    assert found.inapplicable == NEEDS["A2"]
    assert found.radius() == found.convexity() == found.global_rate() == 0.0


@pytest.mark.parametrize(("formula", "labels"), [("z**2", [1.0, 2.0]), ("softplus(z)", [1.0, 2.0]),
                                                 ("sin(z)", [0.3, 0.2]), ("z", [1.0, 2.0])])  # fmt: skip
def test_units_outside_the_theorems_warn_in_the_flow(formula, labels):
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=3), np.eye(2), labels)
    theta = man.random_point(rng=0)
    with pytest.warns(AssumptionWarning, match=r"A1.*S1, S2.*do not apply"):
        sol = mf.sharpness_flow(man, theta, (0.0, 0.01))
    assert sol.success


def test_refusals(cubic):
    with pytest.raises(GeometryError, match="not on the manifold"):
        constants(cubic.man, cubic.theta + 1.0)
    case = problem("trained")
    with pytest.raises(InputError, match=r"units a\*phi\(z\)"):
        constants(case.man, case.theta)


def test_what_holds_clearly_holds_by_the_constants_too():
    rng = np.random.default_rng(0)
    verdicts = set()
    for c, k in rng.uniform([0.0, 0.5], [1.2, 6.0], size=(60, 2)):

        def table(z, c=c, k=k):
            """phi = z^3 + z + c sin(k z) / k^2 and its derivatives."""
            wave, change = c * np.sin(k * z), c * np.cos(k * z)
            return np.array([z**3 + z + wave / k**2, 3 * z**2 + 1 + change / k, 6 * z - wave, 6 - k * change])

        man = SimpleNamespace(kernel=SimpleNamespace(table=table), mu=1.0, s_min=1.0, a=np.ones((2, 3)))
        z = rng.normal(size=(2, 3))
        clear, found = assumptions._hold_clearly(man, z, 50.0), assumptions._constants(man, z, 50.0)
        assert not (clear and found.failing), (c, k, found)
        assert clear or found.rho1 < 0.5 or found.rho2 < 1.0, (c, k, found)
        verdicts.add((clear, bool(found.failing)))
    assert {(True, False), (False, True)} <= verdicts
