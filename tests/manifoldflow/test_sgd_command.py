"""`manifoldflow sgd`: the record that it writes is that of the run it reports."""

import numpy as np
import pytest

import manifoldflow as mf
from verification.commands.sgd import RECORDS, Settings, sgd
from verification.records import Case


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    case = Case(mf.datasets.synthetic(n=3, d=6), "z**3 + z", width=4)
    out = tmp_path_factory.mktemp("sgd")
    text, numbers = sgd(case, Settings(steps=50_000, noise_std=0.5), out)
    with np.load(out / "sgd.npz") as archive:
        return text, numbers, dict(archive), (out / "sgd.svg").read_text(encoding="utf-8")


def test_the_record_is_that_of_the_run(written):
    _, numbers, arrays, _ = written
    steps = arrays["recorded_steps"]
    assert steps[0] == 1
    assert steps[-1] == numbers["steps"] == arrays["steps"] == 50_000
    assert steps.size <= RECORDS
    assert arrays["sharpness"].shape == arrays["recorded_loss"].shape == (steps.size, 2)
    assert arrays["singular_values"].shape == (steps.size, 2, 3)
    np.testing.assert_array_equal(arrays["recorded_loss"][-1], arrays["loss"])
    assert arrays["flow_time"][-1] == pytest.approx(numbers["flow_time"])
    np.testing.assert_allclose(np.diff(arrays["flow_time"]) / np.diff(steps), numbers["flow_time"] / 50_000, rtol=1e-9)


def test_sgd_went_down_with_the_flow(written):
    _, numbers, arrays, _ = written
    assert numbers["sharpness of SGD"] < numbers["sharpness at the start"]
    assert numbers["sharpness of SGD"] == pytest.approx(numbers["sharpness of the flow"], rel=0.1)
    assert arrays["sharpness"][0] == pytest.approx(numbers["sharpness at the start"], rel=0.2)


def test_the_step_size_is_a_safe_one(written):
    _, numbers, _, _ = written
    assert 0.0 < numbers["step_size"] <= 0.2 * numbers["stable_step_size_at_start"] * (1 + 1e-12)


def test_the_plot_is_a_whole_svg_without_links(written):
    text, _, _, svg = written
    assert svg.rstrip().endswith("</svg>")
    assert svg.count("<svg") == 1
    assert "sgd.svg" in text
    assert "sgd.npz" in text
