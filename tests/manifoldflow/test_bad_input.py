"""Bad networks, data and arguments of the manifold: each a typed error that says what came and what is allowed."""

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.errors import (
    FormulaError,
    InputError,
    ManifoldflowError,
    UnreachableLabelsError,
)
from manifoldflow.network import FixedCoefficients
from manifoldflow.validation import generator, one_of, positive_integer, positive_number, real_array
from tests.manifoldflow.conftest import problem

RAGGED = [[1.0, 2.0], [3.0]]
OBJECTS = np.array([[1.0, None], [2.0, 3.0]], dtype=object)
X, Y = np.eye(2), [1.0, 2.0]


# --- networks -------------------------------------------------------------------------------------

NETWORKS = [
    ({"width": 0}, InputError, "width must be a whole number >= 1; got 0"),
    ({"width": -3}, InputError, "width.*-3"),
    ({"width": 2.0}, InputError, "width.*2.0"),
    ({"width": True}, InputError, "width.*True"),
    ({"width": "2"}, InputError, "width.*'2'"),
    ({"width": None}, InputError, "width.*None"),
    ({"output_weights": [1.0, 0.0]}, InputError, "non-zero; entry 1 is 0.*leave it out"),
    ({"output_weights": [1.0]}, InputError, r"output_weights must have shape \(2,\); got \(1,\)"),
    ({"output_weights": [[1.0, 2.0]]}, InputError, r"shape \(2,\); got \(1, 2\)"),
    ({"output_weights": 1.0}, InputError, r"shape \(2,\); got \(\)"),
    ({"output_weights": [1.0, np.nan]}, InputError, "output_weights must be finite.*nan"),
    ({"output_weights": [1.0, np.inf]}, InputError, "output_weights must be finite.*inf"),
    ({"output_weights": [1.0, 1j]}, InputError, "real numbers; got dtype complex128"),
    ({"output_weights": "fixed"}, InputError, "None, an array or 'trained'; got 'fixed'"),
    ({"output_weights": ["a", "b"]}, InputError, "real numbers; got dtype <U1"),
    ({"unit": "z +"}, FormulaError, None),
    ({"unit": "__import__('os')"}, FormulaError, None),
    ({"unit": "frobnicate(z)"}, FormulaError, "frobnicate"),
    ({"unit": 3}, FormulaError, None),
    ({"unit": None}, FormulaError, None),
]


@pytest.mark.parametrize(("options", "error", "match"), NETWORKS, ids=[str(options) for options, _, _ in NETWORKS])
def test_networks(options, error, match):
    with pytest.raises(error, match=match):
        mf.TwoLayerNetwork(**{"unit": "z**3 + z", "width": 2, **options})


def test_trained_weights_need_a_unit_without_its_own():
    with pytest.raises(InputError, match=r"a\*phi\(z\).*own parameters"):
        mf.TwoLayerNetwork(mf.UnitFunction("c*tanh(z)", own=("c",)), width=2, output_weights="trained")


def test_weights_are_copied_and_cannot_be_written():
    weights = np.array([1.0, 2.0])
    network = mf.TwoLayerNetwork("z**3 + z", width=2, output_weights=weights)
    weights[:] = 0.0
    assert network.output_weights.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        network.output_weights[0] = 5.0
    ones = mf.TwoLayerNetwork("z**3 + z", width=2)
    with pytest.raises(ValueError, match="read-only"):
        ones.output_weights[0] = 0.0


# --- data -----------------------------------------------------------------------------------------

