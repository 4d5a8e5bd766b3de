"""Diagonal linear networks: no inputs, labels that cannot be reached, odd data, and how far the linear program goes."""

import dataclasses
import pickle

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import flattest, interpolation
from manifoldflow.errors import GeometryError, InputError, ProjectionError, UnreachableLabelsError
from manifoldflow.network import Network
from manifoldflow.turning import Turning
from tests.manifoldflow.conftest import PerSampleNetwork


def data(n=3, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.uniform(0.2, 1.0, size=d)


@pytest.mark.parametrize(("signed", "p"), [(True, 2), (False, 1)])
def test_shapes_and_the_formula(signed, p):
    X, y = data()
    net = mf.DiagonalLinearNetwork(signed)
    man = mf.ZeroLossManifold(net, X, y)
    theta = man.random_point(rng=0)
    w = theta[:, 0] ** 2 - theta[:, 1] ** 2 if signed else theta[:, 0] ** 2
    assert isinstance(net, Network)
    assert (man.shape, man.m, man.coordinates.rank, man.dimension) == ((6, p), 6, 0, 6 * p - 3)
    np.testing.assert_allclose(man.predict(theta), X @ w, atol=1e-13)
    assert man.sharpness(theta) == pytest.approx(8.0 * (X**2).sum(axis=0) @ (theta**2).sum(axis=1), rel=1e-13)
    assert man.reduced is man
    copied = pickle.loads(pickle.dumps(man))
    np.testing.assert_array_equal(copied.gradient(theta), man.gradient(theta))


def test_the_scale_of_a_random_point_is_that_of_its_own_parameters():
    X, y = data()
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, 1e-3 * y)
    sizes = [np.linalg.norm(man.random_point(rng=0, scale=scale)) for scale in (0.1, 10.0)]
    assert sizes[1] > 10.0 * sizes[0]


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_signed_is_a_truth_value(value):
    with pytest.raises(InputError, match="signed must be a bool"):
        mf.DiagonalLinearNetwork(value)


# --- labels out of reach --------------------------------------------------------------------------


def test_labels_of_the_wrong_sign_are_refused():
    X = np.abs(data()[0])
    with pytest.raises(UnreachableLabelsError, match=r"y\[1\] = -0.5, where no feature is negative"):
        mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed=False), X, [1.0, -0.5, 1.0])
    with pytest.raises(UnreachableLabelsError, match="no feature is positive"):
        mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed=False), -X, [-1.0, -0.5, 1.0])
    mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed=True), X, [1.0, -0.5, 1.0])


def test_labels_outside_the_cone_of_the_features_are_refused():
    # Signs are mixed in every row, and still no w >= 0 will do: y = (1, 0) needs w_1 = w_2 and w_1 - w_2 = 1.
    X = np.array([[1.0, -1.0], [-1.0, 1.0]])
    with pytest.raises(UnreachableLabelsError, match=r"no w = v\^2 >= 0 has X w = y: .* at least 0.7.*signed=True"):
        mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed=False), X, [1.0, 0.0])


def test_more_samples_than_features_must_be_consistent():
    X, y = data(n=6, d=3)
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y)
    with pytest.raises(GeometryError, match=r"n = 6, rank of the data 3"):
        man.gradient(np.sqrt(np.c_[np.linalg.lstsq(X, y, rcond=None)[0], np.zeros(3)]))
    y[0] += 0.1
    with pytest.raises(UnreachableLabelsError, match=r"6 samples, d = 3 features, rank 3\). Remove samples"):
        mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y)


def test_where_every_interpolator_is_sparse_the_message_says_so_and_the_flattest_point_is_found():
    # 20 samples, 22 features, w >= 0 with two ones: no other w >= 0 interpolates, and J J^T has rank 2.
    rng = np.random.default_rng(1000)
    X = rng.normal(size=(20, 22))
    w = np.zeros(22)
    w[:2] = 1.0
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed=False), X, X @ w)
    with pytest.raises(ProjectionError, match=r"fewer features than the n = 20 samples\. `flattest_point` answers"):
        man.random_point(rng=0)
    found = mf.flattest_point(man)
    assert found.is_global
    np.testing.assert_allclose(found.x[:, 0] ** 2, w, atol=1e-12)


