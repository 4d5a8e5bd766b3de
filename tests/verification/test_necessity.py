"""S11: thresholds against closed forms, signs against phi''', and what the differences of F are made of."""

import numpy as np
import pytest

from manifoldflow.certificates import stability_thresholds
from verification import Evidence
from verification.feature_moves import curvatures, measured_flip
from verification.statements import necessity

from .conftest import small_case, statement

# y/m at which the rank-one point turns, in closed form; the package finds them.
CLOSED = {
    "tanh(z)": [-1 / np.sqrt(3), 1 / np.sqrt(3)],
    "atan(z)": [-np.pi / 6, np.pi / 6],
    "1/(1 + exp(-z))": [(3 - np.sqrt(3)) / 6, (3 + np.sqrt(3)) / 6],
    "softplus(z)": [np.log(2)],
}


@pytest.mark.parametrize("formula", CLOSED)
def test_thresholds_are_those_of_the_closed_forms(formula: str) -> None:
    found = stability_thresholds(formula, necessity.Z_RANGE)
    np.testing.assert_allclose(np.sort(found.values.mid), CLOSED[formula], rtol=1e-12)
    for k in range(found.z.lo.size):
        assert abs(measured_flip(formula, tuple(map(float, found.z.mid)), k) - found.z.mid[k]) < 1e-5


def test_a_threshold_at_a_wrong_place_is_noticed() -> None:
    found = stability_thresholds("tanh(z)", necessity.Z_RANGE)
    moved = type(found)(found.certificate, found.z + 1e-3, found.values)
    assert [check.status for check in necessity.flips([("tanh(z)", moved)])] == ["fails"]
    far = type(found)(found.certificate, found.z + 0.2, found.values)  # the sign does not change there
    assert [check.status for check in necessity.flips([("tanh(z)", far)])] == ["inconclusive"]


def test_curvature_is_that_of_the_hessian() -> None:
    """By the Riemannian Hessian on the tangent vector of the same move, the exact route."""
    evidence = Evidence(small_case("tanh(z)"))
    manifold, z = evidence.manifold, evidence.minimum.Z[0]
    found = curvatures(manifold, z)
    for i in range(manifold.n):
        u = np.zeros((manifold.m, manifold.n))
        u[0, i], u[1, i] = 1.0, -1.0
        U = manifold.coordinates.expand(manifold.coordinates.weights_from_preactivations(u))
        exact = float(np.sum(U * manifold.hessian_vector_product(evidence.minimum.theta, U)))
        assert abs(found.measured[i] - exact) <= found.error[i]
        assert abs(found.predicted[i] - exact) <= 1e-10 * (1.0 + abs(exact))


@pytest.mark.parametrize("factor", [-1.0, 0.99, 1.01, 2.0])
def test_a_wrong_formula_fails(factor: float) -> None:
    evidence = Evidence(small_case("tanh(z)"))
    found = curvatures(evidence.manifold, evidence.minimum.Z[0])
    broken = type(found)(found.measured, found.error, factor * found.predicted)
    assert necessity.curvature(found).status == "holds"
    assert necessity.curvature(broken).status == "fails"


def test_a_wrong_sign_fails() -> None:
    evidence = Evidence(small_case("tanh(z)"))
    found = curvatures(evidence.manifold, evidence.minimum.Z[0])
    turned = type(found)(-found.measured, found.error, found.predicted)
    assert necessity.sign(evidence, found).status == "holds"
    assert necessity.sign(evidence, turned).status == "fails"


def test_an_activation_outside_a1_is_tested_itself() -> None:
    evidence = Evidence(small_case("arctan(z)"))
    assert evidence.outside is evidence
    assert statement("S11").check(evidence).status == "holds"
    assert Evidence(small_case()).outside.case.activation == "tanh(z)"