DATA = [
    (X, [1.0], "X has 2 rows .* and y 1 entries"),
    (X, [1.0, 2.0, 3.0], "X has 2 rows .* and y 3 entries"),
    ([1.0, 2.0], Y, r"X must have 2 dimension.*got shape \(2,\)"),
    (np.ones((2, 2, 2)), Y, r"X must have 2 dimension.*\(2, 2, 2\)"),
    (X, [[1.0], [2.0]], r"y must have 1 dimension.*\(2, 1\)"),
    (X, 1.0, r"y must have 1 dimension.*got shape \(\)"),
    ([[1.0, np.nan], [0.0, 1.0]], Y, r"X must be finite; 1 of 4 .* index \(0, 1\) \(nan\)"),
    ([[1.0, -np.inf], [0.0, 1.0]], Y, r"X must be finite.*\(-inf\)"),
    (X, [1.0, np.nan], r"y must be finite; 1 of 2 .* index \(1,\)"),
    (X, [np.inf, np.inf], r"y must be finite; 2 of 2"),
    (np.ma.masked_equal(X, X[0, 0]), Y, "X must have no masked entries"),
    (X.astype(complex), Y, "X must hold real numbers; got dtype complex128"),
    (X, [1.0, 1j], "y must hold real numbers; got dtype complex128"),
    ([["a", "b"], ["c", "d"]], Y, "X must hold real numbers; got dtype <U1"),
    (X, ["1", "2"], "y must hold real numbers; got dtype <U1"),
    (OBJECTS, Y, "X must hold real numbers; got dtype object"),
    (X, [10**400, 1], "y must hold real numbers; got dtype object"),
    (X, np.array([0, 1], dtype="datetime64[D]"), "y must hold real numbers; got dtype datetime64"),
    (RAGGED, Y, "X must be a rectangular array"),
    (None, Y, "X must hold real numbers; got dtype object"),
    (X, None, "y must hold real numbers; got dtype object"),
    (np.empty((0, 2)), [], "empty; at least one sample"),
    (np.empty((2, 0)), Y, "X"),
    ([[1.0, 0.0], [0.0, 0.0]], Y, "Row 1 of X is zero.*Remove it"),
    ([[1.0, 0.0], [0.0, 1e160]], Y, "largest entries from 1 to 1e\\+160.*Rescale X"),
    ([[1.0, 0.0], [0.0, 1e-160]], Y, "largest entries from 1e-160 to 1.*Rescale X"),
]


DATA_NAMES = [f"{k}: {match[:40]}" for k, (_, _, match) in enumerate(DATA)]


@pytest.mark.parametrize(("data", "labels", "match"), DATA, ids=DATA_NAMES)
def test_data(data, labels, match):
    with pytest.raises(InputError, match=match):
        mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=2), data, labels)


@pytest.mark.parametrize("network", ["z**3 + z", None, mf.activations.cubic()], ids=["text", "None", "unit"])
def test_the_network_must_be_one(network):
    with pytest.raises(InputError, match="network"):
        mf.ZeroLossManifold(network, X, Y)


UNREACHABLE = [
    ("tanh(z)", None, [2.5, 0.0], r"y\[0\] = 2.5.*\[-2, 2\].*Rescale y or widen"),
    ("tanh(z)", None, [0.0, -2.5], r"y\[1\] = -2.5"),
    ("tanh(z)", [0.5, -1.0], [1.6, 0.0], r"\[-1.5, 1.5\]"),
    ("z**2", None, [1.0, -1.0], r"1 of 2 labels are out of reach: y\[1\] = -1"),
    ("z**2", [-1.0, -2.0], [1.0, 1.0], "2 of 2 labels"),
    ("sigmoid(z)", None, [-0.1, 1.0], r"y\[0\] = -0.1"),
    ("exp(z)", None, [-1.0, 1.0], r"y\[0\] = -1"),
    ("softplus(z)", None, [-1.0, 1.0], r"y\[0\] = -1"),
    ("sin(z)", None, [3.0, 0.0], r"y\[0\] = 3"),
]


@pytest.mark.parametrize(("formula", "weights", "labels", "match"), UNREACHABLE)
def test_labels_out_of_reach(formula, weights, labels, match):
    network = mf.TwoLayerNetwork(formula, width=2, output_weights=weights)
    with pytest.raises(UnreachableLabelsError, match=match):
        mf.ZeroLossManifold(network, X, labels)


