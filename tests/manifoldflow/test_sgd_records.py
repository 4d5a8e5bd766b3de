"""What is recorded along a run; callbacks, Ctrl-C, checkpoints and resuming."""

import json
import os
import pickle
import signal

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.errors import CheckpointError, InputError
from manifoldflow.sgd import log_spaced_steps
from manifoldflow.sgd import run as run_module
from tests.manifoldflow.conftest import kill_after, last_line, problem, start_script
from tests.manifoldflow.test_sgd import sgd

EVERYTHING = ("theta", "loss", "sharpness", "gradient_norm", "singular_values")


# --- records --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cubic", "trained", "wide_data"])
def test_the_numbers_are_those_of_the_recorded_points(name):
    case = problem(name)
    run = mf.label_noise_sgd(case.network, case.X, case.y, case.theta, step_size=2e-5, n_steps=60, n_runs=2,
                             noise=mf.LabelNoise(std=1.0), record_every=20, record=EVERYTHING)  # fmt: skip
    assert run.history.keys() == set(EVERYTHING[1:])
    for k in range(3):
        for r in range(2):
            theta = run.recorded[k, r]
            J = case.oracle.jacobian(theta).reshape(case.y.size, -1)
            z = theta[:, : case.X.shape[1]] @ case.X.T
            assert run.history["loss"][k, r] == pytest.approx(case.oracle.loss(theta), rel=1e-9)
            assert run.history["sharpness"][k, r] == pytest.approx(2 * np.sum(J**2), rel=1e-10)
            np.testing.assert_allclose(run.history["singular_values"][k, r], np.linalg.svd(z)[1], rtol=1e-9, atol=1e-12)
    assert np.ptp(run.history["sharpness"]) > 0
    np.testing.assert_array_equal(run.history["loss"][-1], run.loss)


def test_the_gradient_norm_is_that_of_the_sharpness_along_the_level_set(cubic):
    # Off M: y may be moved to f(theta), which makes any theta a point of another M.
    run = sgd(cubic, step_size=1e-3, n_steps=30, record_at=[10, 30], record=("gradient_norm", "theta"))
    for theta, norm in zip(run.recorded[:, 0], run.history["gradient_norm"][:, 0], strict=True):
        level = mf.ZeroLossManifold(cubic.network, cubic.X, cubic.man.predict(theta))
        assert norm == pytest.approx(np.linalg.norm(level.gradient(theta)), rel=1e-9)
    assert np.ptp(run.history["gradient_norm"]) > 1e-6


def test_theta_may_be_left_out(cubic):
    options = {"step_size": 1e-3, "n_steps": 40, "record_every": 10}
    run = sgd(cubic, record="loss", **options)
    assert run.recorded.shape == (0, 1, 4, 5)
    assert run.steps.tolist() == [10, 20, 30, 40]
    assert run.history["loss"].shape == (4, 1)
    np.testing.assert_array_equal(run.theta, sgd(cubic, **options).theta)
    assert sgd(cubic, **options).history == {}


def test_records_are_immutable_and_pickle(cubic):
    run = sgd(cubic, step_size=1e-3, n_steps=4, record_every=2, record=EVERYTHING)
    assert not any(array.flags.writeable for array in (*run.history.values(), run.flow_times))
    with pytest.raises(TypeError):
        run.history["loss"] = 0
    again = pickle.loads(pickle.dumps(run))
    np.testing.assert_array_equal(again.history["sharpness"], run.history["sharpness"])


@pytest.mark.parametrize(("last", "count"), [(1, 5), (10, 3), (10**9, 50), (7, 100)])
def test_log_spaced_steps(last, count):
    steps = log_spaced_steps(last, count)
    assert steps[-1] == last
    assert (np.diff(steps) > 0).all()
    assert steps.size <= count
    assert count == 1 or steps[0] == 1 or last == 1
    ratios = steps[1:] / steps[:-1]
    assert last < 10**6 or np.ptp(np.log(ratios[20:])) < 0.02


BAD = [
    ({"record_at": []}, "record_at"),
    ({"record_at": [0, 5]}, "record_at must increase"),
    ({"record_at": [5, 5]}, "record_at must increase"),
    ({"record_at": [5, 11]}, "n_steps = 10"),
    ({"record_at": [1.5]}, "record_at"),
    ({"record_at": [5], "record_every": 5}, "not both"),
    ({"record": ()}, "record must name"),
    ({"record": "entropy"}, "'singular_values'"),
    ({"record": 3}, "record must name"),
    ({"callback": 3}, "callback"),
    ({"checkpoint": 3}, "checkpoint"),
    ({"checkpoint_seconds": -1.0}, "checkpoint_seconds"),
]


