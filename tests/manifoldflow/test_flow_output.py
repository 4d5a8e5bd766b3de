"""What a flow keeps and reports: bounded memory, callbacks, checkpoints, interruptions."""

import pickle
import textwrap
import types

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow import integration
from manifoldflow.errors import CheckpointError, InputError
from tests.manifoldflow.conftest import kill_after, last_line, problem, start_script

pytestmark = pytest.mark.filterwarnings("ignore::manifoldflow.errors.AssumptionWarning")


@pytest.fixture(scope="module")
def cubic():
    return problem("cubic")


# --- memory ---------------------------------------------------------------------------------------


def test_a_memory_limit_keeps_fewer_steps_and_the_same_path(cubic):
    options = {"rtol": 1e-9, "atol": 1e-11, "method": "implicit"}
    full = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 1.0), **options)
    points = full.theta[0].nbytes
    thin = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 1.0), memory_limit=60 * points, **options)
    assert full.stats["record_stride"] == 1
    assert thin.stats["record_stride"] > 1
    assert thin.t.size * points < 70 * points < full.t.size * points
    assert (thin.t[0], thin.t[-1]) == (full.t[0], full.t[-1])
    assert set(thin.t) <= set(full.t)
    np.testing.assert_array_equal(thin.theta[-1], full.theta[-1])
    assert thin.stats["accepted"] == full.stats["accepted"]
    for t in np.linspace(0.0, 1.0, 7):
        np.testing.assert_allclose(thin.sol(t), full.sol(t), atol=2e-8)


def test_polynomials_go_before_steps(cubic):
    full = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.3), method="implicit")
    limit = 3 * full.t.size * full.theta[0].nbytes
    some = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.3), method="implicit", memory_limit=limit)
    np.testing.assert_array_equal(some.t, full.t)
    assert some.path.segments[-1].dense is None
    np.testing.assert_allclose(some.sol(0.123), full.sol(0.123), atol=1e-8)


def test_only_the_output_times_are_kept_when_that_is_asked(cubic):
    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.3), t_eval=[0.1, 0.2], dense_output=False)
    assert sol.t.tolist() == [0.1, 0.2]
    with pytest.raises(InputError, match="dense_output=True"):
        sol.sol(0.1)


# --- callbacks ------------------------------------------------------------------------------------


def test_a_callback_sees_the_run_and_can_stop_it(cubic):
    seen = []

    def watch(progress):
        seen.append(progress)
        return progress.t > 0.1

    sol = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 1.0), rtol=1e-11, method="implicit", callback=watch)
    assert (sol.status, sol.success) == ("stopped", False)
    assert [p.t for p in seen] == sorted(p.t for p in seen)
    assert seen[-2].t <= 0.1 < seen[-1].t == sol.t[-1] < 1.0
    assert seen[-1].t_end == 1.0
    assert seen[-1].steps == sol.stats["accepted"]
    assert seen[-1].sharpness == sol.sharpness[-1]
    assert seen[-1].gradient_norm == sol.gradient_norm[-1]
    np.testing.assert_array_equal(seen[-1].theta, sol.theta[-1])
    assert max(np.diff([0, *(p.steps for p in seen)])) <= 32


def test_a_callback_that_returns_nothing_changes_nothing(cubic):
    plain = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.3))
    watched = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.3), callback=lambda _: None)
    np.testing.assert_array_equal(plain.theta, watched.theta)
    assert watched.status == "reached_end"


# --- checkpoints ----------------------------------------------------------------------------------


class Halt(BaseException):
    """Ends a run where a killed process would."""


def run_in_pieces(case, path, pieces, **options):
    """The solution after as many deaths. Each piece writes one checkpoint, after 32 steps, and dies in the next 32."""
    for _ in range(pieces):
        calls = []

        def die(_, calls=calls):
            calls.append(1)
            if len(calls) == 2:
                raise Halt

        with pytest.raises(Halt):
            mf.sharpness_flow(case.man, case.theta, callback=die, checkpoint=path, checkpoint_interval=0.0, **options)
    return mf.sharpness_flow(case.man, case.theta, callback=lambda _: None, checkpoint=path, **options)


@pytest.mark.parametrize("name", ["cubic", "two_own"])
@pytest.mark.parametrize(("method", "pieces"), [("auto", 1), ("implicit", 3)])
def test_a_run_in_pieces_has_the_bits_of_a_run_in_one_go(name, method, pieces, tmp_path):
    case = problem(name)
    end = 100.0 / np.abs(case.man.hessian_spectrum(case.theta)).max()
    options = {"t_span": (0.0, end), "rtol": 1e-12, "atol": 1e-14, "method": method}
    options["events"] = lambda t, _: t - 0.3 * end
    options["t_eval"] = np.linspace(0.0, end, 9)
    whole = mf.sharpness_flow(case.man, case.theta, **options)
    resumed = run_in_pieces(case, tmp_path / "run.npz", pieces, **options)
    for field in ("t", "theta", "sharpness", "gradient_norm", "residual"):
        np.testing.assert_array_equal(getattr(resumed, field), getattr(whole, field))
    np.testing.assert_array_equal(resumed.t_events[0], whole.t_events[0])
    assert resumed.stats == whole.stats
    np.testing.assert_array_equal(resumed.sol(0.77 * end), whole.sol(0.77 * end))
    assert not list(tmp_path.glob("*.part"))


