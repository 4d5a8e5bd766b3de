"""The notes of the statements on the sharper forms: on the right side of 1, and tighter than the statement."""

import re

import numpy as np
import pytest

from verification import STATEMENTS, Evidence
from verification.statements import sharper

NAMES = {"S3": "S3*", "S5": "S5*", "S6": "S6*", "S13": "S13*"}


@pytest.mark.parametrize("name", list(NAMES))
def test_a_note_has_the_ratio_of_the_sharper_form(good: Evidence, name: str) -> None:
    [statement] = [item for item in STATEMENTS if item.id == name]
    measured = statement.measure(good)
    [text] = [text for text in measured.notes if NAMES[name] in text]
    ratio, stated = float(re.findall(r"(\S+) over \d+ points", text)[0]), measured.checks[0].measured
    if name == "S6":
        assert stated < ratio <= 1.0
    else:
        assert ratio >= 1.0 - 1e-4
    if name in ("S3", "S13"):
        assert ratio < stated


def test_no_note_where_an_assumption_fails(dependent: Evidence) -> None:
    assert "A2" in dependent.constants.failing
    assert sharper.note(dependent, "S3*", "ratio", (1 / 0 for _ in range(1))) == ()


def test_no_note_where_the_form_says_nothing(good: Evidence) -> None:
    assert sharper.note(good, "S3*", "ratio", [np.nan]) == ()
