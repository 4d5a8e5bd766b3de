"""Sampling schemes, correlated noise, momentum and schedules: paths against the plain loop, and the flow's clock."""

import autograd
import numpy as np
import pytest
from scipy import stats

import manifoldflow as mf
from manifoldflow.errors import InputError
from manifoldflow.sgd import stable_step_size
from manifoldflow.sgd.noise import Draws
from manifoldflow.sgd.walk import Setting
from tests.manifoldflow.conftest import Problem, problem
from tests.manifoldflow.oracle import cubic as cubic_unit
from tests.manifoldflow.oracle import relative
from tests.manifoldflow.test_sgd import directions, plain_sgd, sgd, steps_in_a_block, uses_of

ETA = 1e-3


# --- paths ----------------------------------------------------------------------------------------


def both_paths(case, trained, theta, batch, n_steps=150, seed=5, **options):
    """The end of one run, and of the plain loop on the same stream."""
    step_size, noise = options.pop("step_size", ETA), options.pop("noise", mf.LabelNoise("gaussian", std=0.3))
    run = mf.label_noise_sgd(case.network, case.X, case.y, theta, step_size=step_size, noise=noise, n_steps=n_steps,
                             batch_size=batch, rng=seed, **options)  # fmt: skip
    stream = np.random.default_rng(seed).spawn(1)[0]
    schedule = options.pop("schedule", None)
    assert schedule is None
    sizes = step_size(np.arange(n_steps)) if callable(step_size) else step_size
    return run.theta[0], plain_sgd(case, theta, trained, stream, sizes, noise, n_steps, batch, **options)


@pytest.mark.parametrize("name", ["cubic", "trained", "wide_data"])
@pytest.mark.parametrize(("batch", "sampling"), [(2, "distinct"), (3, "distinct"), (2, "epochs"), (1, "epochs")])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_sampling_without_replacement(name, batch, sampling, momentum):
    case = problem(name)
    theta = case.theta + 0.01 * case.direction()
    step_size = 2e-5 if name == "wide_data" else ETA
    got, wanted = both_paths(
        case, name == "trained", theta, batch, sampling=sampling, momentum=momentum, step_size=step_size
    )
    assert np.linalg.norm(wanted - theta) > 1e-4
    np.testing.assert_allclose(got, wanted, atol=1e-10)
    other = sgd(case, step_size=step_size, noise=mf.LabelNoise("gaussian", std=0.3), n_steps=150, batch_size=batch,
                rng=5).theta[0]  # fmt: skip
    assert np.linalg.norm(got - other) > 1e-4  # with replacement the path is another


@pytest.mark.parametrize("name", ["cubic", "trained"])
@pytest.mark.parametrize("batch", [1, 2, "full"])
@pytest.mark.parametrize("momentum", [1e-4, 0.3, 0.9, 0.99])
def test_momentum_is_heavy_ball(name, batch, momentum):
    # 1e-4 passes the smallest power that the kernel keeps every 25 steps, 0.3 every 190.
    case = problem(name)
    theta = case.theta + 0.01 * case.direction()
    options = {"n_steps": 400, "step_size": 1e-4}
    got, wanted = both_paths(case, name == "trained", theta, batch, momentum=momentum, **options)
    assert np.linalg.norm(wanted - theta) > 1e-4
    np.testing.assert_allclose(got, wanted, atol=1e-10)
    without = both_paths(case, name == "trained", theta, batch, **options)[0]
    assert np.linalg.norm(got - without) > 1e-7


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_units_with_two_own_parameters_and_dependent_samples(momentum):
    # n > d, p = 2, coefficients that differ from sample to sample; the gradient from automatic differentiation.
    case, n_steps, eta = problem("per_sample"), 60, 1e-4
    theta = case.theta + 0.01 * case.direction()
    gradient = autograd.grad(case.oracle.sample_loss)
    noise = mf.LabelNoise("uniform", std=0.5)
    run = mf.label_noise_sgd(case.network, case.X, case.y, theta, step_size=eta, noise=noise, n_steps=n_steps, rng=2,
                             momentum=momentum)  # fmt: skip
    now, before = theta.copy(), theta
    for rows, xi in uses_of(np.random.default_rng(2).spawn(1)[0], 4, 1, noise, n_steps):
        step = -eta * gradient(now, rows[0], case.y[rows[0]] + xi[0]) + momentum * (now - before)
        now, before = now + step, now
    assert np.linalg.norm(now - theta) > 1e-3
    np.testing.assert_allclose(run.theta[0], now, atol=1e-12)