@pytest.fixture(scope="module")
def sparse():
    """A diagonal network whose flow tends to two features of 60: its samples are turned on the way."""
    X = np.random.default_rng(1000).normal(size=(20, 60))
    man = mf.ZeroLossManifold(mf.DiagonalLinearNetwork(), X, X[:, :2].sum(axis=1))
    return types.SimpleNamespace(man=man, theta=man.random_point(rng=1))


@pytest.mark.parametrize("method", ["auto", "implicit"])
def test_so_has_one_whose_samples_are_turned(sparse, method, tmp_path):
    whole = mf.sharpness_flow(sparse.man, sparse.theta, method=method)
    resumed = run_in_pieces(sparse, tmp_path / "run.npz", 1, method=method)
    assert whole.success
    assert whole.condition > 1e13
    np.testing.assert_array_equal(resumed.theta, whole.theta)
    np.testing.assert_array_equal(resumed.residual, whole.residual)
    for t in np.linspace(whole.t[0], whole.t[-1], 7):
        np.testing.assert_array_equal(resumed.sol(t), whole.sol(t))


def test_points_between_the_last_steps_to_a_singular_end_are_found(sparse):
    sol = mf.sharpness_flow(sparse.man, sparse.theta)
    again = pickle.loads(pickle.dumps(sol))
    thin = mf.sharpness_flow(sparse.man, sparse.theta, memory_limit=40 * sparse.theta.nbytes)
    for t in 0.5 * (sol.t[-12:-1] + sol.t[-11:]):
        assert np.abs(sparse.man.residual(sol.sol(t))).max() < 1e-12
        np.testing.assert_array_equal(again.sol(t), sol.sol(t))
        np.testing.assert_allclose(thin.sol(t), sol.sol(t), atol=1e-7)


def test_a_finished_run_is_read_and_not_run_again(cubic, tmp_path):
    path = tmp_path / "sub" / "run.npz"
    first = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), checkpoint=path)
    calls = []
    again = mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), checkpoint=path, callback=calls.append)
    assert not calls
    assert again.status == first.status
    np.testing.assert_array_equal(again.theta, first.theta)


def test_the_step_limit_can_be_raised_on_going_on(cubic, tmp_path):
    path, options = tmp_path / "run.npz", {"t_span": (0.0, 0.3), "rtol": 1e-10}
    short = mf.sharpness_flow(cubic.man, cubic.theta, checkpoint=path, max_steps=5, **options)
    assert (short.status, short.stats["accepted"]) == ("step_limit", 5)
    assert mf.sharpness_flow(cubic.man, cubic.theta, checkpoint=path, max_steps=5, **options).stats == short.stats
    whole = mf.sharpness_flow(cubic.man, cubic.theta, **options)
    rest = mf.sharpness_flow(cubic.man, cubic.theta, checkpoint=path, **options)
    assert rest.status == "reached_end"
    np.testing.assert_array_equal(rest.theta, whole.theta)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"rtol": 1e-7}, "tolerances"), ({"t_span": (0.0, 0.2)}, "t_span"), ({"method": "implicit"}, "method")],
)
def test_a_checkpoint_of_other_arguments_is_refused(cubic, tmp_path, change, named):
    path, options = tmp_path / "run.npz", {"t_span": (0.0, 0.1), "rtol": 1e-8}
    mf.sharpness_flow(cubic.man, cubic.theta, checkpoint=path, **options)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=named):
        mf.sharpness_flow(cubic.man, cubic.theta, checkpoint=path, **{**options, **change})
    assert path.read_bytes() == before


def test_a_checkpoint_of_other_data_is_refused(cubic, tmp_path):
    path = tmp_path / "run.npz"
    mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), checkpoint=path)
    other = mf.ZeroLossManifold(cubic.man.network, 1.5 * cubic.man.X, cubic.man.y)
    with pytest.raises(CheckpointError, match="network, theta"):
        mf.sharpness_flow(other, other.random_point(rng=0), (0.0, 0.1), checkpoint=path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"\x80\x04.", b"x1,y\n1,2\n"])
def test_a_damaged_checkpoint_is_named(cubic, tmp_path, content):
    path = tmp_path / "run.npz"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"run\.npz is no checkpoint of a sharpness flow, or is damaged") as found:
        mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), checkpoint=path)
    assert "pickle" not in str(found.value)


