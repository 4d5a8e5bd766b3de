"""Which problems are tested when none is named, and how a named one becomes a case."""

from __future__ import annotations

from collections.abc import Sequence

from manifoldflow import datasets

from .records import Case

DEFAULT_DATA = ("digits", "synthetic")
DEFAULT_ACTIVATIONS = ("z**3 + z", "sinh(z)")
DEFAULT_WIDTH = 10


def make_cases(
    data: Sequence[str] = DEFAULT_DATA,
    activations: Sequence[str] = DEFAULT_ACTIVATIONS,
    width: int = DEFAULT_WIDTH,
    seed: int = 0,
    own: Sequence[str] = (),
    output_weights: tuple[float, ...] | str | None = None,
) -> tuple[Case, ...]:
    """Every data set (a name or a file) with every activation; the other arguments are those of `Case`.

    >>> [case.name for case in make_cases()][:2]
    ['digits, z**3 + z', 'digits, sinh(z)']
    """
    sets = [datasets.resolve(name) for name in data]
    return tuple(
        Case(found, activation, width, seed, tuple(own), output_weights)
        for found in sets
        for activation in activations
    )