@pytest.mark.parametrize(("options", "match"), BAD, ids=[str(options) for options, _ in BAD])
def test_bad_options(cubic, options, match):
    with pytest.raises(InputError, match=match):
        sgd(cubic, **{"n_steps": 10, **options})


@pytest.mark.parametrize(("n_steps", "every"), [(10**15, 1), (10**12, 10**5 + 1), (10**9, 200)])
def test_a_record_too_large_for_memory_is_refused_at_once(cubic, n_steps, every):
    with pytest.raises(InputError, match=r"at most .*log_spaced_steps") as caught:
        sgd(cubic, n_steps=n_steps, record_every=every, n_runs=3)
    assert "record" in str(caught.value)


# --- callback and Ctrl-C --------------------------------------------------------------------------


def test_the_callback_sees_the_run_and_can_stop_it(cubic):
    seen = []

    def callback(progress):
        seen.append((progress.steps, progress.n_steps, progress.flow_time, progress.theta()))
        return progress.steps >= 40

    options = {"step_size": 1e-3, "n_runs": 2, "record_every": 20}
    run = sgd(cubic, n_steps=100, callback=callback, **options)
    assert [entry[:2] for entry in seen] == [(20, 100), (40, 100)]
    assert seen[1][2] == pytest.approx(40e-6)
    np.testing.assert_array_equal(seen[0][3], run.recorded[0])
    assert (run.status, run.n_steps, run.steps.tolist()) == ("stopped", 40, [20, 40])
    assert "40 of 100" in run.message
    np.testing.assert_array_equal(run.theta, sgd(cubic, n_steps=40, **options).theta)


def test_only_true_stops(cubic):
    run = sgd(cubic, step_size=1e-3, n_steps=100, record_every=50, callback=lambda progress: "a word")
    assert (run.status, run.n_steps) == ("finished", 100)


def interrupt_at(step):
    def callback(progress):
        if progress.steps >= step:
            raise KeyboardInterrupt

    return callback


def test_an_interrupt_keeps_what_was_taken(cubic):
    options = {"step_size": 1e-3, "n_runs": 3, "record_every": 10}
    run = sgd(cubic, n_steps=100, callback=interrupt_at(30), **options)
    assert (run.status, run.n_steps, run.steps.tolist()) == ("interrupted", 30, [10, 20, 30])
    assert "Interrupted: 30 of 100" in run.message
    np.testing.assert_array_equal(run.theta, sgd(cubic, n_steps=30, **options).theta)


def test_an_interrupt_between_runs_brings_all_to_one_step(cubic, monkeypatch):
    # As when Ctrl-C comes while work is handed out: only the first run got its chunk.
    class Pool(run_module.ThreadPoolExecutor):
        def submit(self, *arguments):
            if len(submitted) == 4:
                raise KeyboardInterrupt
            submitted.append(super().submit(*arguments))
            return submitted[-1]

    submitted = []
    monkeypatch.setattr(run_module, "ThreadPoolExecutor", Pool)
    options = {"step_size": 1e-3, "n_runs": 3, "record_every": 10}
    run = sgd(cubic, n_steps=100, **options)
    monkeypatch.undo()
    assert (run.status, run.n_steps) == ("interrupted", 20)
    np.testing.assert_array_equal(run.theta, sgd(cubic, n_steps=20, **options).theta)


# --- checkpoints ----------------------------------------------------------------------------------

SCHEMES = [
    {},
    {"batch_size": 2, "momentum": 0.6, "sampling": "epochs"},
    {"batch_size": "full", "noise": mf.LabelNoise("gaussian", std=0.3), "schedule": "cosine"},
    {"rng": np.random.Generator(np.random.MT19937(3)), "noise": mf.LabelNoise("uniform", std=0.3)},
]