def large_problem(m, n):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, n)) / np.sqrt(n)
    network = mf.TwoLayerNetwork("z**3 + z", width=m)
    theta = rng.normal(size=(m, n)) / np.sqrt(m)
    z = theta @ X.T
    return Problem(network, cubic_unit, X, (z**3 + z).sum(axis=0)), theta


LARGE = [
    (70, 40, 1, 0.0, 75, 8),
    (70, 40, 3, 0.0, 75, 8),
    (70, 40, 20, 0.5, 30, 24),
    (70, 40, "full", 0.0, 30, 40),
    (1100, 490, 1, 0.0, 75, 32),
    (1100, 490, 24, 0.9, 6, 32),
    (1100, 490, 5, 0.0, 15, 32),
]


@pytest.mark.parametrize(("m", "n", "batch", "momentum", "n_steps", "pending"), LARGE)
def test_pending_terms_give_the_same_iterates(m, n, batch, momentum, n_steps, pending):
    case, theta = large_problem(m, n)
    options = {"step_size": 2e-5, "n_steps": n_steps, "noise": mf.LabelNoise(std=1.0)}
    setting = Setting(
        case.man, Draws(n, 0 if batch == "full" else batch, "replacement", mf.LabelNoise()), None, momentum
    )
    assert setting.capacity == pending
    got, wanted = both_paths(case, False, theta, batch, momentum=momentum, **options)
    moved = np.linalg.norm(wanted - theta)
    assert moved > 1e-4
    assert np.linalg.norm(got - wanted) < 1e-12 * np.linalg.norm(theta)
    assert np.linalg.norm(got - both_paths(case, False, theta, batch, seed=6, **options)[0]) > 0.1 * moved


@pytest.mark.parametrize("sizes", [(70, 40), (4, 3)])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_looking_at_a_run_does_not_change_its_bits(sizes, momentum):
    # 8 pending terms, looked at in every phase; and chunks of any length.
    case, theta = large_problem(*sizes)
    options = {"step_size": 2e-5, "n_steps": 50, "momentum": momentum, "noise": mf.LabelNoise("gaussian")}
    plain = mf.label_noise_sgd(case.network, case.X, case.y, theta, **options)
    looked = mf.label_noise_sgd(case.network, case.X, case.y, theta, record_at=[1, 3, 4, 11, 49],
                                callback=lambda progress: progress.theta() is None, **options)  # fmt: skip
    np.testing.assert_array_equal(looked.theta, plain.theta)
    for k in (3, 11):
        shorter = mf.label_noise_sgd(case.network, case.X, case.y, theta, **{**options, "n_steps": k})
        np.testing.assert_array_equal(looked.recorded[looked.steps.tolist().index(k)], shorter.theta)
    assert not np.array_equal(looked.recorded[-1], plain.theta)


def test_blocks_of_draws_follow_each_other(cubic):
    # More uses than one block holds: 20 000 steps of 3 samples are two blocks.
    n_steps, noise = 20_000, mf.LabelNoise("gaussian", std=0.01)
    assert steps_in_a_block(3, 3, "replacement") < n_steps
    got, wanted = both_paths(cubic, False, cubic.theta, 3, n_steps=n_steps, noise=noise, step_size=1e-4)
    assert relative(got, cubic.theta) > 1e-5
    np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_the_number_of_threads_does_not_matter(cubic, monkeypatch):
    options = {"step_size": ETA, "n_steps": 3000, "n_runs": 5, "batch_size": 2, "momentum": 0.2}
    runs = []
    for count in (1, 2, 7):
        monkeypatch.setattr("manifoldflow.sgd.run.os.cpu_count", lambda count=count: count)
        runs.append(sgd(cubic, **options).theta)
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


@pytest.mark.parametrize("sampling", ["replacement", "epochs"])
def test_many_runs_do_not_keep_their_draws_and_have_the_same_bits(cubic, sampling):
    options = {"step_size": 1e-4, "n_steps": 40_000, "record_at": [7, 32_768, 33_000], "sampling": sampling}
    few, many = (sgd(cubic, n_runs=count, **options) for count in (2, 70))
    np.testing.assert_array_equal(many.theta[:2], few.theta)
    np.testing.assert_array_equal(many.recorded[:, :2], few.recorded)
    assert relative(many.theta[2], few.theta[1]) > 1e-5


