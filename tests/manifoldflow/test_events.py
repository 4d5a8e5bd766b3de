"""Events by SciPy's conventions: direction, the number of the occurrence that ends a run, several at once."""

import numpy as np
import pytest

import manifoldflow as mf
from manifoldflow.errors import InputError
from manifoldflow.events import crossings
from tests.manifoldflow.conftest import problem


def event(function, **attributes):
    """A function of (t, theta) with attributes."""

    def called(t, theta):
        return function(t)

    called.__dict__.update(attributes)
    return called


def flow(*events, end=0.5, **options):
    case = problem("cubic")
    return mf.sharpness_flow(case.man, case.theta, (0.0, end), events=list(events), **options)


def wave(t):
    """Zeros at 0.05, 0.15, ...: downwards first."""
    return np.cos(10.0 * np.pi * t)


def test_the_direction_chooses_between_rising_and_falling_values():
    sol = flow(*(event(wave, direction=way) for way in (0, 1, -1.0)))
    for found, wanted in zip(
        sol.t_events, ([0.05, 0.15, 0.25, 0.35, 0.45], [0.15, 0.35], [0.05, 0.25, 0.45]), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize(("terminal", "end"), [(True, 0.15), (1, 0.15), (2, 0.35), (3, 0.5), (False, 0.5), (0, 0.5)])
def test_a_run_ends_at_the_occurrence_that_is_asked_for(terminal, end):
    sol = flow(event(wave, direction=1, terminal=terminal), callback=lambda _: None)
    assert sol.t[-1] == pytest.approx(end, abs=1e-12)
    assert sol.status == ("event" if end < 0.5 else "reached_end")


def test_occurrences_are_counted_over_pieces_of_a_run(tmp_path):
    path, asked = tmp_path / "run.npz", event(lambda t: wave(20.0 * t), terminal=4)
    options = {"checkpoint": path, "method": "implicit", "rtol": 1e-11}
    part = flow(asked, callback=lambda progress: progress.t > 0.0025, **options)
    assert part.status == "stopped"
    assert 0 < part.t_events[0].size < 4
    whole = flow(asked, **options)
    assert (whole.status, whole.t_events[0].size) == ("event", 4)
    assert whole.t[-1] == pytest.approx(0.35 / 20.0, abs=1e-12)


def test_events_at_one_time_are_all_kept():
    sol = flow(*(event(lambda t: t - 0.2, terminal=ends) for ends in (True, False, 1)), event(lambda t: t - 0.3))
    assert sol.status == "event"
    np.testing.assert_allclose(np.concatenate(sol.t_events[:3]), 0.2, atol=1e-12)
    assert [times.size for times in sol.t_events] == [1, 1, 1, 0]


def test_a_value_that_is_zero_at_a_knot_is_one_crossing():
    t = np.array([0.0, 1.0, 2.0, 3.0])
    for way, wanted in ((0, [1.0]), (1, [1.0]), (-1, [])):
        assert crossings(event(lambda t: t - 1.0, direction=way), t, lambda t: np.zeros(1)) == wanted


@pytest.mark.parametrize(
    ("attributes", "value", "match"),
    [
        ({"terminal": "yes"}, 1.0, "terminal of an event"),
        ({"terminal": -1}, 1.0, "terminal of an event"),
        ({"terminal": 1.5}, 1.0, "terminal of an event"),
        ({"direction": "up"}, 1.0, "direction of an event"),
        ({"direction": np.nan}, 1.0, "direction of an event"),
        ({}, None, "one number; got NoneType"),
        ({}, np.ones(2), "one number; got ndarray"),
    ],
)
def test_bad_events_are_named(attributes, value, match):
    with pytest.raises(InputError, match=match):
        flow(event(lambda t: value, **attributes), end=1e-3)


def test_output_times_after_an_early_end_leave_no_point():
    sol = flow(event(lambda t: t - 0.1, terminal=True), t_eval=[0.2])
    assert sol.theta.shape == (0, *problem("cubic").man.shape)
    assert "event: no points" in repr(sol)
    assert np.isnan(sol.condition)