@pytest.mark.parametrize("name", ["cubic", "trained"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=["plain", "momentum", "full", "mt19937"])
def test_a_resumed_run_has_the_same_bits(name, scheme, tmp_path):
    case = problem(name)
    options = {"step_size": 1e-4, "n_steps": 100, "n_runs": 2, "record_every": 7, "record": ("theta", "loss"), **scheme}

    def run(**more):
        rng = {"rng": np.random.Generator(np.random.MT19937(3))} if "rng" in scheme else {}
        return mf.label_noise_sgd(case.network, case.X, case.y, case.theta, **{**options, **rng, **more})

    path = tmp_path / "run.npz"
    whole = run()
    for step in (7, 49):
        part = run(checkpoint=path, callback=interrupt_at(step))
        assert part.status == "interrupted"
        assert part.n_steps == step
    resumed = run(checkpoint=path)
    assert (resumed.status, resumed.n_steps) == ("finished", 100)
    for field in ("theta", "recorded", "steps", "loss", "flow_times"):
        np.testing.assert_array_equal(getattr(resumed, field), getattr(whole, field))
    np.testing.assert_array_equal(resumed.history["loss"], whole.history["loss"])
    finished = run(checkpoint=path, callback=interrupt_at(0))  # nothing is left to do
    np.testing.assert_array_equal(finished.theta, whole.theta)


def test_resuming_in_a_later_block_with_pending_terms(tmp_path):
    # 8 pending terms; the checkpoint lies in the second block of draws, at no multiple of 8.
    rng = np.random.default_rng(0)
    X, theta = rng.normal(size=(40, 40)) / 6.0, rng.normal(size=(70, 40)) / 8.0
    network = mf.TwoLayerNetwork("z**3 + z", width=70)
    y = ((theta @ X.T) ** 3 + theta @ X.T).sum(axis=0)
    options = {"step_size": 2e-5, "n_steps": 40_000, "record_at": [33_333], "noise": mf.LabelNoise(std=0.1)}
    whole = mf.label_noise_sgd(network, X, y, theta, **options)
    path = tmp_path / "run.npz"
    part = mf.label_noise_sgd(network, X, y, theta, checkpoint=path, callback=interrupt_at(33_333), **options)
    assert part.n_steps == 33_333
    resumed = mf.label_noise_sgd(network, X, y, theta, checkpoint=path, **options)
    np.testing.assert_array_equal(resumed.theta, whole.theta)


def test_arrays_of_a_checkpoint_decide(cubic, tmp_path):
    # The control of the tests above: a changed bit in the file changes the result.
    path = tmp_path / "run.npz"
    options = {"step_size": 1e-3, "n_steps": 50, "record_every": 25, "checkpoint": path}
    sgd(cubic, callback=interrupt_at(25), **options)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["0.q"] = np.nextafter(arrays["0.q"], 9.0)
    np.savez(path, **arrays)
    wrong = sgd(cubic, **options)
    path.unlink()
    right = sgd(cubic, **options)
    assert not np.array_equal(wrong.theta, right.theta)


KILLED = """
import sys
import numpy as np
import manifoldflow as mf

data = mf.datasets.synthetic(n=3, d=5, rng=0)
net = mf.TwoLayerNetwork("z**3 + z", width=4)
theta = mf.ZeroLossManifold(net, data.X, data.y).random_point(rng=0)
checkpoint = sys.argv[1] if len(sys.argv) > 1 else None
run = mf.label_noise_sgd(net, data.X, data.y, theta, step_size=1e-4, n_steps=int(sys.argv[2]), n_runs=2, momentum=0.3,
                         noise=mf.LabelNoise("gaussian", std=0.1), record_every=20_000, record=("theta", "loss"),
                         checkpoint=checkpoint or None, checkpoint_seconds=0.0,
                         callback=lambda progress: print("at", progress.steps, flush=True))
print(run.status, run.n_steps, run.theta.tobytes().hex(), run.recorded.sum().hex(), flush=True)
"""
N_STEPS = 4_000_000


def start(path):
    return start_script(KILLED, path, N_STEPS)


def test_killed_and_resumed_runs_have_the_same_bits(tmp_path):
    whole = last_line(start(""))
    path = tmp_path / "run.npz"
    for lines in (3, 5):
        kill_after(start(path), lines)
        assert path.exists()
    process = start(path)
    first = process.stdout.readline()
    assert int(first.split()[1]) > 20_000  # it did continue
    assert last_line(process) == whole
    assert whole.startswith(f"finished {N_STEPS}")


def test_ctrl_c_ends_a_run_with_what_it_has(tmp_path):
    path = tmp_path / "run.npz"
    process = start(path)
    assert process.stdout.readline().startswith("at")
    os.kill(process.pid, signal.SIGINT)
    ended = last_line(process)
    assert process.returncode == 0
    status, taken = ended.split()[:2]
    assert (status, int(taken) < N_STEPS) == ("interrupted", True)


OTHER = [
    ("X", {"X": lambda case: case.X + 1e-9}),
    ("y", {"y": lambda case: case.y + 1e-9}),
    ("theta", {"theta": lambda case: case.theta + 1e-9}),
    ("network", {"network": lambda case: mf.TwoLayerNetwork("z**3 + 2*z", width=4)}),
    ("step_size", {"step_size": lambda case: 2e-3}),
    ("step_size", {"step_size": lambda case: lambda k: 1e-3 + 1e-9 * k}),
    ("noise", {"noise": lambda case: mf.LabelNoise(std=0.2)}),
    ("batch_size", {"batch_size": lambda case: 2}),
    ("sampling", {"sampling": lambda case: "epochs"}),
    ("momentum", {"momentum": lambda case: 0.1}),
    ("n_steps", {"n_steps": lambda case: 60}),
    ("rng", {"rng": lambda case: 1}),
    ("record", {"record_every": lambda case: 10}),
    ("record", {"record": lambda case: "loss"}),
]


@pytest.mark.parametrize(("name", "change"), OTHER, ids=[f"{name}-{k}" for k, (name, _) in enumerate(OTHER)])
def test_a_checkpoint_of_other_arguments_is_refused_by_name(cubic, name, change, tmp_path):
    path = tmp_path / "run.npz"
    good = {"network": cubic.network, "X": cubic.X, "y": cubic.y, "theta": cubic.theta, "step_size": 1e-3,
            "n_steps": 50, "record_every": 25, "checkpoint": path, "noise": mf.LabelNoise(std=0.1)}  # fmt: skip
    mf.label_noise_sgd(**good, callback=interrupt_at(25))
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=rf"other arguments: .*\b{name}\b"):
        mf.label_noise_sgd(**{**good, **{key: make(cubic) for key, make in change.items()}})
    assert path.read_bytes() == before
    assert mf.label_noise_sgd(**good).n_steps == 50


