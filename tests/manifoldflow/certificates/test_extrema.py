"""Minima over intervals: closed forms, formulas that try to break the bound, and where none is to be had."""

import mpmath
import numpy as np
import pytest

from derivations import UnitFunction
from manifoldflow.certificates.arithmetic import ArbBalls, Float64Intervals
from manifoldflow.certificates.extrema import maximum_size, minimum, negative
from manifoldflow.certificates.quantities import derivative, ratio, tilt
from tests.manifoldflow.certificates.conftest import FORMULAS, at_digits

FLOAT64 = Float64Intervals()


def quantity(formula, order):
    return derivative(UnitFunction(formula), order)


# (formula, order of derivative, interval, minimum): worked out by hand.
CLOSED = [
    ("z**3 + z", 1, (-2.0, 3.0), 1.0),
    ("z**3 + z", 3, (-2.0, 3.0), 6.0),
    ("sinh(z)", 1, (-1.0, 5.0), 1.0),
    ("sinh(z)", 3, (0.5, 5.0), mpmath.cosh(0.5)),
    ("tanh(z)", 3, (-3.0, 3.0), -2.0),
    ("sigmoid(z)", 3, (-9.0, 9.0), -0.125),
    ("exp(z)", 2, (-30.0, 0.0), mpmath.exp(-30)),
    ("z**5 + z", 3, (-1.0, 2.0), 0.0),
    ("z**5/60 - 1e-12*z**3/6 + z", 3, (-1.0, 2.0), mpmath.mpf(-1) / 10**12),
]


@pytest.mark.parametrize(("formula", "order", "ends", "value"), CLOSED)
def test_closed_forms(formula, order, ends, value, arithmetic):
    found = minimum(quantity(formula, order), *ends, arithmetic)
    assert mpmath.mpf(found.value.low) <= value <= mpmath.mpf(found.value.high)
    assert found.value.width <= 2e-13 * abs(float(value)) + 1e-25
    assert ends[0] <= found.attained_at <= ends[1]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("order", [1, 3])
def test_no_value_is_below_the_bound(formula, order):
    """50 digits on a grid that is fine near everything that could be singular."""
    target = quantity(formula, order)
    ends = (-2.5, 3.5)
    found = minimum(target, *ends, FLOAT64)
    near = np.concatenate([c + s * np.logspace(-12, -1, 23) for c in (0.0, 3.0, np.pi / 2) for s in (-1, 1)])
    points = np.concatenate([np.linspace(*ends, 61), near, [found.attained_at, *found.place]])
    values = [at_digits(target.program, z, 120).get("value") for z in points if ends[0] <= z <= ends[1]]
    real = [value for value in values if value is not None]
    assert all(mpmath.mpf(found.value.low) <= value for value in real)
    reached = at_digits(target.program, found.attained_at, 120).get("value")
    if np.isfinite(found.value.high):
        assert reached is not None
        assert reached <= mpmath.mpf(found.value.high)
    if len(real) < len(values):  # not defined everywhere: then nothing is claimed
        assert found.value.low == -np.inf


@pytest.mark.parametrize(("formula", "order", "inside"), [
    ("1/(z - 3)", 1, 3.0), ("sqrt(z)", 1, -1.0), ("log(z)", 3, -1.0), ("tan(z)", 2, np.pi / 2),
])  # fmt: skip
def test_where_there_is_no_bound_the_place_is_named(formula, order, inside):
    found = minimum(quantity(formula, order), -2.0, 4.0, FLOAT64)
    assert found.value.low == -np.inf
    low, high = found.place
    assert low <= high
    if found.value.high > 0.0:
        assert "has no bound on [" in found.why_not_positive()
    if formula in ("1/(z - 3)", "tan(z)"):
        assert high - low < 1e-6
        assert min(abs(low - inside), abs(low + inside)) < 1e-6


def test_a_narrow_dip_is_found():
    """phi''' is negative on 1e-5 of the line: 4001 points miss it, branch and bound does not."""
    dip = quantity("z**3 + z + 1e-9*erf(1e5*(z - 0.1234567))", 3)
    grid = np.linspace(-4.0, 4.0, 4001)
    seen = [float(at_digits(dip.program, z, 30)["value"]) for z in grid[1900:2200]]
    assert min(seen) > 5.9
    found = minimum(dip, -4.0, 4.0, FLOAT64)
    assert found.value.high < -1e5
    assert abs(found.attained_at - 0.1234567) < 1e-4
    assert found.value.width < 1e-9 * abs(found.value.low)


def test_failing_by_a_hair_is_told_from_holding_by_a_hair():
    for shift, positive in ((1e-12, True), (-1e-12, False), (1e-300, True)):
        found = minimum(quantity(f"z**3/3 + {shift!r}*z", 1), -1.0, 1.0, FLOAT64)
        assert found.value.is_positive == positive
        if not positive:
            assert found.value.high < 0.0
            assert "phi' <= -" in found.why_not_positive()


def test_what_float64_cannot_decide_arb_can():
    # phi' = 3 (z + 1e6)^2 - 6e6 z - 3e12 + 1e-6 = 3 z^2 + 1e-6, from terms of 3e12.
    target = quantity("(z + 1e6)**3 - 3e6*z**2 - (3e12 - 1e-6)*z", 1)
    plain = minimum(target, -1.0, 1.0, FLOAT64)
    assert not plain.value.is_positive
    assert plain.value.high > 0.0  # undecided, and said so
    assert "only known to be >=" in plain.why_not_positive()
    sharp = minimum(target, -1.0, 1.0, ArbBalls(192))
    assert sharp.value.low > 0.99e-6
    assert sharp.value.high < 1.01e-6


def test_constants_of_the_examples():
    cubic, hyperbolic = UnitFunction("z**3 + 0.25*z"), UnitFunction("sinh(z)")
    beta = -1.0 / maximum_size(tilt(cubic), -5.0, 5.0, FLOAT64).value.high
    assert beta == pytest.approx(16 / 3 * 0.25**1.5, rel=1e-12)
    beta = -1.0 / maximum_size(tilt(hyperbolic), -5.0, 5.0, FLOAT64).value.high
    assert beta == pytest.approx(1.5 * np.sqrt(3.0), rel=1e-12)
    found = minimum(ratio(hyperbolic), -5.0, 5.0, FLOAT64).value
    assert found.low == found.high == 1.0


def test_early_stop_and_signs():
    target = quantity("sinh(z)", 1)
    early = minimum(target, -9.0, 9.0, FLOAT64, stop=lambda lower, upper: lower > 0.5)
    assert 0.5 < early.value.low <= 1.0 <= early.value.high
    flipped = minimum(negative(target), -1.0, 1.0, FLOAT64)
    assert flipped.value.contains(-np.cosh(1.0))
