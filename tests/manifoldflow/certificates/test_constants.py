"""Enclosures of the constants of S7: against the grid, 50 digits and closed forms; formulas that fail A1 by a hair."""

import mpmath
import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.assumptions import constants
from manifoldflow.certificates import enclose_activation, enclose_constants, exact_zero_loss_point
from manifoldflow.certificates.quantities import derivative
from manifoldflow.errors import InputError
from tests.manifoldflow.certificates.conftest import at_digits
from tests.manifoldflow.conftest import problem


def manifold(formula, labels=(1.0, -2.0), width=3, weights=None):
    network = mf.TwoLayerNetwork(formula, width=width, output_weights=weights)
    return mf.ZeroLossManifold(network, np.eye(len(labels)), labels)


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed", "ill"])
def test_the_grid_lies_within_the_enclosures(name):
    case = problem(name)
    seen, found = constants(case.man, case.theta), enclose_constants(case.man, case.theta)
    assert found.confined
    for key in ("rho1", "rho2", "beta", "ratio", "mu", "s_min", "weight", "sharpness"):
        enclosure, value = getattr(found, key), getattr(seen, key)
        assert enclosure.low * (1 - 1e-9) <= value <= enclosure.high * (1 + 1e-9), key
        assert enclosure.width <= 1e-7 * abs(value), key
    for kappa in (1.0, 2.0):
        assert found.radius(kappa).low <= seen.radius(kappa) * (1 + 1e-9)
        assert found.convexity(kappa).low <= seen.convexity(kappa) * (1 + 1e-9)
        assert found.convexity(kappa).high >= seen.convexity(kappa) * (1 - 1e-9)
    assert found.global_rate().low <= seen.global_rate() * (1 + 1e-9)
    assert all(certificate.proved for certificate in found.certificates)


def test_constants_over_an_interval_are_those_of_the_flow_over_it():
    man = manifold("sinh(z) + z**3/5")
    flow = enclose_constants(man, man.random_point(rng=0))
    found = enclose_activation(man.network.unit, flow.interval)
    assert (found.rho1, found.rho2, found.ratio, found.beta) == (flow.rho1, flow.rho2, flow.ratio, flow.beta)
    assert found.certificate("A3").proved


@pytest.mark.parametrize("z_range", [(1.0, 1.0), (2.0, -2.0), (0.0, float("nan"))])
def test_an_interval_must_increase(z_range):
    with pytest.raises(InputError, match="z_range"):
        enclose_activation("sinh(z)", z_range)


def test_where_a1_fails_on_an_interval_nothing_is_proved():
    found = enclose_activation("tanh(z)", (-0.5, 2.0))
    assert [certificate.proved for certificate in found.certificates] == [False, False]
    assert found.certificate("A1").verdict == "refuted"
    assert (found.beta.low, found.beta.high) == (0.0, 0.0)


@pytest.mark.parametrize("name", ["cubic", "sinh", "signed"])
def test_the_interval_contains_the_true_one(name):
    """At 50 digits |phi'| exceeds the bound at the ends, and not a hair within them."""
    case = problem(name)
    found = enclose_constants(case.man, case.theta)
    program = derivative(case.man.network.unit, 1).program
    scale = mpmath.mpf(found.s_min.low) * mpmath.mpf(found.weight.low)
    limit = mpmath.sqrt(mpmath.mpf(found.sharpness.high) / (2 * scale))
    for end in found.interval:
        assert at_digits(program, end)["value"] > limit * (1 - mpmath.mpf(10) ** -14)
        assert at_digits(program, end * (1 - 1e-9))["value"] < limit
    z = case.man.preactivations(case.theta)
    assert found.interval[0] < z.min() < z.max() < found.interval[1]


def test_the_flow_never_leaves_and_the_constants_hold_along_it():
    case = problem("sinh")
    start = exact_zero_loss_point(case.man, case.theta).radius
    found = enclose_constants(case.man, case.theta, start_radius=start)
    sol = mf.sharpness_flow(case.man, case.theta, method="implicit")
    Z = np.array([case.man.preactivations(theta) for theta in sol.theta])
    assert found.interval[0] <= Z.min() <= Z.max() <= found.interval[1]
    assert np.cosh(Z).min() >= found.rho1.low
    assert np.all(found.beta.low * np.abs(np.sinh(Z)) <= np.cosh(Z) ** 3)


def test_a_start_that_is_only_near_widens_what_is_claimed():
    case = problem("cubic")
    exact, blurred = (enclose_constants(case.man, case.theta, start_radius=r) for r in (0.0, 1e-3))
    assert blurred.sharpness.low < exact.sharpness.low <= exact.sharpness.high < blurred.sharpness.high
    assert blurred.interval[0] < exact.interval[0]
    assert exact.interval[1] < blurred.interval[1]
    rng = np.random.default_rng(0)
    for _ in range(20):
        u = rng.normal(size=case.man.shape)
        z = (case.theta + 0.999e-3 * u / np.linalg.norm(u)) @ case.X.T
        F = 2 * np.sum((3 * z**2 + 1) ** 2 * np.sum(case.X**2, axis=1))
        assert blurred.sharpness.contains(F)