# --- what is drawn --------------------------------------------------------------------------------


def drawn(n, batch, sampling, seed=0):
    return Draws(n, batch, sampling, mf.LabelNoise()).block(np.random.default_rng(seed))[0]


@pytest.mark.parametrize(("n", "batch"), [(5, 1), (5, 2), (6, 4), (7, 7), (40_000, 3)])
def test_epochs_use_every_sample_once_before_any_again(n, batch):
    rows = drawn(n, batch, "epochs")
    epochs = rows.reshape(-1, n)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(n), (len(epochs), 1)))
    assert len(epochs) == 1 or not np.array_equal(epochs[0], epochs[1])
    assert rows.shape[1] == batch


@pytest.mark.parametrize(("n", "batch"), [(5, 2), (6, 5), (4, 4)])
def test_distinct_samples_are_distinct_and_uniform(n, batch):
    rows = drawn(n, batch, "distinct")
    assert (np.diff(np.sort(rows, axis=1), axis=1) > 0).all()
    assert (np.diff(np.sort(drawn(n, batch, "replacement"), axis=1), axis=1) == 0).any()  # the check can fail
    for column in rows.T:
        assert stats.chisquare(np.bincount(column, minlength=n)).pvalue > 1e-4
    pairs = np.bincount(rows[:, 0] * n + rows[:, 1], minlength=n * n).reshape(n, n)[~np.eye(n, dtype=bool)]
    assert stats.chisquare(pairs).pvalue > 1e-4


@pytest.mark.parametrize("n", [3, 5, 7, 1000])
def test_samples_with_replacement_are_uniform(n):
    counts = np.bincount(drawn(n, 1, "replacement").ravel(), minlength=n)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_signs_are_fair_and_independent():
    noise = mf.LabelNoise(std=2.0).draw(np.random.default_rng(0), (4000, 8))
    assert set(np.unique(noise)) == {-2.0, 2.0}
    counts = np.bincount(((noise > 0) @ 2 ** np.arange(8)).astype(int), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(("sampling", "batch"), [("distinct", 4), ("epochs", 4)])
def test_batches_larger_than_the_data_are_refused(cubic, sampling, batch):
    with pytest.raises(InputError, match=r"batch_size must be at most n = 3"):
        sgd(cubic, sampling=sampling, batch_size=batch, n_steps=1)
    assert sgd(cubic, sampling=sampling, batch_size=3, n_steps=1).n_steps == 1


# --- correlated noise -----------------------------------------------------------------------------

COVARIANCE = np.array([[1.0, 0.6, -0.3], [0.6, 0.5, 0.1], [-0.3, 0.1, 0.8]])


@pytest.mark.parametrize("kind", ["rademacher", "gaussian", "uniform"])
def test_the_noise_has_the_covariance_asked_for(cubic, kind):
    # From M one full-batch step moves by 2 eta J^T xi, so J+ reads off the noise.
    run = sgd(cubic, step_size=ETA, n_steps=1, n_runs=2000, batch_size="full",
              noise=mf.LabelNoise(kind, covariance=COVARIANCE))  # fmt: skip
    J = cubic.oracle.jacobian(cubic.theta).reshape(3, -1)
    xi = np.linalg.pinv(J.T) @ (run.theta - cubic.theta).reshape(2000, -1).T / (2 * ETA)
    assert np.abs(xi.mean(axis=1)).max() < 4 / np.sqrt(2000)
    error = 5 * np.sqrt(2.0 / 2000)
    np.testing.assert_allclose(np.cov(xi), COVARIANCE, atol=error)
    assert np.abs(np.cov(xi) - np.diag(np.diag(COVARIANCE))).max() > 3 * error


def test_a_multiple_of_the_identity_is_independent_noise(cubic):
    same = {"step_size": ETA, "n_steps": 100, "batch_size": "full", "rng": 4}
    one = sgd(cubic, noise=mf.LabelNoise("gaussian", covariance=0.25 * np.eye(3)), **same)
    two = sgd(cubic, noise=mf.LabelNoise("gaussian", std=0.5), **same)
    np.testing.assert_allclose(one.theta, two.theta, atol=1e-13)
    assert one.clock == two.clock == 0.125
    assert np.isnan(sgd(cubic, noise=mf.LabelNoise("gaussian", covariance=COVARIANCE), **same).clock)


@pytest.mark.parametrize(("noise", "match"), [
    ({"covariance": [[1.0, 2.0], [2.0, 1.0]]}, "semi-definite"),
    ({"covariance": [[1.0, 0.5], [0.0, 1.0]]}, "symmetric"),
    ({"covariance": [[1.0, 0.5]]}, "symmetric matrix"),
    ({"covariance": [1.0, 1.0]}, "2 dimension"),
    ({"covariance": np.eye(2), "std": 2.0}, "takes the place of std"),
    ({"covariance": np.eye(2), "kind": "none"}, "takes the place of std"),
])  # fmt: skip
def test_bad_covariances(noise, match):
    with pytest.raises(InputError, match=match):
        mf.LabelNoise(**noise)


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": "full", "X": np.eye(2), "y": [1.0, 2.0],
                                                         "theta": np.ones((4, 2))}])  # fmt: skip