@pytest.mark.parametrize("seed", range(1000, 1006))
def test_a_flow_to_few_features_ends_at_the_program_s_point(seed):
    # J J^T is singular to rounding long before all u_j v_j have died out: without turned samples the flow ended there.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 22)) * (rng.uniform(0.5, 2.0, size=22) if seed % 2 else 1.0)
    w = np.zeros(22)
    w[rng.choice(22, 2, replace=False)] = 1.0
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, X @ w)
    end = mf.sharpness_flow(man, man.random_point(rng=seed))
    assert end.status in ("limit", "stationary")
    assert end.condition > 1e12
    assert end.sharpness[-1] == pytest.approx(mf.flattest_point(man).lower_bound, rel=2e-12)
    np.testing.assert_allclose(end.theta[-1][:, 0] ** 2 - end.theta[-1][:, 1] ** 2, w, atol=1e-11)


@pytest.mark.parametrize("bound", [1.0 - 1e-9, 0.0])
def test_the_limit_is_one_where_f_is_at_its_bound_only(monkeypatch, bound):
    rng = np.random.default_rng(1000)
    X = rng.normal(size=(20, 60))
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, X[:, :2].sum(axis=1))
    theta, right = man.random_point(rng=0), interpolation.least_norm(man)
    assert mf.sharpness_flow(man, theta).status == "limit"
    lower = dataclasses.replace(right, lower_bound=bound * right.lower_bound) if bound else None
    monkeypatch.setattr(interpolation, "least_norm", lambda _: lower)
    assert mf.sharpness_flow(man, theta, max_steps=2000).status != "limit"


def turning_at(man, theta):
    return Turning(man, man.coordinates.reduce(theta))


def test_turned_samples_are_the_same_problem_and_keep_the_digits_of_small_features():
    # Features of size 1 and 1e-9: the exact multipliers are those of 50 digits. As given, J J^T is singular.
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(3)
    X = rng.normal(size=(4, 9))
    theta = np.where(np.arange(9) < 2, 1.0, 1e-9)[:, None] * rng.normal(size=(9, 2))
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, X @ (theta[:, 0] ** 2 - theta[:, 1] ** 2))
    with pytest.raises(GeometryError, match="not positive definite"):
        man.gradient(theta)
    F, gradient, _ = man.gradient_at(theta, turning_at(man, theta).problem)
    with mpmath.workdps(50):
        A, T = mpmath.matrix(X.tolist()), mpmath.matrix(theta.tolist())
        J = mpmath.matrix(4, 18)
        slope = mpmath.matrix(18, 1)
        for j in range(9):
            square = sum(A[i, j] ** 2 for i in range(4))
            for q, sign in ((0, 1), (1, -1)):
                slope[2 * j + q] = 16 * square * T[j, q]
                for i in range(4):
                    J[i, 2 * j + q] = sign * 2 * A[i, j] * T[j, q]
        lam = mpmath.lu_solve(J * J.T, J * slope)
        exact = np.array([float(x) for x in slope - J.T * lam]).reshape(9, 2)
    assert pytest.approx(8.0 * (X**2).sum(axis=0) @ (theta**2).sum(axis=1), rel=1e-13) == F
    np.testing.assert_allclose(gradient[2:], exact[2:], rtol=1e-9, atol=0.0)  # entries of 1e-8
    np.testing.assert_allclose(gradient, exact, atol=1e-12)


def test_only_units_proportional_to_their_coefficient_and_without_inputs_are_turned():
    class NoInputs(PerSampleNetwork):
        def inputs(self, X):
            return X[:, :0]

    X, y = data()
    for net, turns in (
        (mf.DiagonalLinearNetwork(False), True),
        (NoInputs(mf.UnitFunction("u*v", own=("u", "v")), 6, X.T), True),
        (NoInputs(mf.UnitFunction("sinh(a*u) + u", own=("u",)), 6, X.T), False),
        (mf.TwoLayerNetwork("z**3 + z", 3, "trained"), False),
    ):
        man = mf.ZeroLossManifold(net, X, y)
        assert turning_at(man, man.random_point(rng=0)).possible == turns


