"""Readers who are colour-blind can tell apart what only a colour tells apart.

Colours are taken through the matrices of Machado, Oliveira and Fernandes (2009, severity 1, on linear RGB) and
compared by their distance in CIELAB; about 2 is the least that can be seen side by side.
"""

import itertools
import runpy
from pathlib import Path

import numpy as np
import pytest

from verification.search import phase_figure

ENOUGH = 20.0
EXAMPLES = runpy.run_path(str(Path(__file__).resolve().parent.parent / "examples" / "figures.py"))

VISION = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ @ np.ones(3)


def lab(colour: str, vision: np.ndarray) -> np.ndarray:
    """A colour "#rrggbb" in CIELAB, as it is seen."""
    shown = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    ratio = TO_XYZ @ np.clip(vision @ linear, 0.0, 1.0) / WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def least_distance(*colours: str) -> float:
    """Of any two of the colours, for any vision."""
    seen = [[lab(colour, vision) for colour in colours] for vision in VISION.values()]
    return min(float(np.linalg.norm(a - b)) for kind in seen for a, b in itertools.combinations(kind, 2))


def test_the_distance_is_that_of_cielab():
    assert lab("#ff0000", VISION["usual"]) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert least_distance("#ffffff", "#000000") == pytest.approx(100.0, abs=0.01)


def test_lines_of_an_example_can_be_told_apart():
    assert least_distance(*(EXAMPLES[name] for name in ("BLACK", "BLUE", "ORANGE"))) > ENOUGH
    assert least_distance(EXAMPLES["BLUE"], EXAMPLES["GREY"]) > ENOUGH


@pytest.mark.parametrize("colours", [phase_figure._KINDS, phase_figure._ENDS], ids=["kinds", "ends"])
def test_areas_of_a_phase_diagram_can_be_told_apart(colours):
    assert least_distance(*colours.values()) > ENOUGH


@pytest.mark.parametrize("pair", [("BLUE", "GREEN"), ("ORANGE", "RED")])
def test_pairs_that_need_a_label_as_well_are_noticed(pair):
    """Blue and green for tritanopes, orange and red for deuteranopes: the examples label them where they meet."""
    assert least_distance(*(EXAMPLES[name] for name in pair)) < ENOUGH