@pytest.mark.parametrize(("formula", "failing"), [
    ("z**3 - 1e-12*z", "phi' <= "), ("z**3", "phi' <= 0 "),
    ("z**5/60 - 1e-12*z**3/6 + z", "phi''' <= "), ("z**5 + z", "phi''' <= 0 "),
])  # fmt: skip
def test_an_activation_that_fails_a1_by_a_hair_is_refused(formula, failing):
    man = manifold(formula)
    found = enclose_constants(man, man.random_point(rng=0))
    slopes = found.certificate("A1")
    assert slopes.verdict == "refuted"
    assert slopes.reason.startswith(failing)
    assert slopes.reason.endswith(" at z = 0.0")
    assert not found.certificate("A3").proved
    assert found.beta.low == found.beta.high == 0.0


def test_an_activation_that_holds_by_a_hair_is_proved():
    man = manifold("z**3 + 1e-12*z")
    found = enclose_constants(man, man.random_point(rng=0))
    assert found.certificate("A1").proved
    assert found.rho1.contains(1e-12)
    assert found.rho1.width < 1e-24


def test_what_the_grid_misses_is_refuted():
    man = manifold("z**3 + z + 1e-9*erf(1e5*(z - 0.1234567))")
    theta = man.random_point(rng=0)
    seen, found = constants(man, theta), enclose_constants(man, theta)
    assert seen.failing == ()  # the grid's verdict is wrong
    assert found.certificate("A1").verdict == "refuted"
    assert "phi''' <= -2256" in found.certificate("A1").reason
    assert found.rho2.high < -1e6


@pytest.mark.filterwarnings("ignore::manifoldflow.errors.CancellationWarning")  # what makes it hard
def test_arb_decides_where_float64_cannot():
    man = manifold("(z + 1e3)**3 - 3e3*z**2 - (3e6 - 1e-10)*z - 1e9", labels=(0.5, 0.2), width=2)
    theta = np.cbrt([[0.25, 0.1], [0.25, 0.1]])
    plain = enclose_constants(man, theta)
    assert plain.certificate("A1").verdict == "not proved"
    assert "only known to be >=" in plain.certificate("A1").reason
    sharp = enclose_constants(man, theta, arithmetic="arb")
    assert sharp.certificate("A1").proved
    assert sharp.rho1.contains(1e-10)
    assert "Arb balls of 128 bits" in sharp.certificate("A1").line


def test_bounded_slopes_do_not_confine():
    case = problem("tanh")
    found = enclose_constants(case.man, case.theta)
    assert not found.confined
    assert "was not seen to exceed" in found.certificate("confinement").reason
    z = case.man.preactivations(case.theta)
    assert found.interval[0] <= z.min() <= z.max() <= found.interval[1]


def test_a_barrier_that_the_grid_steps_over_is_found():
    """phi' = 1/z + 3 z^2 is large near 0, beyond which log is not real: the grid's interval reaches across."""
    man = manifold("log(z) + z**3", labels=(6.0, 9.0), width=3)
    theta = man.random_point(rng=0)
    seen, found = constants(man, theta), enclose_constants(man, theta)
    assert seen.interval[0] < 0.0
    assert 0.0 < found.interval[0] < man.preactivations(theta).min()
    assert found.confined
    assert found.certificate("A1").proved
    limit = np.sqrt(found.sharpness.high / 2)
    assert 1 / found.interval[0] + 3 * found.interval[0] ** 2 > limit


def test_dependent_samples():
    case = problem("wide_data")
    found = enclose_constants(case.man, case.theta)
    assert found.certificate("A2").verdict == "refuted"
    assert "n = 5 samples in dimension d = 3" in found.certificate("A2").reason
    assert found.global_rate().high == 0.0
    twins = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), [[1.0, 2.0, 0.0], [2.0, 4.0, 0.0]], [1.0, 2.0])
    found = enclose_constants(twins, twins.random_point(rng=0))
    assert found.certificate("A2").verdict == "not proved"
    assert "dependent, or nearly so" in found.certificate("A2").reason


def test_constant_ratios_and_missing_denominators():
    man = manifold("exp(z)", labels=(1.0, 2.0))
    found = enclose_constants(man, man.random_point(rng=0))
    assert found.ratio.low == found.ratio.high == 1.0
    line = manifold("z", labels=(1.0, 2.0))
    found = enclose_constants(line, line.random_point(rng=0))
    assert found.rho2.low == found.rho2.high == 0.0
    assert not found.certificate("A3").proved


def test_bad_input():
    case = problem("cubic")
    with pytest.raises(InputError, match="arithmetic must be one of"):
        enclose_constants(case.man, case.theta, arithmetic="double")
    with pytest.raises(InputError, match="start_radius must be"):
        enclose_constants(case.man, case.theta, start_radius=np.nan)
    trained = problem("trained")
    with pytest.raises(InputError, match=r"units a\*phi\(z\)"):
        enclose_constants(trained.man, trained.theta)
    with pytest.raises(KeyError):
        enclose_constants(case.man, case.theta).certificate("A4")