def test_a_covariance_must_fit_the_batch(cubic, options):
    arguments = {"X": cubic.X, "y": cubic.y, "theta": cubic.theta, **options}
    with pytest.raises(InputError, match="covariance needs batch_size='full'"):
        mf.label_noise_sgd(cubic.network, **arguments, noise=mf.LabelNoise(covariance=COVARIANCE), n_steps=1)


def test_noises_compare_by_content():
    assert mf.LabelNoise(covariance=COVARIANCE) == mf.LabelNoise(covariance=COVARIANCE.copy())
    assert mf.LabelNoise(covariance=COVARIANCE) != mf.LabelNoise(covariance=2 * COVARIANCE)


# --- step sizes and the clock ---------------------------------------------------------------------


def decreasing(k):
    return ETA / (1.0 + k / 50.0)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_a_step_size_for_every_step(cubic, momentum):
    n_steps = 150
    got, wanted = both_paths(cubic, False, cubic.theta, 1, step_size=decreasing, momentum=momentum)
    np.testing.assert_allclose(got, wanted, atol=1e-12)
    options = {"noise": mf.LabelNoise("gaussian", std=0.3), "n_steps": n_steps, "rng": 5, "momentum": momentum}
    array = sgd(cubic, step_size=decreasing(np.arange(n_steps)), **options)
    np.testing.assert_array_equal(array.theta[0], got)
    assert relative(sgd(cubic, step_size=ETA, **options).theta[0], got) > 1e-3
    assert array.flow_time == pytest.approx(np.sum(decreasing(np.arange(n_steps)) ** 2), rel=1e-13)
    assert array.step_size == ETA


@pytest.mark.parametrize(("name", "factor"), [("linear", lambda x: 1 - x),
                                              ("cosine", lambda x: np.cos(np.pi * x / 2) ** 2)])  # fmt: skip
def test_named_schedules(cubic, name, factor):
    n_steps = 1000
    sizes = ETA * factor(np.arange(n_steps) / n_steps)
    named = sgd(cubic, step_size=ETA, schedule=name, n_steps=n_steps, record_at=[400, 1000])
    given = sgd(cubic, step_size=sizes, n_steps=n_steps)
    np.testing.assert_allclose(named.theta, given.theta, atol=1e-12)
    np.testing.assert_allclose(named.flow_times, [np.sum(sizes[:400] ** 2), np.sum(sizes**2)], rtol=1e-12)
    assert named.flow_time == named.flow_times[-1]


def test_the_clock_of_a_long_schedule_is_the_sum_of_squares(cubic):
    n_steps = 200_000
    run = sgd(cubic, step_size=1e-4, schedule="linear", n_steps=n_steps, record_at=[65_536, 65_537, 131_073])
    squares = np.cumsum((1e-4 * (1 - np.arange(n_steps) / n_steps)) ** 2)
    np.testing.assert_allclose(run.flow_times, squares[run.steps - 1], rtol=1e-11)
    assert run.flow_time == pytest.approx(squares[-1], rel=1e-11)


BAD_SIZES = [
    ({"step_size": np.full(9, 1e-3)}, r"shape \(10,\)"),
    ({"step_size": np.full(10, -1e-3)}, "step 0 has -0.001"),
    ({"step_size": lambda k: -1e-3 * np.ones(k.shape)}, "as a function"),
    ({"step_size": lambda k: 1e-3}, "as a function"),
    ({"step_size": lambda k: np.full(k.shape, np.nan)}, "finite"),
    ({"step_size": "best"}, "'auto'; got 'best'"),
    ({"step_size": decreasing, "schedule": "linear"}, "needs one step_size"),
    ({"schedule": "quadratic"}, "'cosine'"),
    ({"momentum": 1.0}, r"\[0, 1\)"),
    ({"momentum": -0.1}, "momentum"),
    ({"momentum": "0.9"}, "momentum"),
    ({"sampling": "shuffled"}, "'epochs'"),
]


