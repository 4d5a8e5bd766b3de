"""Divergence is noticed at the step that meets it; step_size="auto" keeps away from it."""

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.errors import DivergenceError, InputError
from manifoldflow.sgd import stable_step_size
from tests.manifoldflow.conftest import problem
from tests.manifoldflow.test_sgd import plain_sgd, sgd


def first_bad_step(case, step_size, limit, n_steps):
    """The first step of the plain loop that meets an output error beyond the limit (its sample is that of the step)."""
    for k in range(n_steps):
        stream = np.random.default_rng(0).spawn(1)[0]
        theta = plain_sgd(case, case.theta, False, stream, step_size, mf.LabelNoise(), k, "full") if k else case.theta
        if np.abs(case.man.predict(theta) - case.y).max() > limit:
            return k
    raise AssertionError("The plain loop did not diverge.")


def test_divergence_is_noticed_at_the_step_that_meets_it(cubic):
    step_size = 3 * stable_step_size(cubic.man, cubic.theta, "full")
    wanted = first_bad_step(cubic, step_size, 1e6 * (1 + np.abs(cubic.y).max()), 50)
    assert wanted > 1
    with pytest.raises(DivergenceError, match=rf"at step {wanted} of run 0 "):
        sgd(cubic, step_size=step_size, batch_size="full", n_steps=10**9)
    assert sgd(cubic, step_size=step_size, batch_size="full", n_steps=wanted).n_steps == wanted


def test_a_schedule_that_grows_diverges_with_the_step_size_of_that_step(cubic):
    def growing(k):
        return np.where(k < 5000, 1e-3, 10.0)

    with pytest.raises(DivergenceError, match=r"step_size = 10: at step 50\d\d of run") as caught:
        sgd(cubic, step_size=growing, n_steps=10**6, n_runs=3)
    assert f"{stable_step_size(cubic.man, cubic.theta):.3g}" in str(caught.value)


def test_a_late_divergence_names_the_bound_where_the_run_was_last_looked_at(cubic, monkeypatch):
    # Along the flow the sharpness falls, so the bound has grown; a step size beyond both then diverges.
    monkeypatch.setattr("manifoldflow.sgd.run._chunk", lambda setting: 10_000)
    start = stable_step_size(cubic.man, cubic.theta)
    options = {"noise": mf.LabelNoise(std=0.3), "rng": 4}
    before = sgd(cubic, step_size=0.2 * start, n_steps=60_000, **options)
    later = stable_step_size(cubic.man, before.theta[0])
    assert later > 1.2 * start
    with pytest.raises(DivergenceError) as caught:
        sgd(cubic, step_size=lambda k: np.where(k < 65_000, 0.2 * start, 100 * start), n_steps=10**6, **options)
    assert f"at the starting point is {start:.3g}" in str(caught.value)
    assert f"at step 60000 it was {later:.3g}" in str(caught.value)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_message_gives_the_bound_with_momentum(cubic, momentum):
    bound = stable_step_size(cubic.man, cubic.theta, 1, momentum)
    assert bound == pytest.approx((1 - momentum) * stable_step_size(cubic.man, cubic.theta))
    with pytest.raises(DivergenceError) as caught:
        sgd(cubic, step_size=100 * bound, momentum=momentum)
    assert f"{bound:.3g}" in str(caught.value)
    assert ("with this momentum" in str(caught.value)) == (momentum > 0)


@pytest.mark.parametrize("name", ["cubic", "trained", "signed", "wide_data", "per_sample", "diagonal", "tanh", "sinh"])
@pytest.mark.parametrize("batch", [1, 2, "full"])
def test_auto_is_a_fifth_of_the_stable_one_where_noise_is_weak(name, batch):
    case = problem(name)
    run = mf.label_noise_sgd(case.network, case.X, case.y, case.theta, step_size="auto", n_steps=2000, batch_size=batch,
                             noise=mf.LabelNoise(std=1e-3))  # fmt: skip
    assert run.step_size == pytest.approx(0.2 * stable_step_size(case.man, case.theta, batch))
    assert np.isfinite(run.theta).all()
    assert run.loss[0] < 1.0


@pytest.mark.parametrize("std", [200.0, 1e4])
@pytest.mark.parametrize("batch", [1, "full"])
def test_auto_yields_to_strong_noise(cubic, std, batch):
    noise = mf.LabelNoise("gaussian", std=std)
    fifth = 0.2 * stable_step_size(cubic.man, cubic.theta, batch)
    options = {"noise": noise, "batch_size": batch, "n_steps": 20_000}
    with pytest.raises(DivergenceError):
        sgd(cubic, step_size=fifth, **options)
    run = sgd(cubic, step_size="auto", n_runs=4, **options)
    assert run.step_size < 0.5 * fifth
    assert run.n_steps == 20_000


def test_auto_with_momentum_keeps_the_effective_step(cubic):
    plain = sgd(cubic, step_size="auto", n_steps=1).step_size
    heavy = sgd(cubic, step_size="auto", n_steps=1, momentum=0.75).step_size
    assert heavy == pytest.approx(plain / 4)


def test_auto_takes_the_smallest_over_the_starts_and_follows_a_schedule(cubic):
    other = cubic.man.random_point(rng=9)
    stable = [stable_step_size(cubic.man, theta) for theta in (cubic.theta, other)]
    assert max(stable) > 1.05 * min(stable)
    run = mf.label_noise_sgd(cubic.network, cubic.X, cubic.y, np.stack([cubic.theta, other]), step_size="auto",
                             schedule="linear", noise=mf.LabelNoise(std=1e-3), n_runs=2, n_steps=10)  # fmt: skip
    assert run.step_size == pytest.approx(0.2 * min(stable))
    assert run.flow_time == pytest.approx(run.step_size**2 * np.sum((1 - np.arange(10) / 10) ** 2))


def test_auto_says_so_where_there_is_no_gradient():
    # phi = z^3 has no slope at 0: nothing bounds the step there.
    network = mf.TwoLayerNetwork("z**3", width=2)
    with pytest.raises(InputError, match="found no safe step size"):
        mf.label_noise_sgd(network, np.eye(2), [0.0, 0.0], np.zeros((2, 2)), step_size="auto", n_steps=1)