def test_a_checkpoint_of_a_simulation_is_refused(cubic, tmp_path):
    path = tmp_path / "run.npz"
    mf.label_noise_sgd(cubic.man.network, cubic.man.X, cubic.man.y, cubic.theta, step_size="auto", n_steps=100,
                       checkpoint=path)  # fmt: skip
    with pytest.raises(CheckpointError, match="label-noise SGD"):
        mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_says_where(cubic, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CheckpointError, match="cannot be written"):
        mf.sharpness_flow(cubic.man, cubic.theta, (0.0, 0.1), checkpoint=tmp_path / "file" / "run.npz")


def test_kill_9_loses_nothing_that_was_written(tmp_path):
    script = textwrap.dedent(
        """
        import sys, manifoldflow as mf
        data = mf.datasets.digits()
        man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=20), data.X, data.y)
        theta = man.random_point(rng=0)
        def tell(progress):
            print(progress.steps, flush=True)
        sol = mf.sharpness_flow(man, theta, (0.0, 1.0), rtol=1e-9, dense_output=False, t_eval=[0.1, 1.0],
                                checkpoint=sys.argv[1], checkpoint_interval=0.0, callback=tell)
        print("end", sol.theta.tobytes().hex()[:64], sol.stats["accepted"])
        """
    )
    whole = last_line(start_script(script, tmp_path / "a.npz"))
    kill_after(start_script(script, tmp_path / "b.npz"), 4)
    rest = start_script(script, tmp_path / "b.npz")
    assert int(rest.stdout.readline()) > 32  # it did continue: a run from the start says 32 or less first
    assert last_line(rest) == whole


def test_an_error_of_the_callback_loses_no_step(cubic, tmp_path):
    path, options = tmp_path / "run.npz", {"t_span": (0.0, 0.3), "rtol": 1e-11, "method": "implicit"}

    def divide(progress):
        if progress.steps > 60:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        mf.sharpness_flow(cubic.man, cubic.theta, callback=divide, checkpoint=path, **options)
    seen = []

    def see(progress):
        seen.append(progress.steps)

    rest = mf.sharpness_flow(cubic.man, cubic.theta, callback=see, checkpoint=path, **options)
    assert seen[0] == 96  # after the 64 of which the callback heard
    np.testing.assert_array_equal(rest.theta, mf.sharpness_flow(cubic.man, cubic.theta, **options).theta)


@pytest.mark.parametrize("place", ["implicit_advance", "Segment"])
def test_ctrl_c_between_steps_and_what_keeps_them_loses_none(cubic, tmp_path, monkeypatch, place):
    """The signal of a long compiled loop is heard when the loop returns: its steps are taken, and not yet kept."""
    path, options = tmp_path / "run.npz", {"t_span": (0.0, 0.3), "rtol": 1e-11, "method": "implicit"}
    done, calls = getattr(integration, place), []

    def interrupted(*arguments, **named):
        calls.append(done(*arguments, **named))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return calls[-1]

    whole = mf.sharpness_flow(cubic.man, cubic.theta, **options)
    with monkeypatch.context() as patch:
        patch.setattr(integration, place, interrupted)
        part = mf.sharpness_flow(cubic.man, cubic.theta, checkpoint=path, callback=lambda _: None, **options)
    assert part.status == "interrupted"
    assert 1 < part.t.size < whole.t.size
    rest = mf.sharpness_flow(cubic.man, cubic.theta, checkpoint=path, **options)
    np.testing.assert_array_equal(rest.t, whole.t)
    np.testing.assert_array_equal(rest.theta, whole.theta)


# --- progress is quick to reach -------------------------------------------------------------------


def test_ctrl_c_within_a_long_run_keeps_and_resumes(cubic, tmp_path):
    path, options = tmp_path / "run.npz", {"t_span": (0.0, 0.3), "rtol": 1e-11, "method": "implicit"}

    def interrupt(progress):
        if progress.steps > 60:
            raise KeyboardInterrupt

    first = mf.sharpness_flow(cubic.man, cubic.theta, callback=interrupt, checkpoint=path, **options)
    assert first.status == "interrupted"
    rest = mf.sharpness_flow(cubic.man, cubic.theta, callback=lambda _: None, checkpoint=path, **options)
    whole = mf.sharpness_flow(cubic.man, cubic.theta, **options)
    np.testing.assert_array_equal(rest.theta, whole.theta)


# --- a point that stays ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auto", "explicit", "implicit"])
def test_a_point_whose_gradient_is_zero_stays_to_the_end_of_its_span(method):
    man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", 3), np.eye(2, 4), [0.0, 0.0])
    times, theta = [0.0, 1.0, 2.5, 10.0], np.zeros(man.shape)
    sol = mf.sharpness_flow(man, theta, (0.0, 10.0), method=method, t_eval=times)
    assert (sol.status, sol.t.tolist()) == ("reached_end", times)
    assert not sol.theta.any()
    assert not mf.sharpness_flow(man, theta, (0.0, 10.0), method=method).sol(3.0).any()
    # Where a stationary point is asked for, it is the end.
    assert mf.sharpness_flow(man, theta, (0.0, 10.0), method=method, gradient_tolerance=1e-9).t.tolist() == [0.0]
