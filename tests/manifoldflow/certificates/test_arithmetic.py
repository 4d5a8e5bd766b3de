"""Programs in both arithmetics against 50 digits, over intervals, for formulas that try to break them."""

import mpmath
import numpy as np
import pytest
import sympy

from derivations import UnitFunction
from manifoldflow.certificates import arithmetic as module
from manifoldflow.certificates import quantities
from manifoldflow.certificates.arithmetic import ArbBalls, Float64Intervals, arithmetic
from manifoldflow.certificates.interval import INF, Interval
from manifoldflow.certificates.quantities import derivative, derivatives, ratio, tilt
from manifoldflow.codegen.program import Instruction, Program
from manifoldflow.errors import CertificateError, InputError
from tests.manifoldflow.certificates.conftest import FORMULAS, at_digits, encloses, random_intervals


@pytest.mark.parametrize("formula", FORMULAS)
def test_programs_are_enclosed(formula, arithmetic):
    rng = np.random.default_rng(5)
    program = derivatives(UnitFunction(formula), 3)
    lo, hi = random_intervals(rng, 40)
    lo[:4], hi[:4] = [-1e-5, 0.0, -4.0, 2.9999], [1e-5, 1e-3, 4.0, 3.0001]
    found = arithmetic.enclose(program, Interval(lo, hi))
    for k in range(40):
        for z in (lo[k], hi[k], np.clip(0.3 * lo[k] + 0.7 * hi[k], lo[k], hi[k])):
            for name, value in at_digits(program, z, 120).items():
                assert encloses(found[name].lo[k], found[name].hi[k], value), (formula, name, lo[k], hi[k], z)


def test_own_parameters_and_coefficients_are_inputs_too(arithmetic):
    rng = np.random.default_rng(6)
    unit = UnitFunction("c*tanh(b*z)*a**2 + c**2", own=("c", "b"))
    z, a, c, b = (np.sort(rng.normal(size=(*shape, 2)), axis=-1) for shape in ((4, 3), (4, 3), (4, 1), (4, 1)))
    others = {name: Interval(part[..., 0], part[..., 1]) for name, part in (("a", a), ("c", c), ("b", b))}
    found = arithmetic.enclose(quantities.output_and_slopes(unit), Interval(z[..., 0], z[..., 1]), others)
    slopes = [unit.psi.diff(variable) for variable in (unit.z, *unit.c)]
    for share in (0.0, 0.4, 1.0):
        at = [part[..., 0] + share * (part[..., 1] - part[..., 0]) for part in (z, a, c, b)]
        for name, expression in zip(("psi", "0", "1", "2"), (unit.psi, *slopes), strict=True):
            value = sympy.lambdify([unit.z, unit.a, *unit.c], expression)(*at)
            assert found[name].lo.shape == (4, 3)
            assert (found[name].lo <= value + 1e-14).all()
            assert (value - 1e-14 <= found[name].hi).all()
    assert (found["psi"].hi - found["psi"].lo).max() > 1e-3


@pytest.mark.parametrize(("formula", "low", "high"), [
    ("sqrt(z)", -1.0, 1.0), ("log(z)", -1.0, 1.0), ("1/(z - 3)", 2.0, 4.0), ("z**(3/2)", -1.0, 2.0),
    ("tan(z)", 1.0, 2.0),
])  # fmt: skip
def test_where_a_formula_is_not_defined_nothing_is_known(formula, low, high, arithmetic):
    found = arithmetic.enclose(derivatives(UnitFunction(formula), 1), Interval(np.array([low]), np.array([high])))
    assert found["0"].lo[0] == -INF
    assert found["0"].hi[0] == INF


@pytest.mark.parametrize(("formula", "low", "high"), [
    ("z**3 + 10*z + atan(tan(z))", 1.0, 2.0),  # phi' = 3 z^2 + 11 wherever phi is defined, and phi jumps between
    ("z**3 + 10*z + log(z)/100", -3.0, -1.0),  # the derivatives of log are defined there
    ("z**3 + 10*z + tanh(sqrt(z))", -3.0, -1.0),
    ("z**3 + z + atan(1/z)", -1.0, 1.0),
])  # fmt: skip
@pytest.mark.parametrize("order", [0, 1, 3])
def test_a_bounded_function_of_what_is_undefined_is_unknown(formula, low, high, order, arithmetic):
    """So that A1 is not proved across a jump of phi, of which the derivative knows nothing."""
    program, whole = derivative(UnitFunction(formula), order).program, Interval(np.array([low]), np.array([high]))
    found = arithmetic.enclose(program, whole)
    assert {name: (value.lo[0], value.hi[0]) for name, value in found.items()} == dict.fromkeys(found, (-INF, INF))
    inside = arithmetic.enclose(program, Interval(np.array([0.99]), np.array([1.01])))["value"]
    assert np.isfinite([inside.lo, inside.hi]).all()


