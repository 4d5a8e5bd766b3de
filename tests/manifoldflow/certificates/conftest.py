"""What the tests of the certificates share: formulas that try to break an enclosure, and values at 50 digits."""

from functools import cache

import mpmath
import numpy as np
import pytest

from derivations import UnitFunction
from manifoldflow.certificates.arithmetic import ArbBalls, Float64Intervals
from manifoldflow.codegen.passes import drop_unused
from manifoldflow.codegen.program import Program

DIGITS = 60

# Smooth ones, nearly kinked ones, poles, ends of domains, huge and tiny values, cancellation.
FORMULAS = (
    "z**3 + z",
    "sinh(z)",
    "tanh(z)",
    "softplus(z)",
    "sigmoid(3*z) + z**3",
    "erf(z) + z**3",
    "atan(z) + asinh(z)",
    "z*sin(z) + cos(2*z)",
    "tan(z)",
    "sqrt(z**2 + 1e-8)",
    "sqrt(z)",
    "z**(3/2)",
    "log(z)",
    "1/(z - 3)",
    "z**40",
    "exp(z**2)",
    "2**z + pi**(-z)",
    "z**z",
    "(z + 1e4)**3 - 3e4*z**2 - 3e8*z - 1e12",
    "exp(exp(z))",
    "exp(-1/z**2)",
)


@pytest.fixture(params=["float64", "arb"])
def arithmetic(request):
    return Float64Intervals() if request.param == "float64" else ArbBalls(128)


def at_digits(program, z, digits=DIGITS):
    """The outputs of a program at one float64 in many digits; those that are not finite real numbers are left out."""
    found = {}
    with mpmath.workdps(digits):
        for name, k in program.outputs:
            try:
                value = _one_output(program, name, k).evaluate({"z": float(z)})[name]
            except (ZeroDivisionError, ValueError, OverflowError, TypeError):  # the last where a part is complex
                continue
            if isinstance(value, mpmath.mpf) and mpmath.isfinite(value):
                found[name] = value
    return found


@cache
def _one_output(program, name, k):
    return drop_unused(Program(program.instructions, ((name, k),)))


def encloses(lo, hi, value):
    """Whether a number of many digits lies between two float64, exactly compared."""
    return bool(mpmath.mpf(float(lo)) <= value <= mpmath.mpf(float(hi)))


def random_intervals(rng, size, low=-4.0, high=4.0):
    """Ends of intervals of all widths from one ulp to the whole range."""
    start = rng.uniform(low, high, size)
    width = (high - low) * 10.0 ** rng.uniform(-16, 0, size)
    end = np.minimum(np.maximum(start + width, np.nextafter(start, np.inf)), high)
    return np.minimum(start, end), np.maximum(start, end)


@pytest.fixture
def cubic_unit():
    return UnitFunction("z**3 + z")
