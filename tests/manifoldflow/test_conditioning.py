"""Rank-deficient and nearly dependent data: every public function answers, warns, or refuses with a typed error."""

import warnings

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.conditioning import condition_number, is_clearly_well_conditioned, warn_where_ill_conditioned
from manifoldflow.errors import (
    AssumptionWarning,
    GeometryError,
    IllConditionedWarning,
    ManifoldflowError,
    ProjectionError,
    UnreachableLabelsError,
)
from manifoldflow.sgd import finite_step_gradient, finite_step_sharpness


def _data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6, 3))
    return {
        "n > d": X,
        "equal rows": np.vstack([X[:3], X[0]]),
        "almost equal rows": np.vstack([X[:3], X[0] * (1 + 1e-12)]),
        "rank 1": np.outer([1.0, 2.0], [1.0, 2.0, 3.0]),
        # z^3 + z spans two functions of one direction: J has rank 2 whatever the width.
        "rank 1, three samples": np.outer([1.0, 2.0, -0.5], [1.0, 2.0, 3.0]),
        "one sample": X[:1],
        "constant column": np.c_[X[:3], np.ones(3)],
        "zero column": np.c_[X[:3], np.zeros(3)],
    }


DATA = _data()
NETWORKS = {
    "cubic": mf.TwoLayerNetwork("z**3 + z", width=6),
    "trained": mf.TwoLayerNetwork("z**3 + z", width=6, output_weights="trained"),
    "diagonal": mf.DiagonalLinearNetwork(),
}
REGULAR = {"n > d", "one sample", "constant column", "zero column", "rank 1"}


def case(network, name):
    """A manifold whose labels are the outputs of a random theta, and that theta."""
    net, X = NETWORKS[network], DATA[name]
    probe = mf.ZeroLossManifold(net, X, np.zeros(len(X)))
    theta = 0.6 * np.random.default_rng(1).normal(size=probe.shape)
    return mf.ZeroLossManifold(net, X, probe.predict(theta)), theta


def uses(man, theta):
    """Everything that a user can ask for, by name."""
    eta = 0.01 / np.linalg.eigvalsh(man.jacobian_gram(theta))[-1]
    return {
        "gradient": lambda: man.gradient(theta),
        "spectrum": lambda: man.hessian_spectrum(theta),
        "Hessian": lambda: man.hessian_vector_product(theta, theta),
        "flow": lambda: mf.sharpness_flow(man, theta, (0.0, 1e-3)).theta[-1],
        "stiff flow": lambda: mf.sharpness_flow(man, theta, (0.0, 1e-3), method="implicit").theta[-1],
        "flattest": lambda: mf.flattest_point(man, theta).x,
        "geodesic": lambda: man.exp(theta, 0.1 * theta),
        "nearest": lambda: man.nearest_point(theta + 1e-3),
        "limit": lambda: mf.gradient_flow_limit(man, theta + 1e-3),
        "corrected": lambda: finite_step_gradient(man, theta, eta, batch_size=1),
        "corrected sharpness": lambda: finite_step_sharpness(man, theta, eta),
        "SGD": lambda: mf.label_noise_sgd(
            man.network, man.X, man.y, theta, step_size="auto", n_steps=500, noise=mf.LabelNoise(std=0.1)
        ).theta,
    }


def refusal(ask):
    """The message of a typed error, or nothing where finite numbers came."""
    try:
        assert np.all(np.isfinite(ask()))
    except ManifoldflowError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_use_answers_with_numbers_or_refuses_with_a_typed_error(network, name):
    man, theta = case(network, name)
    assert np.abs(man.residual(theta)).max() <= 1e-13
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AssumptionWarning)  # A2; no other warning is let through
        refused = {use: text for use, ask in uses(man, theta).items() if (text := refusal(ask))}
    regular = name in REGULAR and not (network == "diagonal" and name in ("n > d", "rank 1"))
    assert bool(refused) == (not regular), refused
    assert all("J J^T" in text for text in refused.values()), refused
    assert "SGD" not in refused
    if regular:
        assert man.condition(theta) < 1e9
    else:
        assert man.condition(theta) > 1e13


