"""The statements, one a file; adding one is a file here and a line in `STATEMENTS`."""

from __future__ import annotations

from verification.records import Statement

from . import (
    conservation,
    constants,
    convergence,
    convexity,
    dependent_samples,
    distance,
    finite_step,
    hidden_convexity,
    label_noise,
    local_pl,
    minimum,
    necessity,
    signed_weights,
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
    signed_weights.STATEMENT,
    necessity.STATEMENT,
    dependent_samples.STATEMENT,
    hidden_convexity.STATEMENT,
    finite_step.STATEMENT,
)
"""Every statement that `verify` tests, in the order of the table."""
