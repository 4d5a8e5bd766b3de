"""Data at the edge: one sample, one feature, dependent and repeated rows, n > d.

Every certificate is proved or says why not, and what needs independent samples is not claimed of others.
"""

from functools import cache

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import certificates
from manifoldflow.certificates import Certificate
from manifoldflow.errors import GeometryError, InputError, ProjectionError

_RNG = np.random.default_rng(0)
_X, _Y = _RNG.normal(size=(3, 6)), np.array([1.0, -0.5, 0.3])
_WIDE, _LABELS = _RNG.normal(size=(8, 3)), _RNG.normal(size=8)
DATA = {
    "one sample": (_X[:1], _Y[:1]),
    "independent": (_X, _Y),
    "repeated rows": (_X[[0, 1, 0]], _Y[[0, 1, 0]]),
    "dependent rows": (_X[:, :2], _Y),
    "more samples": (_WIDE, _LABELS),
    "one feature": (_X[:, :1], _Y),
}
INDEPENDENT = ("one sample", "independent")
OF_A_POINT = ("enclose_constants", "exact_zero_loss_point", "negative_curvature", "survey")


@cache
def case(name, formula):
    """The manifold, and a point of it, or where none is found parameters that are off it."""
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=4), *DATA[name])
    try:
        return man, man.random_point(rng=0), True
    except ProjectionError:
        return man, np.random.default_rng(0).normal(size=man.shape), False


def certificates_of(function, man, theta):
    """What a public function of the package gives for a manifold and a point of it."""
    if function in OF_A_POINT:
        found = getattr(certificates, function)(man, theta)
    elif function == "hessian_lower_bound":
        found = certificates.hessian_lower_bound(man, theta, 1e-6)
    elif function == "convex_radius":
        radius = certificates.convex_radius(man, theta)
        return certificates.hessian_lower_bound(man, theta, radius).certificate, radius
    else:
        found = getattr(certificates, function)(man)
    return found.certificates if hasattr(found, "certificates") else (found.certificate,)


FUNCTIONS = (
    *OF_A_POINT, "hessian_lower_bound", "convex_radius", "enclose_flattest_point", "rank_one_point",
    "disagreeing_critical_point",
)  # fmt: skip


def test_every_public_function_about_a_manifold_is_tried():
    public = {name for name in certificates.__all__ if name[0].islower()}
    assert public == {*FUNCTIONS, "enclose_activation", "stability_thresholds"}  # the last two are about a unit alone


@pytest.mark.parametrize("formula", ["z**3 + z", "tanh(z)"])
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_certificate_or_the_reason_why_not(function, name, formula):
    man, theta, on = case(name, formula)
    if not on and function == "negative_curvature":
        with pytest.raises(GeometryError, match="not on the manifold"):
            certificates.negative_curvature(man, theta)
        return
    found = certificates_of(function, man, theta)
    if function == "convex_radius":
        bound, radius = found
        assert radius >= 0.0
        assert bound.proved == (radius > 0.0)
        found = (bound,)
    assert found
    for certificate in found:
        assert isinstance(certificate, Certificate)
        assert certificate.claim
        assert bool(certificate.reason) == (not certificate.proved)
        if name not in INDEPENDENT and certificate.name in (
            "A2", "flattest point", "Hessian bound", "rank-one maximum", "disagreeing critical point",
        ):
            assert not certificate.proved


@pytest.mark.parametrize("formula", ["z**3 + z", "tanh(z)"])
def test_what_independence_decides_is_proved_where_it_holds(formula):
    man, theta, _ = case("independent", formula)
    assert certificates.enclose_constants(man, theta).certificate("A2").proved
    assert certificates.exact_zero_loss_point(man, theta).certificate.proved
    assert certificates.enclose_flattest_point(man).certificate.proved == (formula == "z**3 + z")
    assert certificates.rank_one_point(man).certificate.proved == (formula == "tanh(z)")


@pytest.mark.parametrize("name", ["repeated rows", "dependent rows", "more samples", "one feature"])
def test_nothing_is_said_of_a_rank_one_point_that_need_not_be_on_m(name):
    # Which features there are together depends on X: that all samples have minima refutes nothing.
    found = certificates.rank_one_point(case(name, "z**3 + z")[0]).certificate
    assert found.verdict == "not proved"
    assert "independent" in found.reason


def test_a_zero_row_is_refused_before_any_certificate():
    with pytest.raises(InputError, match="Row 1 of X is zero"):
        mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=4), [[1.0, 2.0], [0.0, 0.0]], [1.0, 0.0])