@pytest.mark.parametrize("size", [1e8, 1e20, 1e100, 1e300, -1e300])
@pytest.mark.parametrize("formula", ["z**3 + z", "z", "sinh(z)", "sign"])
def test_labels_of_any_size_are_in_reach_of_an_unbounded_activation(formula, size):
    if formula == "sign":  # one-sided: large labels of one sign only
        network = mf.TwoLayerNetwork("softplus(z)", width=2, output_weights=[np.sign(size)] * 2)
        assert mf.ZeroLossManifold(network, X, [size, np.sign(size)]).n == 2
        with pytest.raises(UnreachableLabelsError, match=r"\d+ z with \|z\| <= 1\.8e\+308"):
            mf.ZeroLossManifold(network, X, [-size, np.sign(size)])
    else:
        assert mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=2), X, [size, 1.0]).y[0] == size


@pytest.mark.parametrize("formula", ["tanh(z)", "z**2/(1 + z**2)", "sigmoid(z)", "atan(z)"])
def test_a_bounded_activation_stays_bounded_where_float64_overflows(formula):
    with pytest.raises(UnreachableLabelsError, match="out of reach"):
        mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=2), X, [1e8, 1.0])


def test_large_labels_have_points():
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), X, [1e20, 2e20])
    theta = man.random_point(rng=0)
    assert np.abs(man.residual(theta)).max() < 1e-12 * 2e20


def test_labels_within_reach_are_taken():
    for formula, labels in (("tanh(z)", [1.9, -1.9]), ("z**2", [0.5, 9.0]), ("exp(z)", [1e-3, 1e3])):
        man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=2), X, labels)
        theta = man.random_point(rng=0)
        assert np.abs(man.residual(theta)).max() < 1e-9


# --- points, vectors, options ---------------------------------------------------------------------

POINTS = [
    (np.zeros((4, 4)), r"must have shape \(4, 5\); got \(4, 4\)"),
    (np.zeros((3, 5)), r"must have shape \(4, 5\); got \(3, 5\)"),
    (np.zeros(20), r"must have shape \(4, 5\); got \(20,\)"),
    (np.zeros((1, 4, 5)), r"must have shape \(4, 5\); got \(1, 4, 5\)"),
    (np.full((4, 5), np.nan), "must be finite; 20 of 20"),
    (np.full((4, 5), np.inf), "must be finite; 20 of 20"),
    (np.zeros((4, 5), complex), "must hold real numbers; got dtype complex128"),
    (np.full((4, 5), "1"), "must hold real numbers; got dtype <U1"),
    (RAGGED, "rectangular"),
    (None, "must hold real numbers; got dtype object"),
]
OF_THETA = (
    "predict", "residual", "jacobian", "preactivations", "sharpness", "gradient", "multipliers", "hessian_spectrum",
    "nearest_point",
)  # fmt: skip
OF_THETA_AND_U = ("hessian_vector_product", "projection", "retraction", "exp")


@pytest.mark.parametrize(("value", "match"), POINTS, ids=[match for _, match in POINTS])
def test_points_and_vectors(value, match):
    case = problem("cubic")
    for name in OF_THETA:
        with pytest.raises(InputError, match=f"theta.*{match}"):
            getattr(case.man, name)(value)
    for name in OF_THETA_AND_U:
        with pytest.raises(InputError, match=f"theta.*{match}"):
            getattr(case.man, name)(value, case.theta)
        with pytest.raises(InputError, match=f"u.*{match}"):
            getattr(case.man, name)(case.theta, value)
    with pytest.raises(InputError, match=f"v.*{match}"):
        case.man.transport(case.theta, value, case.theta)
    with pytest.raises(InputError, match=f"u.*{match}"):
        case.man.transport(case.theta, case.theta, value)


@pytest.mark.parametrize("rng", [None, -1, 1.5, "seed", [0.5], object()], ids=lambda rng: type(rng).__name__)
def test_seeds(rng, cubic):
    with pytest.raises(InputError, match="rng must be a seed or a numpy Generator"):
        cubic.man.random_point(rng=rng)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, "1", None, True])