def test_a_checkpoint_of_another_version_is_refused(cubic, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    sgd(cubic, n_steps=5, step_size=1e-3, checkpoint=path)
    monkeypatch.setattr("manifoldflow.checkpoint.np.__version__", "1.0")
    with pytest.raises(CheckpointError, match="version of NumPy differ"):
        sgd(cubic, n_steps=5, step_size=1e-3, checkpoint=path)


class Hostile:
    def __reduce__(self):
        return (print, ("unpickled",))


def damaged(path, kind):
    content = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        path.write_text("not an archive")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(Hostile()))
    elif kind == "pickled member":
        np.savez(path, header=np.array(Hostile(), dtype=object))
    elif kind == "other archive":
        np.savez(path, X=np.zeros(3))
    elif kind == "array lost":
        with np.load(path) as archive:
            arrays = dict(archive)
        del arrays["0.moved"]
        np.savez(path, **arrays)
    else:
        with np.load(path) as archive:
            arrays = dict(archive)
        header = json.loads(str(arrays["header"]))
        arrays["header"] = np.array(json.dumps({**header, "format": "something else"}))
        np.savez(path, **arrays)


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "pickle", "pickled member", "other archive",
                                  "array lost", "other format"])  # fmt: skip
def test_damaged_checkpoints_are_refused(cubic, kind, tmp_path, capsys):
    path = tmp_path / "run.npz"
    sgd(cubic, n_steps=5, step_size=1e-3, checkpoint=path)
    damaged(path, kind)
    with pytest.raises(CheckpointError, match="no checkpoint of label-noise SGD, or is damaged"):
        sgd(cubic, n_steps=5, step_size=1e-3, checkpoint=path)
    assert "unpickled" not in capsys.readouterr().out


def test_a_checkpoint_that_cannot_be_written_keeps_the_last(cubic, tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="cannot be written"):
        sgd(cubic, n_steps=5, step_size=1e-3, checkpoint="/dev/null/run.npz")
    path = tmp_path / "run.npz"
    options = {"step_size": 1e-3, "n_steps": 50, "record_every": 25, "checkpoint": path}
    sgd(cubic, callback=interrupt_at(25), **options)
    before = path.read_bytes()

    def full_disk(stream, **arrays):
        stream.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("manifoldflow.checkpoint.np.savez", full_disk)
    with pytest.raises(CheckpointError, match="No space left"):
        sgd(cubic, **options)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.npz"]
