"""The examples run, and what they draw can be read by everyone; the README's picture is what its script draws now."""

import importlib
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import manifoldflow as mf

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != "figures")


@pytest.fixture(scope="module", autouse=True)
def importable():
    """The scripts import their neighbour, as they do where they are run."""
    sys.path.insert(0, str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))
    for name in [*NAMES, "figures"]:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def figures(importable) -> dict[str, Figure]:
    """Every figure, drawn once."""
    return {name: importlib.import_module(name).figure() for name in NAMES}


def svg(figure: Figure) -> str:
    with tempfile.TemporaryDirectory() as folder:
        importlib.import_module("figures").save(figure, Path(folder) / "figure.svg")
        return (Path(folder) / "figure.svg").read_text(encoding="utf-8")


def complaints(figure: Figure) -> list[str]:
    """What a journal would send back: an axis without a name, a legend, a colour that some cannot tell from another."""
    palette = importlib.import_module("figures")
    known = {getattr(palette, name).lower() for name in ("BLACK", "BLUE", "ORANGE", "GREEN", "RED", "GREY")}
    found = []
    for axes in figure.axes:
        found += ["an axis without a name"] if not axes.get_xlabel() or not axes.get_title() else []
        found += ["a legend"] if axes.get_legend() else []
        found += ["nothing is labelled"] if not axes.texts else []
        found += [f"colour {to_hex(line.get_color())}" for line in axes.lines if to_hex(line.get_color()) not in known]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_example_draws_something_fit_to_print(name: str, figures: dict[str, Figure]) -> None:
    assert complaints(figures[name]) == []
    assert svg(figures[name]).count("<path") > 50


def test_complaints_are_made() -> None:
    figure = Figure()
    figure.subplots().plot([0, 1], color="#ff0000", label="a")
    figure.axes[0].legend()
    assert len(complaints(figure)) == 4


def test_an_example_is_short() -> None:
    assert len(NAMES) == 5
    assert all(len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= 68 for name in NAMES)


def test_the_collapse_ends_where_the_theorem_says(figures: dict[str, Figure]) -> None:
    left, right = figures["collapse"].axes
    lines = [line.get_ydata() for line in left.lines]
    ends = np.array([line[-1] for line in lines if len(line) > 1]).reshape(3, 20)
    dots = np.array([line[0] for line in lines if len(line) == 1])
    assert np.abs(ends - dots[:, None]).max() < 1e-8
    assert all(line.get_ydata()[-1] < 1e-9 * right.lines[0].get_ydata()[-1] for line in right.lines[1:])


def test_the_mean_of_the_runs_has_order_one(figures: dict[str, Figure]) -> None:
    etas, bias = figures["label_noise"].axes[1].lines[0].get_data()
    assert abs(np.polyfit(np.log(etas), np.log(bias), 1)[0] - 1.0) < 0.1


def test_the_flow_is_not_slower_than_proved(figures: dict[str, Figure]) -> None:
    for axes in figures["rates"].axes:
        excess, squared, global_bound, local_bound = (line.get_ydata() for line in axes.lines)
        assert (excess <= global_bound * (1 + 1e-6)).all()
        assert (squared[-local_bound.size :] <= local_bound * (1 + 1e-6)).all()


def test_units_of_tanh_agree_beyond_the_threshold_only(figures: dict[str, Figure]) -> None:
    axes = figures["tanh"].axes[0]
    for line in (line for line in axes.lines if line.get_marker() == "."):
        ratio, outputs = line.get_xdata()[0], line.get_ydata()
        assert (np.ptp(outputs) < 1e-2) == (ratio > 3**-0.5)


def test_your_own_data_and_activation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = mf.datasets.synthetic(n=3, d=7)
    np.savez(tmp_path / "mine.npz", X=data.X, y=data.y)
    figure = importlib.import_module("own_problem").figure(tmp_path / "mine.npz", "z**3 + 2*z")
    assert "A1               proved" in capsys.readouterr().out
    assert figure.axes[0].lines


def structure(text: str) -> tuple[list[str], int, np.ndarray]:
    """What is written in a picture, how many lines it has, and where its longest ones end."""
    paths = [path for path in re.findall(r' d="([^"]*)"', text) if len(path) > 500]
    ends = np.array([[float(x) for x in re.findall(r"-?[\d.]+", path)[-2:]] for path in paths])
    return re.findall(r"<!-- (.*?) -->", text), text.count("<path"), ends


def test_the_picture_of_the_readme_is_what_the_script_draws(figures: dict[str, Figure]) -> None:
    shown = structure((ROOT / "docs" / "_static" / "collapse.svg").read_text())
    drawn = structure(svg(figures["collapse"]))
    assert shown[:2] == drawn[:2]
    # A point: the smallest singular values are rounding, and leave the picture elsewhere on another processor.
    inside = shown[2][:, 0] < 250
    assert np.abs(shown[2] - drawn[2])[inside].max() < 1.0