def test_scales(scale, cubic):
    with pytest.raises(InputError, match=r"scale must be a .*number"):
        cubic.man.random_point(rng=0, scale=scale)


def test_a_manifold_without_points_says_what_to_do():
    # The same sample with two labels.
    with pytest.raises(UnreachableLabelsError, match="Rows 0 and 1 of X are equal"):
        mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=3), [[1.0, 2.0], [1.0, 2.0]], [0.0, 1.0])


def test_samples_are_told_apart_by_their_coefficients():
    unit, X = mf.UnitFunction("a*u**2", own=("u",)), np.ones((2, 2))
    network = FixedCoefficients(unit, np.array([[1.0, 2.0], [2.0, 1.0]]), X)
    assert mf.ZeroLossManifold(network, X, [1.0, 2.0]).n == 2
    with pytest.raises(UnreachableLabelsError, match="has no z"):
        mf.ZeroLossManifold(FixedCoefficients(unit, np.ones((2, 2)), X), X, [1.0, 2.0])
    assert mf.ZeroLossManifold(FixedCoefficients(unit, np.ones((2, 2)), X), X, [1.0, 1.0]).n == 2


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_a_velocity_too_long_is_a_typed_error(cubic):
    with pytest.raises(ManifoldflowError):
        cubic.man.exp(cubic.theta, np.full((4, 5), 1e200))


# --- the checks themselves ------------------------------------------------------------------------

NOT_NUMBERS = [True, "1", None, 1j, [1.0], np.array([1.0]), np.nan]


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 0.0, -1.0, np.inf, 10**400], ids=lambda value: repr(value)[:20])
def test_positive_number_refuses(value):
    with pytest.raises(InputError, match="size"):
        positive_number("size", value)


def test_positive_number_takes_its_domain():
    assert positive_number("size", np.float32(0.5)) == 0.5
    assert positive_number("size", 0, allow_zero=True) == 0.0
    assert positive_number("size", np.inf, allow_infinity=True) == np.inf
    assert isinstance(positive_number("size", np.int64(2)), float)
    with pytest.raises(InputError, match=r"\[0, oo\)"):
        positive_number("size", -1, allow_zero=True)
    with pytest.raises(InputError, match=r"\(0, oo\]"):
        positive_number("size", 0, allow_infinity=True)


@pytest.mark.parametrize("value", [*NOT_NUMBERS, 1.0, 0, -1, np.float64(2.0), np.True_], ids=repr)
def test_positive_integer_refuses(value):
    with pytest.raises(InputError, match="count must be a whole number >= 1"):
        positive_integer("count", value)


def test_positive_integer_gives_an_int():
    assert type(positive_integer("count", np.int32(7))) is int


@pytest.mark.parametrize("value", ["c", "A", None, 1, ["a"]], ids=repr)
def test_one_of_refuses(value):
    with pytest.raises(InputError, match="kind must be one of 'a', 'b'; got"):
        one_of("kind", value, ("a", "b"))


def test_generator_takes_seeds_sequences_and_generators():
    given = np.random.default_rng(4)
    assert generator(given) is given
    draws = {generator(rng).random() for rng in (4, np.int64(4), np.random.SeedSequence(4), np.random.default_rng(4))}
    assert draws == {np.random.default_rng(4).random()}


def test_real_array_keeps_values_and_shape():
    for value in ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]], order="F", dtype=np.int8)):
        array = real_array("X", value, ndim=2)
        assert array.dtype == np.float64
        assert array.flags.c_contiguous
        assert array.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert real_array("x", 3.0).shape == ()
    assert real_array("x", np.empty((0, 3))).shape == (0, 3)


def test_a_width_that_is_a_slip_is_refused_before_it_takes_memory():
    with pytest.raises(InputError, match="width must be at most 100000000"):
        mf.TwoLayerNetwork("z**3 + z", width=10**9)