def test_equal_rows_may_have_labels_that_differ_by_rounding_only():
    X = DATA["equal rows"]
    y = np.array([0.1, 0.2, 0.3, 0.1 * (1 + 4e-16)])
    assert y[3] != y[0]
    mf.ZeroLossManifold(NETWORKS["cubic"], X, y)
    with pytest.raises(UnreachableLabelsError, match=r"0.1 and 0.1000001"):
        mf.ZeroLossManifold(NETWORKS["cubic"], X, np.array([0.1, 0.2, 0.3, 0.1000001]))


@pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")
def test_a_flow_warns_where_j_is_badly_conditioned_and_says_how_many_digits_stay():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3, 5))
    for gap, ill in ((1e-5, True), (1e-2, False)):
        rows = np.vstack([X, X[0] + gap * rng.normal(size=5)])
        net = mf.TwoLayerNetwork("z**3 + z", width=4)
        theta = 0.5 * rng.normal(size=(4, 5))
        y = mf.ZeroLossManifold(net, rows, np.zeros(4)).predict(theta)
        man = mf.ZeroLossManifold(net, rows, y)
        assert (man.condition(theta) > 1e10) == ill
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sol = mf.sharpness_flow(man, theta, (0.0, 1e-4))
        seen = [entry for entry in caught if entry.category is IllConditionedWarning]
        assert len(seen) == ill
        assert all("digits" in str(entry.message) and entry.filename == __file__ for entry in seen)
        assert sol.condition == pytest.approx(man.condition(sol.theta[-1]), rel=1e-3)


def test_condition_numbers():
    J = np.random.default_rng(0).normal(size=(4, 9))
    assert condition_number(J @ J.T) == pytest.approx(np.linalg.cond(J) ** 2, rel=1e-10)
    assert condition_number(np.full((3, 3), np.nan)) == np.inf
    assert condition_number(np.zeros((2, 2))) == np.inf


def test_the_limit_gives_up_where_j_is_singular():
    # Two rows that differ by 1e-12: this ran for ever once, with step sizes that overflowed.
    man, theta = case("cubic", "almost equal rows")
    with pytest.raises(GeometryError, match="J J\\^T"):
        mf.gradient_flow_limit(man, theta + 0.01)


def test_data_that_are_too_badly_conditioned_for_the_flattest_point_are_named():
    rng = np.random.default_rng(5)
    U, V = (np.linalg.qr(rng.normal(size=(size, size)))[0] for size in (4, 6))
    X = (U * np.logspace(0, -10, 4)) @ V[:4]
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=6), X, rng.normal(size=4))
    with pytest.raises(ProjectionError, match=r"flattest point are known, .* dependent, with condition 1\.0e\+10"):
        mf.flattest_point(man)


def test_rows_that_repeat_others_are_named_where_no_point_is_found():
    with pytest.raises(ProjectionError, match="1 of 4 rows of X repeat others, so J J\\^T is singular"):
        case("cubic", "equal rows")[0].random_point(rng=0)


def kahan(n, c):
    """The upper triangle whose smallest singular value its diagonal does not show (Kahan 1966)."""
    s = np.sqrt(1.0 - c**2)
    return np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_what_is_clearly_well_conditioned_is_far_from_the_warning(n):
    rng = np.random.default_rng(n)
    seen = []
    for power in np.linspace(0.0, 13.0, 40) if n > 1 else [0.0]:
        Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
        K = Q @ np.diag(np.geomspace(1.0, 10.0**-power, n)) @ Q.T
        condition = condition_number(K)
        clear = is_clearly_well_conditioned(np.linalg.cholesky(K).T)
        assert not (clear and condition > 1e8)
        assert clear or condition > 1e4
        seen.append(clear)
    assert seen[0]
    assert n == 1 or not seen[-1]


def test_a_condition_that_the_pivots_do_not_show_is_seen():
    U = kahan(60, 0.5)
    assert np.ptp(np.log10(np.diag(U) ** 2)) < 7.5
    assert condition_number(U.T @ U) > 1e12
    assert not is_clearly_well_conditioned(U)


def test_an_infinite_condition_leaves_no_digits():
    # It used to end in an OverflowError, for a J J^T whose rows have very different lengths.
    with pytest.warns(IllConditionedWarning, match=r"condition inf at theta, so multipliers keep about 0 digits"):
        warn_where_ill_conditioned(np.inf, stacklevel=1)
