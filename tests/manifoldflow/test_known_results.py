"""Results of other papers, each by an answer that owes nothing to this library: linear programs, closed forms.

Seeds are a range, not a choice; bounds come from step sizes, tolerances and sample sizes.
"""

import numpy as np
import pytest
from scipy.optimize import brentq, linprog, minimize_scalar

import manifoldflow as mf
from manifoldflow.sgd import finite_step_flow, stable_step_size
from manifoldflow.trust_region import minimise

N, D, ONES = 40, 100, 5


def least_weighted_l1(X, y, weights, signed):
    """The minimiser of sum_j weights_j |w_j| with X w = y (w >= 0 without signs), and its value."""
    if signed:
        found = linprog(np.r_[weights, weights], A_eq=np.c_[X, -X], b_eq=y, method="highs")
        return found.x[: X.shape[1]] - found.x[X.shape[1] :], found.fun
    found = linprog(weights, A_eq=X, b_eq=y, method="highs")
    return found.x, found.fun


def weights_of(theta):
    """W = u^2 - v^2, or v^2 where there is one column."""
    return theta[..., 0] ** 2 - theta[..., 1] ** 2 if theta.shape[-1] == 2 else theta[..., 0] ** 2


def regression(seed, signed, sparse):
    """The data of HaoChen et al.: 40 standard normal samples in dimension 100; 5 ones to find, or labels of no such w.

    Columns get different scales, so that weighted and plain l1 norms differ.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) * rng.uniform(0.5, 2.0, size=D)
    w = np.zeros(D)
    w[rng.choice(D, ONES, replace=False)] = 1.0
    if not sparse:
        w = rng.normal(size=D) if signed else rng.uniform(size=D)
    return X, X @ w, w


# --- HaoChen et al. 2021; Li, Wang and Arora 2022 ------------------------------------------------------


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_flow_ends_at_the_interpolator_of_least_weighted_l1_norm(seed, signed):
    X, y, _ = regression(seed, signed, sparse=False)
    weights = (X**2).mean(axis=0)
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed), X, y)
    end = mf.sharpness_flow(man, man.random_point(rng=seed))
    wanted, norm = least_weighted_l1(X, y, weights, signed)
    assert end.status == "stationary"
    assert np.count_nonzero(np.abs(wanted) > 1e-9) == N  # as many features as samples: J J^T stays invertible
    np.testing.assert_allclose(weights_of(end.theta[-1]), wanted, atol=1e-8)
    assert end.sharpness[-1] == pytest.approx(8.0 * N * norm, rel=1e-9)
    # Other norms have other minimisers: the check can tell.
    plain, _ = least_weighted_l1(X, y, np.ones(D), signed)
    shortest = np.linalg.lstsq(X, y, rcond=None)[0]
    assert min(np.abs(plain - wanted).max(), np.abs(shortest - wanted).max()) > 1e-2


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_flow_finds_five_ones_at_the_end_of_the_manifold(seed, signed):
    X, y, w = regression(seed, signed, sparse=True)
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed), X, y)
    end = mf.sharpness_flow(man, man.random_point(rng=seed))
    np.testing.assert_allclose(least_weighted_l1(X, y, (X**2).mean(axis=0), signed)[0], w, atol=1e-7)
    # J J^T has rank 5 in the limit; its other eigenvalues fall like the features that die out. With signs they may
    # reach rounding while u_j v_j of a feature in use has still to fall: w is right then, and F above its bound.
    missing = end.sharpness[-1] / mf.flattest_point(man).lower_bound - 1.0
    assert missing < (1e-6 if signed else 1e-9)
    assert (end.status, end.success) == (("limit", True) if missing <= 1e-8 else ("singular", False))
    assert "fewer features are in use than there are samples" in end.message or missing > 1e-8
    assert end.condition > 1e13
    np.testing.assert_allclose(weights_of(end.theta[-1]), w, atol=1e-9)


@pytest.mark.parametrize("signed", [False, True])
def test_label_noise_sgd_ends_there_too(signed):
    X, y, w = regression(0, signed, sparse=True)
    net = mf.DiagonalLinearNetwork(signed)
    man = mf.ZeroLossManifold(net, X, y)
    theta = man.random_point(rng=0, scale=0.3)
    eta = 0.2 * stable_step_size(man, theta)
    # Twice the flow's time to 1e-3 of the end, by its own clock; a third of it counts with a linear schedule.
    flow = mf.sharpness_flow(man, theta)
    close = flow.t[np.argmax(np.abs(weights_of(flow.theta) - w).max(axis=1) < 1e-3)]
    n_steps = int(2.0 * close * 3.0 * 2.0 * N / eta**2)
    run = mf.label_noise_sgd(net, X, y, theta, step_size=eta, schedule="linear", n_steps=n_steps, n_runs=24)
    assert run.sharpness_flow_time == pytest.approx(2.0 * close, rel=1e-3)
    ends = weights_of(run.theta)
    # Single runs end 0.005 to 0.03 away by their noise; what their mean is off by is four standard errors at most, and
    # what is left of the flow's way.
    error = ends.std(axis=0, ddof=1) / np.sqrt(len(ends))
    assert error.max() < 0.003
    assert np.all(np.abs(ends.mean(axis=0) - w) < 4.0 * error + 1e-3)
    assert np.abs(weights_of(theta) - w).max() > 0.2


def test_products_u_v_decay_as_li_wang_and_arora_say():
    # Their loss is sum (f_i - y_i)^2 / (2 n) and their step is twice ours; their time is eta'^2 k = 4 eta^2 k.
    X, y, _ = regression(1, True, sparse=False)
    net, sigma = mf.DiagonalLinearNetwork(), 0.5
    man = mf.ZeroLossManifold(net, X, y)
    theta = man.random_point(rng=1)
    s = (X**2).mean(axis=0)
    theirs = 0.1 / (4.0 * sigma**2 * s.max())
    t = sigma**2 / (2.0 * N) * theirs / 4.0
    flow = mf.sharpness_flow(man, theta, (0.0, t), rtol=1e-10, atol=1e-13).theta[-1]
    np.testing.assert_allclose(flow.prod(axis=1) / theta.prod(axis=1), np.exp(-4.0 * sigma**2 * s * theirs), rtol=1e-9)

    eta, n_runs = 0.03 * stable_step_size(man, theta), 2
    n_steps = int(theirs / (4.0 * eta**2))
    run = mf.label_noise_sgd(net, X, y, theta, step_size=eta, n_steps=n_steps, n_runs=n_runs,
                             noise=mf.LabelNoise(std=sigma))  # fmt: skip
    decay = -np.log(run.theta.prod(axis=2) / theta.prod(axis=1)).mean(axis=0)
    wanted = 4.0 * sigma**2 * s * 4.0 * run.flow_time
    # A step multiplies u_j v_j by 1 - 16 eta^2 e^2 x_ij^2, e the error with its noise. Sampling i leaves the standard
    # deviation below; e^2 exceeds sigma^2 by the outputs' own scatter, a share eta K_ii / (1 - eta K_ii) of it, and
    # wanders by twice its root from step to step, which averages out over the n / (2 eta lambda) steps that it lasts.
    statistical = np.sqrt(((X**4).mean(axis=0) / s**2 - 1.0) / (n_steps * n_runs))
    scatter = eta * np.diag(man.jacobian_gram(theta)).max()
    assert np.all(np.abs(decay / wanted - 1.0) < 4.5 * statistical + 2.0 * scatter)
    assert np.abs(decay / (2.0 * wanted) - 1.0).min() > 0.4  # the clock twice as fast would be noticed


# --- the flattest point: linear program, trust regions, and what each can say --------------------------


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_flattest_point_is_the_linear_programs_and_trust_regions_agree(seed, signed):
    X, y, _ = regression(seed, signed, sparse=False)
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed), X, y)
    found = mf.flattest_point(man)
    wanted, norm = least_weighted_l1(X, y, (X**2).mean(axis=0), signed)
    assert found.success
    assert found.is_global
    assert found.fun == pytest.approx(8.0 * N * norm, rel=1e-9)
    assert found.lower_bound <= found.fun * (1 + 1e-14)
    np.testing.assert_allclose(weights_of(found.x), wanted, atol=1e-8)
    assert np.abs(man.residual(found.x)).max() < 1e-11
    assert found.gradient_norm < 1e-10 * np.linalg.norm(16.0 * found.x * (X**2).sum(axis=0)[:, None])
    run = minimise(man, man.coordinates.reduce(man.random_point(rng=seed)), 1000)
    assert run.verdict == "minimum"
    assert pytest.approx(found.fun, rel=1e-12) == run.point.F
    np.testing.assert_allclose(weights_of(run.point.W), wanted, atol=1e-8)


@pytest.mark.parametrize("signed", [False, True])
def test_a_flattest_point_of_few_features_is_found_where_j_has_lost_rank(signed):
    X, y, w = regression(0, signed, sparse=True)
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(signed), X, y)
    found = mf.flattest_point(man)
    assert found.is_global
    np.testing.assert_allclose(weights_of(found.x), w, atol=1e-12)
    assert found.condition == np.inf
    assert found.gradient_norm < 1e-10 * found.fun
    # Trust regions need J J^T: they come close, and do not claim a minimum.
    run = minimise(man, man.coordinates.reduce(man.random_point(rng=0)), 1000)
    assert pytest.approx(found.fun, rel=1e-6) == run.point.F
    assert run.verdict in ("stalled", "unfinished", "degenerate")


# --- Damian, Ma and Lee 2021 -----------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "n_steps", "n_runs"), [(0.2, 833, 400), (0.02, 83_300, 40)])
def test_finite_steps_on_u_v(step, n_steps, n_runs):
    # f = u v, y = 1, loss (f - y)^2 / 2: half of ours, so their step is twice ours. u^2 - v^2 falls along the flow.
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z", width=1, output_weights="trained"), [[1.0]], [1.0])
    theta, eta, sigma = np.array([[2.0, 0.5]]), step / 2.0, 0.3

    def change(points):
        return np.log((points[..., 0] ** 2 - points[..., 1] ** 2) / (2.0**2 - 0.5**2))

    run = mf.label_noise_sgd(man.network, man.X, man.y, theta, step_size=eta, n_steps=n_steps, n_runs=n_runs,
                             noise=mf.LabelNoise(std=sigma))  # fmt: skip
    simulated = change(run.theta[:, 0])
    leading = change(mf.sharpness_flow(man, theta, (0.0, run.sharpness_flow_time)).theta[-1])[0]
    corrected = change(finite_step_flow(man, theta, [run.sharpness_flow_time], eta)[-1])[0]
    assert leading == pytest.approx(-(step**2) * sigma**2 * n_steps, rel=1e-6)
    # d log(u^2 - v^2) = -eta^2 sigma^2 2 / (2 - eta (u^2 + v^2)), stepped through on its own.
    gap, total = 2.0**2 - 0.5**2, 0.0
    for _ in range(n_steps):
        curvature = np.sqrt(gap**2 + 4.0)  # u^2 + v^2 where u v = 1
        total -= step**2 * sigma**2 * 2.0 / (2.0 - step * curvature)
        gap = (2.0**2 - 0.5**2) * np.exp(total)
    assert corrected == pytest.approx(total, abs=0.02 * step)
    error = simulated.std() / np.sqrt(n_runs)
    # The correction is exact in the step and of first order in the noise's variance, which moves 1 / (2 - eta lambda).
    assert abs(simulated.mean() - corrected) < 4.0 * error + 0.1 * sigma**2 * step
    assert abs(simulated.mean() - leading) > 10.0 * error + 0.1 * sigma**2 * step


# --- linear networks of depth 2 ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_every_interpolator_of_a_linear_network_can_be_equally_flat(seed):
    rng = np.random.default_rng(seed)
    n, d, L = 4, 7, 2
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z", width=3, output_weights="trained"), X, y)
    # With the mean-square loss the trace is F / n.
    C = X.T @ X / n
    least = 2.0 * L * np.trace(C) ** (1 / L) * (y @ y / n) ** ((L - 1) / L)
    # The part of theta orthogonal to the data, other in every run, stays: so interpolators differ.
    starts = [man.random_point(rng=start) for start in range(3)]
    ends = [mf.sharpness_flow(man, theta) for theta in starts]
    found = [mf.flattest_point(man, theta) for theta in starts]
    for end, point in zip(ends, found, strict=True):
        assert end.status == "stationary"
        assert end.sharpness[-1] / n == pytest.approx(least, rel=1e-10)
        assert point.fun / n == pytest.approx(least, rel=1e-10)
        assert (point.success, point.smallest_curvature) == (True, pytest.approx(0.0, abs=1e-8))  # a set of minima
    interpolators = [theta[:, -1] @ theta[:, :-1] for theta in (point.x for point in found)]
    np.testing.assert_allclose([X @ beta for beta in interpolators], [y] * 3, atol=1e-10)
    assert np.linalg.norm(interpolators[0] - interpolators[1]) > 1e-2
    assert man.sharpness(starts[0]) / n > 1.5 * least


# --- a trained second layer -----------------------------------------------------------------------------------


def _balance(man, theta, order0, order1, order2):
    """Both sides of sum_i phi^2 = c_j^2 sum_i s_i (phi'^2 - phi phi''), (m,) each."""
    z, c, s = man.preactivations(theta), theta[:, -1], (man.X**2).sum(axis=1)
    left = (order0(z) ** 2).sum(axis=1)
    return left, c**2 * ((order1(z) ** 2 - order0(z) * order2(z)) * s).sum(axis=1)


def _shared_equally(y, man, order0, order1):
    """F where every unit outputs y / m: m min_c 2 sum_i (c^2 phi'^2 s_i + phi^2) at phi(z_i) = y_i / (m c)."""
    s, share = (man.X**2).sum(axis=1), y / man.m

    def of_one_unit(log_c):
        c = np.exp(log_c)
        z = np.array([brentq(lambda x, q=q: order0(x) - q / c, -50.0, 50.0, xtol=1e-14) for q in share])
        return 2.0 * np.sum(c**2 * order1(z) ** 2 * s + order0(z) ** 2)

    return man.m * minimize_scalar(of_one_unit, bounds=(-4.0, 2.0), method="bounded", options={"xatol": 1e-9}).fun


_ACTIVATIONS = {
    "z**3 + z": (lambda z: z**3 + z, lambda z: 3 * z**2 + 1, lambda z: 6 * z),
    "sinh(z)": (np.sinh, np.cosh, np.sinh),
}


@pytest.mark.parametrize("formula", _ACTIVATIONS)
@pytest.mark.parametrize("seed", range(3))
def test_flattest_points_of_a_trained_second_layer_are_balanced_and_aligned(formula, seed):
    rng = np.random.default_rng(100 + seed)
    X, y = rng.normal(size=(4, 8)) / np.sqrt(8), rng.normal(size=4)
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork(formula, width=5, output_weights="trained"), X, y)
    theta = man.random_point(rng=seed)
    found = mf.flattest_point(man, theta)
    assert found.status == 0
    left, right = _balance(man, found.x, *_ACTIVATIONS[formula])
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-12)
    # Measured, not derived: all weights of one size, all units one feature up to sign.
    sizes, z = np.abs(found.x[:, -1]), man.preactivations(found.x)
    np.testing.assert_allclose(sizes, sizes[0], rtol=1e-7)
    features = z * np.sign(found.x[:, -1:])
    np.testing.assert_allclose(features - features[0], 0.0, atol=1e-7)
    assert found.fun == pytest.approx(_shared_equally(y, man, *_ACTIVATIONS[formula][:2]), rel=1e-9)
    before, after = _balance(man, theta, *_ACTIVATIONS[formula])
    assert np.abs(before / after - 1.0).max() > 0.1  # not an identity of every point


@pytest.mark.parametrize("seed", range(2))
def test_homogeneous_units_are_balanced_with_dependent_samples_too(seed):
    # phi = z^3, n > d: k sum_i phi^2 = c_j^2 sum_i s_i phi'^2 with k = 3, from the scaling of a unit alone.
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(5, 3))
    net = mf.TwoLayerNetwork("z**3", width=8, output_weights="trained")
    truth = rng.normal(size=(8, 4)) * 0.7
    y = (truth[:, -1:] * (truth[:, :-1] @ X.T) ** 3).sum(axis=0)
    man = mf.ZeroLossManifold(net, X, y)
    end = mf.sharpness_flow(man, truth, gradient_tolerance=1e-9).theta[-1]
    z, c, s = man.preactivations(end), end[:, -1], (X**2).sum(axis=1)
    np.testing.assert_allclose(3.0 * (z**6).sum(axis=1), c**2 * (9.0 * z**4 * s).sum(axis=1), atol=1e-8)