@pytest.mark.parametrize(
    ("options", "match"), BAD_SIZES, ids=[f"{next(iter(o))}-{k}" for k, (o, _) in enumerate(BAD_SIZES)]
)
def test_bad_schemes(cubic, options, match):
    with pytest.raises(InputError, match=match):
        sgd(cubic, **{"n_steps": 10, **options})


def test_momentum_clock(cubic):
    for momentum, factor in ((0.5, 4.0), (0.9, 100.0)):
        run = sgd(cubic, step_size=1e-5, n_steps=10, momentum=momentum)
        assert run.flow_time == pytest.approx(1e-9)
        assert run.clock == pytest.approx(factor / 6)
        assert run.sharpness_flow_time == pytest.approx(factor / 6 * 1e-9)


def displacement(step_size, n_steps, seed, n_runs=64, **options):
    """Mean and standard error of SGD's way, pulled back to M, along two directions; and the run's flow time."""
    case = problem("cubic")
    run = sgd(case, step_size=step_size, n_steps=n_steps, n_runs=n_runs, rng=seed, **options)
    ways = np.array([case.man.retraction(case.theta, end - case.theta) for end in run.theta]) - case.theta
    along = np.array([np.tensordot(ways, direction, axes=2) for direction in directions()])
    return along.mean(axis=1), stats.sem(along, axis=1), run.sharpness_flow_time


SCHEMES = {
    "momentum 1/2": ({"momentum": 0.5}, 2e-4, (0.25, 0.5)),
    "momentum 1/2, full batch": ({"momentum": 0.5, "batch_size": "full"}, 2e-4, (0.25, 0.5)),
    "linear": ({"schedule": "linear"}, 4e-4, (3.0, 1.5)),
    "distinct": ({"sampling": "distinct", "batch_size": 2}, 4e-4, (2.0, 0.5)),
    "epochs": ({"sampling": "epochs"}, 4e-4, (2.0, 0.5)),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_the_mean_displacement_is_that_of_the_flow_at_the_schemes_clock(name):
    # As in test_sgd.py: one Richardson step in eta. The controls are clocks that leave out or misstate the scheme's
    # factor: 1 and 1 / (1 - beta) for momentum, eta_0^2 n_steps and half of it for the linear schedule.
    options, eta, wrong = SCHEMES[name]
    case, n_steps = problem("cubic"), 3000
    coarse, coarse_error, _ = displacement(eta, n_steps, 8, **options)
    fine, fine_error, time = displacement(eta / 2, 4 * n_steps, 9, **options)
    mean, error = 2 * fine - coarse, np.hypot(2 * fine_error, coarse_error)

    def score(factor):
        way = mf.sharpness_flow(case.man, case.theta, (0.0, factor * time)).theta[-1] - case.theta
        return (mean - [np.vdot(way, direction) for direction in directions()]) / error

    assert np.abs(score(1.0)).max() < 4.0
    for factor in wrong:
        assert np.abs(score(factor)[0]) > 8.0


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_stable_step_size_of_heavy_ball_is_sharp_for_the_full_batch(cubic, momentum):
    bound = stable_step_size(cubic.man, cubic.theta, "full", momentum)
    K = cubic.man.jacobian_gram(cubic.theta)
    worst = np.tensordot(np.linalg.eigh(K)[1][:, -1], cubic.man.jacobian(cubic.theta), axes=1)
    theta = cubic.theta + 1e-7 * worst / np.linalg.norm(worst)
    # Above the bound the loss grows until the step is no longer linear; then the run may find a flatter place.
    options = {"batch_size": "full", "noise": mf.LabelNoise("none"), "momentum": momentum, "n_steps": 300,
               "record_every": 1, "record": "loss"}  # fmt: skip
    first = np.sum(cubic.man.residual(theta) ** 2)
    below, above = (
        mf.label_noise_sgd(cubic.network, cubic.X, cubic.y, theta, step_size=factor * bound, **options).history["loss"]
        for factor in (0.95, 1.05)
    )
    assert below[-1] < 1e-2 * first
    assert above.max() > 1e2 * first