def test_a_saddle_that_is_reached_to_rounding_is_left_when_the_flow_would():
    # One sample x = (1, 2), y = 1: F = 8 w_1 + 32 w_2 on w_1 + 2 w_2 = 1, so 16 at w = (0, 1/2) and 8 at (1, 0). Near
    # the first the multiplier is 16 and w_1 grows as exp(32 t).
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(False), [[1.0, 2.0]], [1.0])
    theta = np.array([[1e-30], [np.sqrt(0.5)]])
    end = mf.sharpness_flow(man, theta)
    assert end.status == "stationary"
    np.testing.assert_allclose(end.theta[-1], [[1.0], [0.0]], atol=1e-12)
    leaves = end.t[np.argmax(end.sharpness < 15.0)]
    assert leaves == pytest.approx(np.log(1e30) / 16.0, rel=0.03)
    # What is exactly zero stays, in the flow too.
    stays = mf.sharpness_flow(man, np.array([[0.0], [np.sqrt(0.5)]]))
    assert (stays.status, stays.theta[-1][0, 0]) == ("stationary", 0.0)
    assert stays.sharpness[-1] == pytest.approx(16.0, rel=1e-14)


def test_a_feature_that_can_grow_no_more_is_said_to_be_stuck(monkeypatch):
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(False), [[1.0, 2.0]], [1.0])
    monkeypatch.setattr(Turning, "way_out", lambda self, W: (16.0, 1e-30))
    end = mf.sharpness_flow(man, np.array([[1e-30], [np.sqrt(0.5)]]))
    assert (end.status, end.success) == ("saddle", False)


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_zero_have_their_limit_in_the_origin(seed):
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), data(seed=seed)[0], np.zeros(3))
    end = mf.sharpness_flow(man, man.random_point(rng=seed))
    assert end.status in ("limit", "stationary")
    assert np.abs(end.theta[-1]).max() < 1e-6


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("seed", range(3))
def test_the_size_of_the_labels_does_not_matter_to_where_a_flow_ends(seed, size):
    # Without signs random points used to miss small labels by 1e-12, and to be called stationary as they were.
    rng = np.random.default_rng(seed)
    X = rng.choice([0.0, 1.0], size=(3, 20))
    X[0, 0] = 1.0
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed=False), X, size * X[:, 0])
    theta = man.random_point(rng=seed)
    assert np.abs(man.residual(theta)).max() < 1e-11 * size
    end = mf.sharpness_flow(man, theta)
    assert end.success
    assert end.sharpness[-1] == pytest.approx(mf.flattest_point(man).fun, rel=1e-10)


# --- the linear program on odd data ---------------------------------------------------------------


def test_dependent_rows_leave_the_answer_as_it_is():
    X, y = data()
    alone = mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y))
    twice = mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), np.r_[X, X], np.r_[y, y]))
    assert twice.is_global
    assert twice.fun == pytest.approx(2.0 * alone.fun, rel=1e-12)
    np.testing.assert_allclose(twice.x, alone.x, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
@pytest.mark.parametrize("labels", [1e-8, 1e8])
def test_units_of_measurement_do_not_matter(scale, labels):
    X, y = data()
    base = mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y))
    found = mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), scale * X, labels * y))
    assert found.is_global
    assert found.fun == pytest.approx(scale * labels * base.fun, rel=1e-9)


def test_zero_labels_zero_columns_and_one_sample():
    X, y = data()
    nothing = mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, 0.0 * y))
    assert (nothing.fun, nothing.is_global, np.abs(nothing.x).max()) == (0.0, True, 0.0)
    wider = mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), np.c_[X, np.zeros(3)], y))
    assert wider.fun == pytest.approx(mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y)).fun)
    # One sample: all on the feature with the smallest weight for its share, s_j / |x_j| = |x_j|.
    one = mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), [[2.0, -1.0, 3.0]], [5.0]))
    np.testing.assert_allclose(one.x, [[0.0, 0.0], [0.0, np.sqrt(5.0)], [0.0, 0.0]], atol=1e-12)


