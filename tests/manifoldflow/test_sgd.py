"""Label-noise SGD against a plain loop in parameter space on the same random stream, and against its limiting flow.

The compiled kernel works on pre-activations; the loop here on parameters, with a typed-in gradient. Both draw from
the stream that run k owns, `default_rng(seed).spawn(n_runs)[k]`, in blocks of 2**15 uses of a sample: for each block
first the samples (if drawn), then the noise.
"""

import dataclasses

import autograd
import numpy as np
import pytest
from scipy import stats

import manifoldflow as mf
from manifoldflow.errors import DivergenceError, InputError
from manifoldflow.sgd import stable_step_size
from tests.manifoldflow.conftest import problem
from tests.manifoldflow.oracle import relative

NOISES = ("rademacher", "gaussian", "uniform", "none")


def draw_noise(stream, kind, std, shape):
    if kind == "rademacher":
        size = shape[0] * shape[1]
        bits = np.unpackbits(np.frombuffer(stream.bytes((size + 7) // 8), dtype=np.uint8))[:size]
        return np.where(bits == 1, -std, std).reshape(shape)
    if kind == "gaussian":
        return std * stream.standard_normal(shape)
    if kind == "uniform":
        return std * np.sqrt(3.0) * (2.0 * stream.random(shape) - 1.0)
    return np.zeros(shape)


def draw_samples(stream, n, batch, sampling, steps):
    """Sample numbers, a step a row."""
    if batch == "full":
        return np.tile(np.arange(n), (steps, 1))
    if sampling == "epochs":
        return np.concatenate(stream.permuted(np.tile(np.arange(n), (steps * batch // n, 1)), axis=1)).reshape(
            -1, batch
        )
    if sampling == "distinct":
        draws, deck, rows = stream.integers(0, n - np.arange(batch), size=(steps, batch)), list(range(n)), []
        for row in draws:
            for place, ahead in enumerate(row):
                deck[place], deck[place + ahead] = deck[place + ahead], deck[place]
            rows.append(deck[:batch])
        return np.array(rows)
    return stream.integers(0, n, size=(steps, batch))


def steps_in_a_block(n, batch, sampling):
    uses = n if batch == "full" else batch
    if sampling != "epochs" or batch == "full":
        return 2**15 // uses
    period = np.lcm(n, batch)  # whole epochs in whole steps
    return int(max(1, round(2**15 / period)) * period // batch)


def uses_of(stream, n, batch, noise, n_steps, sampling="replacement"):
    """(samples, noise) of every step."""
    taken, steps = 0, steps_in_a_block(n, batch, sampling)
    while taken < n_steps:
        rows = draw_samples(stream, n, batch, sampling, steps)
        xi = draw_noise(stream, noise.kind, noise.std, rows.shape)
        yield from zip(rows[: n_steps - taken], xi, strict=False)
        taken += steps


def output_and_gradient(theta, x, a, trained):
    """f and its gradient on one sample, for phi = z^3 + z with fixed or trained output weights."""
    d = x.size
    z = theta[:, :d] @ x
    weight = theta[:, d] if trained else a
    gradient = np.empty_like(theta)
    gradient[:, :d] = np.outer(weight * (3 * z**2 + 1), x)
    if trained:
        gradient[:, d] = z**3 + z
    return weight @ (z**3 + z), gradient


def plain_sgd(case, start, trained, stream, step_size, noise, n_steps, batch, sampling="replacement", momentum=0.0):
    """theta_{k+1} = theta_k - eta_k grad of the mean (or, for the full batch, the sum) of (f_i - y_i - xi_i)^2
    + momentum (theta_k - theta_{k-1})."""
    theta, before, n = start.copy(), start, case.y.size
    a = case.network.output_weights
    sizes = np.broadcast_to(step_size, n_steps)
    for k, (rows, xi) in enumerate(uses_of(stream, n, batch, noise, n_steps, sampling)):
        total = np.zeros_like(theta)
        for i, x in zip(rows, xi, strict=True):
            f, gradient = output_and_gradient(theta, case.X[i], a, trained)
            total += 2 * (f - case.y[i] - x) * gradient
        step = momentum * (theta - before) - sizes[k] * total / (1 if batch == "full" else batch)
        theta, before = theta + step, theta
    return theta


def sgd(case, **options):
    return mf.label_noise_sgd(case.network, case.X, case.y, case.theta, **options)


# --- the same numbers as a plain loop -------------------------------------------------------------


@pytest.mark.parametrize("name", ["cubic", "trained", "signed", "wide_data"])
@pytest.mark.parametrize("batch", [1, 3, "full"])
@pytest.mark.parametrize("kind", NOISES)
def test_a_plain_loop_on_the_same_stream_gives_the_same_path(name, batch, kind):
    case, noise = problem(name), mf.LabelNoise(kind, std=0.3)
    options = {"step_size": 2e-5 if name == "wide_data" else 1e-3, "noise": noise, "n_steps": 200}
    theta = case.theta + 0.01 * case.direction()  # off M, so that kind "none" moves too
    run = mf.label_noise_sgd(case.network, case.X, case.y, theta, batch_size=batch, n_runs=2, rng=17, **options)
    for k, stream in enumerate(np.random.default_rng(17).spawn(2)):
        wanted = plain_sgd(case, theta, name == "trained", stream, batch=batch, **options)
        assert np.linalg.norm(wanted - theta) > 1e-4
        np.testing.assert_allclose(run.theta[k], wanted, atol=1e-10)
    losses = [case.oracle.loss(point) for point in run.theta]
    np.testing.assert_allclose(run.loss, losses, rtol=1e-8, atol=1e-20)


@pytest.mark.parametrize("name", ["cubic", "trained", "two_own", "per_sample", "diagonal"])
def test_one_noiseless_step_is_the_gradient_of_the_loss(name):
    case = problem(name)
    theta = case.theta + 0.1 * case.direction()
    gradient = autograd.grad(case.oracle.loss)(theta)
    eta = 1e-4
    run = mf.label_noise_sgd(case.network, case.X, case.y, theta, step_size=eta, n_steps=1, batch_size="full",
                             noise=mf.LabelNoise("none"))  # fmt: skip
    np.testing.assert_allclose(run.theta[0], theta - eta * gradient, atol=1e-13)


def test_parameters_orthogonal_to_the_data_stay(cubic):
    run = sgd(cubic, step_size=1e-3, n_steps=300)
    rows = np.linalg.svd(cubic.X, full_matrices=False)[2]
    outside = np.eye(5) - rows.T @ rows
    np.testing.assert_allclose(run.theta[0] @ outside, cubic.theta @ outside, atol=1e-13)
    assert np.abs(run.theta[0] - cubic.theta).max() > 1e-2


# --- streams, runs, record ------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_runs_are_independent(cubic):
    options = {"step_size": 1e-3, "n_steps": 100}
    five = sgd(cubic, n_runs=5, rng=3, **options).theta
    np.testing.assert_array_equal(five, sgd(cubic, n_runs=5, rng=3, **options).theta)
    np.testing.assert_array_equal(five[:2], sgd(cubic, n_runs=2, rng=3, **options).theta)
    np.testing.assert_array_equal(five, sgd(cubic, n_runs=5, rng=np.random.default_rng(3), **options).theta)
    assert not np.array_equal(five, sgd(cubic, n_runs=5, rng=4, **options).theta)
    for k in range(5):
        for other in range(k):
            assert relative(five[k], five[other]) > 1e-4


def test_each_run_may_have_its_own_start(cubic):
    starts = np.stack([cubic.theta, cubic.man.random_point(rng=9)])
    run = mf.label_noise_sgd(cubic.network, cubic.X, cubic.y, starts, step_size=1e-3, n_steps=50, n_runs=2, rng=1)
    alone = sgd(cubic, step_size=1e-3, n_steps=50, n_runs=1, rng=1)
    np.testing.assert_array_equal(run.theta[0], alone.theta[0])
    assert relative(run.theta[1], starts[1]) < 0.1
    assert relative(run.theta[1], run.theta[0]) > 0.1


@pytest.mark.parametrize(("n_steps", "every", "wanted"), [(100, 30, [30, 60, 90, 100]), (90, 30, [30, 60, 90]),
                                                          (10, 30, [10]), (3, 1, [1, 2, 3])])  # fmt: skip
def test_record_every(cubic, n_steps, every, wanted):
    options = {"step_size": 1e-3, "n_runs": 2, "rng": 5}
    run = sgd(cubic, n_steps=n_steps, record_every=every, **options)
    assert run.steps.tolist() == wanted
    assert run.recorded.shape == (len(wanted), 2, 4, 5)
    np.testing.assert_array_equal(run.recorded[-1], run.theta)
    np.testing.assert_array_equal(run.theta, sgd(cubic, n_steps=n_steps, **options).theta)
    np.testing.assert_array_equal(run.recorded[0], sgd(cubic, n_steps=wanted[0], **options).theta)


def test_times_and_clock(cubic):
    noise = mf.LabelNoise("gaussian", std=0.5)
    for batch, clock in ((1, 0.25 / (2 * 3)), (2, 0.25 / (2 * 3 * 2)), ("full", 0.25 / 2)):
        run = sgd(cubic, step_size=1e-3, n_steps=40, noise=noise, batch_size=batch)
        assert run.flow_time == pytest.approx(40e-6)
        assert run.clock == pytest.approx(clock)
        assert run.sharpness_flow_time == pytest.approx(clock * 40e-6)
        assert (run.n_steps, run.step_size) == (40, 1e-3)
        assert "40 steps" in run.message
    assert run.recorded.size == run.steps.size == 0


def test_the_result_is_immutable(cubic):
    run = sgd(cubic, step_size=1e-3, n_steps=10, record_every=5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.theta = None
    writable = [name for name in ("theta", "loss", "recorded", "steps") if getattr(run, name).flags.writeable]
    assert writable == []


def test_a_run_says_what_made_it(cubic):
    run = lambda rng, **options: mf.label_noise_sgd(  # noqa: E731
        cubic.network, cubic.X, cubic.y, cubic.theta, step_size=1e-5, n_steps=4, rng=rng, **options
    )
    noise = mf.LabelNoise("gaussian", std=0.25)
    found = run(3, batch_size="full", momentum=0.5, schedule="linear", noise=noise, n_runs=2).options
    wanted = {"seed": 3, "batch_size": "full", "momentum": 0.5, "schedule": "linear", "n_steps": 4, "n_runs": 2}
    wanted |= {"noise": "gaussian", "noise_std": 0.25, "sampling": "replacement", "unit_function": "z**3 + z"}
    assert wanted.items() <= found.items()
    with pytest.raises(TypeError):
        found["seed"] = 4
    # A generator that has had children gives other streams than its seed: the words say so, and give the run again.
    parent = np.random.default_rng(3)
    parent.spawn(2)
    second = run(parent)
    assert second.options["seed"].startswith("SeedSequence(")
    again = np.random.SeedSequence(3, n_children_spawned=2)
    assert "entropy=3" in second.options["seed"]
    assert "n_children_spawned=2" in second.options["seed"]
    np.testing.assert_array_equal(run(again).theta, second.theta)
    assert np.abs(run(3).theta - second.theta).max() > 0.0


@pytest.mark.parametrize("kind", NOISES[:3])
def test_noise_has_mean_zero_and_its_standard_deviation(kind):
    # From M one full-batch step moves by 2 eta J^T xi, so J+ reads off the noise: 300 runs of 3 samples.
    case, eta = problem("cubic"), 1e-3
    run = sgd(case, step_size=eta, n_steps=1, n_runs=300, batch_size="full", noise=mf.LabelNoise(kind, std=0.7))
    J = case.oracle.jacobian(case.theta).reshape(3, -1)
    xi = (np.linalg.pinv(J.T) @ (run.theta - case.theta).reshape(300, -1).T / (2 * eta)).ravel()
    assert abs(xi.mean()) < 4 * 0.7 / np.sqrt(900)
    fourth = {"rademacher": 1.0, "gaussian": 3.0, "uniform": 1.8}[kind]
    assert abs((xi**2).mean() - 0.49) < 4 * 0.49 * np.sqrt(max(fourth - 1.0, 1e-20) / 900) + 1e-9
    assert (xi**4).mean() / 0.49**2 == pytest.approx(fourth, rel=0.25)


# --- where it stands still, and where it blows up -------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, "full"])
@pytest.mark.parametrize("noise", [mf.LabelNoise("none"), mf.LabelNoise("gaussian", std=0.0)], ids=["none", "std 0"])
def test_without_noise_a_point_of_m_stays(cubic, noise, batch):
    run = sgd(cubic, step_size=1e-3, n_steps=2000, noise=noise, batch_size=batch)
    np.testing.assert_allclose(run.theta[0], cubic.theta, atol=1e-13)
    assert run.loss[0] < 1e-22
    assert run.clock == 0.0 or noise.kind == "none"


def test_no_noise_means_no_clock(cubic):
    # Kind "none" has no variance whatever std says, so no flow time passes.
    assert sgd(cubic, step_size=1e-3, n_steps=1, noise=mf.LabelNoise("none")).clock == 0.0


def largest_eigenvalue(case, batch):
    oracle, flat = case.oracle, case.theta.size
    if batch == "full":
        return np.linalg.eigvalsh(oracle.loss_hessian(case.theta))[-1]
    hessians = [autograd.hessian(oracle.sample_loss)(case.theta, i, case.y[i]) for i in range(case.y.size)]
    return max(np.linalg.eigvalsh(hessian.reshape(flat, flat))[-1] for hessian in hessians)


@pytest.mark.parametrize("name", ["cubic", "trained", "per_sample", "diagonal", "wide_data"])
@pytest.mark.parametrize("batch", [1, "full"])
def test_stable_step_size_is_two_over_the_largest_eigenvalue(name, batch):
    case = problem(name)
    assert stable_step_size(case.man, case.theta, batch) == pytest.approx(2 / largest_eigenvalue(case, batch), rel=1e-9)


@pytest.mark.parametrize("batch", [1, "full"])
def test_divergence_gives_the_stable_bound(cubic, batch):
    bound = 2 / largest_eigenvalue(cubic, batch)
    with pytest.raises(DivergenceError, match=r"step_size = .*stable bound") as caught:
        sgd(cubic, step_size=20 * bound, n_steps=10_000, batch_size=batch)
    assert f"{bound:.3g}" in str(caught.value)


# --- the limiting flow (S9) -----------------------------------------------------------------------


def mean_displacement(batch, step_size, n_steps, n_runs=64):
    """Mean and its standard error, along the gradient and one more tangent, of SGD's way pulled back to M."""
    case = problem("cubic")
    run = sgd(case, step_size=step_size, n_steps=n_steps, n_runs=n_runs, batch_size=batch, rng=8)
    ways = np.array([case.man.retraction(case.theta, end - case.theta) for end in run.theta]) - case.theta
    along = np.array([np.tensordot(ways, direction, axes=2) for direction in directions()])
    return along.mean(axis=1), stats.sem(along, axis=1)


def directions():
    case = problem("cubic")
    gradient = case.man.gradient(case.theta)
    return gradient / np.linalg.norm(gradient), case.tangent(seed=4)


@pytest.mark.parametrize("batch", [1, 3, "full"])
def test_the_mean_displacement_is_that_of_the_flow(batch):
    # At one flow time SGD's mean is the flow's plus c eta + O(eta^2) (about 4 % here): one Richardson step from eta and
    # eta / 2 leaves O(eta^2), below the standard error of 64 runs. Negative control: twice and half the clock.
    case, eta, n_steps = problem("cubic"), 4e-4, 3000
    coarse, coarse_error = mean_displacement(batch, eta, n_steps)
    fine, fine_error = mean_displacement(batch, eta / 2, 4 * n_steps)
    mean, error = 2 * fine - coarse, np.hypot(2 * fine_error, coarse_error)
    clock = {"full": 1 / 2, 1: 1 / (2 * 3), 3: 1 / (2 * 3 * 3)}[batch]

    def score(factor):
        time = factor * clock * eta**2 * n_steps
        way = mf.sharpness_flow(case.man, case.theta, (0.0, time)).theta[-1] - case.theta
        return (mean - [np.vdot(way, direction) for direction in directions()]) / error

    assert np.abs(score(1.0)).max() < 4.0
    assert np.abs(score(0.5)[0]) > 10.0
    assert np.abs(score(2.0)[0]) > 10.0


# --- refusals -------------------------------------------------------------------------------------

BAD = [
    ({"step_size": 0.0}, "step_size"),
    ({"step_size": -1e-3}, "step_size"),
    ({"step_size": np.nan}, "step_size"),
    ({"step_size": np.inf}, "step_size"),
    ({"step_size": "0.1"}, "step_size"),
    ({"step_size": True}, "step_size"),
    ({"n_steps": 0}, "n_steps"),
    ({"n_steps": 1e3}, "n_steps"),
    ({"n_steps": True}, "n_steps"),
    ({"batch_size": 0}, "batch_size"),
    ({"batch_size": "half"}, "batch_size.*'full'"),
    ({"batch_size": 1.5}, "batch_size"),
    ({"batch_size": None}, "batch_size"),
    ({"n_runs": 0}, "n_runs"),
    ({"n_runs": 2.0}, "n_runs"),
    ({"rng": None}, "rng"),
    ({"rng": "seed"}, "rng"),
    ({"rng": -1}, "rng"),
    ({"record_every": 0}, "record_every"),
    ({"record_every": 2.5}, "record_every"),
    ({"noise": "gaussian"}, "noise"),
    ({"noise": 0.1}, "noise"),
    ({"noise": False}, "noise"),
    ({"theta": np.zeros((4, 4))}, r"theta must have shape \(4, 5\)"),
    ({"theta": np.full((4, 5), np.nan)}, "finite"),
    ({"theta": np.zeros((3, 4, 5))}, r"theta must have shape"),
    ({"network": "z**3 + z"}, "network"),
    ({"y": [1.0]}, r"X has 3 rows .* y 1"),
]


@pytest.mark.parametrize(("options", "match"), BAD, ids=[str(options)[:40] for options, _ in BAD])
def test_bad_options(cubic, options, match):
    good = {"network": cubic.network, "X": cubic.X, "y": cubic.y, "theta": cubic.theta, "n_steps": 2}
    with pytest.raises(InputError, match=match):
        mf.label_noise_sgd(**{**good, **options})


BAD_NOISE = [
    (("cauchy",), r"kind.*'rademacher'"),
    ((3,), "kind"),
    (("gaussian", -1.0), "std"),
    (("gaussian", np.nan), "std"),
    (("gaussian", "1"), "std"),
    (("gaussian", np.inf), "std"),
]


@pytest.mark.parametrize(("arguments", "match"), BAD_NOISE)
def test_bad_noise(arguments, match):
    with pytest.raises(InputError, match=match):
        mf.LabelNoise(*arguments)


def test_a_starting_point_outside_every_bound_diverges_at_once(cubic):
    with pytest.raises(DivergenceError, match="passed"):
        mf.label_noise_sgd(cubic.network, cubic.X, cubic.y, cubic.theta + 1e4, n_steps=10)