def test_a_square_is_not_a_product_with_another_number():
    across = Interval(np.array([-2.0]), np.array([1.0]))
    assert Float64Intervals().enclose(derivatives(UnitFunction("z**2 + z**4"), 0), across)["0"].lo[0] == 0.0
    square = Program((Instruction("input", payload="z"), Instruction("mul", (0, 0))), (("y", 1),))
    assert Float64Intervals().enclose(square, across)["y"].lo[0] == 0.0


def test_more_bits_win_back_what_cancellation_takes():
    # The terms are 1e12, the value is z^3: float64 keeps few of its digits, 256 bits all.
    program = derivatives(UnitFunction("(z + 1e4)**3 - 3e4*z**2 - 3e8*z - 1e12"), 0)
    point = Interval(np.array([0.7]))
    plain, sharp = (one.enclose(program, point)["0"] for one in (Float64Intervals(), ArbBalls(256)))
    assert plain.hi[0] - plain.lo[0] > 1e-4
    assert sharp.hi[0] - sharp.lo[0] < 1e-15
    assert encloses(sharp.lo[0], sharp.hi[0], at_digits(program, 0.7, 80)["0"])
    assert encloses(plain.lo[0], plain.hi[0], at_digits(program, 0.7, 80)["0"])


def test_an_unknown_function_is_refused_and_not_skipped(arithmetic):
    program = Program((Instruction("input", payload="z"), Instruction("acosh", (0,))), (("y", 1),))
    with pytest.raises(CertificateError, match="no rigorous form of the function 'acosh'"):
        arithmetic.enclose(program, Interval(np.array([2.0])))


def test_every_function_of_the_grammar_has_a_rigorous_form():
    from derivations.grammar import CALLS

    for name in CALLS:
        unit = UnitFunction(f"{name}(2 + z/3)")
        found = Float64Intervals().enclose(derivatives(unit, 3), Interval(np.array([0.1]), np.array([0.2])))
        assert all(np.isfinite(value.mag).all() for value in found.values()), name


def test_arb_says_how_to_install_it(monkeypatch):
    module._flint.cache_clear()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(CertificateError, match=r"pip install 'manifoldflow\[certify\]'"):
        arithmetic("arb")
    assert arithmetic("float64").description == "float64 intervals"
    monkeypatch.undo()
    assert arithmetic("arb", 100).description == "Arb balls of 100 bits"


def test_bad_names():
    with pytest.raises(InputError, match="arithmetic must be one of"):
        arithmetic("float32")
    with pytest.raises(InputError, match="bits must be"):
        arithmetic("arb", 0)


def test_arb_leaves_the_precision_of_others_alone():
    import flint

    before = flint.ctx.prec
    ArbBalls(300).enclose(derivatives(UnitFunction("sinh(z)"), 0), Interval(np.array([1.0])))
    assert flint.ctx.prec == before


@pytest.mark.parametrize("formula", ["z**3 + z", "sinh(z)", "erf(z) + z**3", "z**3 + z + sin(z)/2"])
def test_quantities_are_the_derived_ones(formula):
    """phi'''/phi' of S13 and the largest beta of A3, against the records, at 50 digits."""
    from derivations import derive

    unit = UnitFunction(formula)
    derived = {(x.name, x.index): x.expression for x in derive(unit).pointwise}
    with mpmath.workdps(60):
        for z in (0.3, -1.7, 2.2):
            point = {unit.z: mpmath.mpf(z)}
            modulus = mpmath.mpf(str(derived["convexity", ()].evalf(55, subs=point)))
            beta = mpmath.mpf(str(derived["beta", ()].evalf(55, subs=point)))
            assert abs(at_digits(ratio(unit).program, z)["value"] - modulus) < mpmath.mpf(10) ** -48
            assert abs(at_digits(tilt(unit).program, z)["value"] * beta - 1) < mpmath.mpf(10) ** -48


def test_slopes_are_derivatives():
    # Central differences at 60 digits: error h^2.
    both, hyperbolic = UnitFunction("erf(z) + z**3"), UnitFunction("sinh(z)")
    for quantity in (derivative(UnitFunction("tanh(z)"), 3), ratio(both), tilt(hyperbolic)):
        with mpmath.workdps(60):
            h, z = mpmath.mpf(10) ** -15, mpmath.mpf("0.6")
            ends = [quantity.program.evaluate({"z": z + s * h})["value"] for s in (1, -1)]
            slope = quantity.program.evaluate({"z": z})["slope"]
            assert abs((ends[0] - ends[1]) / (2 * h) - slope) < 1e-25 * (1 + abs(slope))


def test_units_of_another_form_are_refused():
    with pytest.raises(InputError, match=r"units a\*phi\(z\)"):
        derivative(UnitFunction("c*tanh(z)", own=("c",)), 1)
    with pytest.raises(CertificateError, match="nought everywhere"):
        tilt(UnitFunction("z**2"))
    assert quantities.derivative(UnitFunction("z"), 1).name == "phi'"
