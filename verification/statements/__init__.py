"""The statements, one a file; adding one is a file here and a line in `STATEMENTS`."""

from __future__ import annotations

from verification.records import Statement

from . import (
    conservation,
    constants,
    convergence,
    convexity,
    distance,
    hidden_convexity,
    label_noise,
    local_pl,
    minimum,
    stationary,
)

STATEMENTS: tuple[Statement, ...] = (
    stationary.STATEMENT,
    minimum.STATEMENT,
    convexity.STATEMENT,
    convergence.STATEMENT,
    local_pl.STATEMENT,
    distance.STATEMENT,
    constants.STATEMENT,
    conservation.STATEMENT,
    label_noise.STATEMENT,
    hidden_convexity.STATEMENT,
)
"""Every statement that `verify` tests, in the order of the table."""
