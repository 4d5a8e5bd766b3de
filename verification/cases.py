"""Which problems are tested when none is named, and how a named one becomes a case."""

from __future__ import annotations

from collections.abc import Sequence

from manifoldflow import datasets
from manifoldflow.validation import one_of

from .networks import NETWORKS, UNITS
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
    network: str = "two-layer",
) -> tuple[Case, ...]:
    """Every data set (a name or a file) with every activation; the other arguments are those of `Case`.

    `network` is "two-layer", or "diagonal", f = X (u^2 - v^2), or "squares", f = X v^2: of these there is one case a
    data set, and activations and width are not read. Raises `InputError` for another word.

    >>> [case.name for case in make_cases()][:2]
    ['digits, z**3 + z', 'digits, sinh(z)']
    >>> [case.name for case in make_cases(network="diagonal")]
    ['digits, diagonal linear network u**2 - v**2', 'synthetic, diagonal linear network u**2 - v**2']
    """
    sets = [datasets.resolve(name) for name in data]
    if one_of("network", network, tuple(NETWORKS)) in UNITS:
        return tuple(
            Case(found, UNITS[network], found.X.shape[1], seed, network=NETWORKS[network]) for found in sets
        )
    return tuple(
        Case(found, activation, width, seed, tuple(own), output_weights)
        for found in sets
        for activation in activations
    )