def test_a_wrong_answer_of_the_program_is_not_called_global(monkeypatch):
    X, y = data()
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y)
    right = interpolation._solve

    def feasible_but_not_least(C, y, c):
        _, lam = right(C, y, c)
        w = np.linalg.lstsq(C[:, :6], y, rcond=None)[0]
        return np.concatenate([np.maximum(w, 0.0), np.maximum(-w, 0.0)]), lam

    monkeypatch.setattr(interpolation, "_solve", feasible_but_not_least)
    found = mf.flattest_point(man)
    assert (found.is_global, found.success, found.status) == (False, False, 1)
    assert "Not proved" in found.message
    # A point below the bound is not on M, and labels of 1e-8 are missed by less than a point of M may be off.
    monkeypatch.setattr(interpolation, "_solve", lambda *arguments: (0.9 * right(*arguments)[0], right(*arguments)[1]))
    monkeypatch.setattr(interpolation, "_refined_primal", lambda C, y, x: x)
    assert not mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, 1e-8 * y)).is_global
    # Multipliers that are not feasible are shrunk until they are: the bound stays below.
    monkeypatch.setattr(interpolation, "_solve", lambda C, y, c: (right(C, y, c)[0], 3.0 * y))
    monkeypatch.setattr(interpolation, "_refined_dual", lambda C, c, x, lam: lam)
    found = mf.flattest_point(man)
    assert not found.is_global
    assert found.lower_bound < found.fun


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_features_of_very_different_scale_and_rows_that_nearly_agree(seed, signed):
    # HiGHS alone, at its own tolerances, is wrong by up to a factor of 10 on such data.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(24, 120)) * 10.0 ** rng.uniform(-3.0, 3.0, size=120)
    w = np.zeros(120)
    w[rng.choice(120, 5, replace=False)] = 10.0 ** rng.uniform(-1.0, 1.0, size=5)
    assert mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed), X, X @ w)).is_global
    X = rng.normal(size=(24, 120))
    X[-1] = X[0] + 1e-6 * X[-1]
    truth = w if seed % 2 else rng.uniform(size=120)
    assert mf.flattest_point(mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed), X, X @ truth)).is_global


def test_what_roundings_of_the_labels_are_worth_is_bounded():
    # Rows that agree to 1e-12 have multipliers of 1e12: nothing is proved by calling all of F rounding.
    X, y = data()
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y)
    right = interpolation.least_norm(man)
    huge = dataclasses.replace(right, lam=1e15 * right.lam, lower_bound=0.9 * right.lower_bound)
    assert interpolation.rounding_of_labels(man, huge.lam) > huge.lower_bound
    assert not flattest._of_program(man, huge).is_global


def test_trust_regions_take_over_where_the_program_gives_up(monkeypatch):
    X, y = data()
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y)
    program = mf.flattest_point(man)
    monkeypatch.setattr(interpolation, "_solve", lambda *_: None)
    found = mf.flattest_point(man, n_starts=2)
    assert (found.success, found.is_global) == (True, False)
    assert found.fun == pytest.approx(program.fun, rel=1e-12)


def test_a_network_of_ones_own_with_that_unit_is_recognised():
    X, y = data()

    class Mine(PerSampleNetwork):
        def inputs(self, X):
            return X[:, :0]

    unit = mf.UnitFunction("u**2 - v**2", own=("u", "v"))
    found = mf.flattest_point(mf.ZeroLossManifold(Mine(unit, 6, X.T), X, y))
    assert found.is_global
    # With inputs that it ignores it is another problem for the recogniser: not claimed.
    other = mf.flattest_point(mf.ZeroLossManifold(PerSampleNetwork(unit, 6, X.T), X, y), n_starts=1)
    assert not other.is_global
    assert other.fun == pytest.approx(found.fun, rel=1e-10)


# --- the steps of SGD -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"batch_size": 2}, {"batch_size": "full"}, {"momentum": 0.5}])
def test_sgd_is_the_recursion_written_out(options):
    rng = np.random.default_rng(3)
    X, y = data(n=25, d=30)
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, y)
    theta, eta, n_steps = man.random_point(rng=0) + 0.01 * rng.normal(size=man.shape), 1e-4, 60
    run = mf.label_noise_sgd(man.network, X, y, theta, step_size=eta, n_steps=n_steps, rng=5,
                             noise=mf.LabelNoise("none"), **options)  # fmt: skip
    rows = _rows(5, n_steps, 25, options.get("batch_size", 1))
    now, before = theta, theta
    for members in rows:
        error = 2.0 * (X[members] @ (now[:, 0] ** 2 - now[:, 1] ** 2) - y[members])
        share = 1.0 if options.get("batch_size") == "full" else 1.0 / len(members)
        gradient = share * 2.0 * now * (X[members].T @ error)[:, None] * [1.0, -1.0]
        now, before = now - eta * gradient + options.get("momentum", 0.0) * (now - before), now
    assert np.linalg.norm(now - theta) > 1e-3
    np.testing.assert_allclose(run.theta[0], now, atol=1e-12)


def _rows(seed, n_steps, n, batch):
    """The samples of each step, drawn as the library draws them."""
    from manifoldflow.sgd.noise import Draws

    size = 0 if batch == "full" else batch
    draws = Draws(n, size, "replacement", mf.LabelNoise("none"))
    return draws.block(np.random.default_rng(seed).spawn(1)[0])[0][:n_steps]
