"""Which problems are tested when none is named, and how a named one becomes a case."""

from __future__ import annotations

from collections.abc import Sequence

from manifoldflow import datasets
from manifoldflow.datasets import DataSet
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
    formulas = (None,) if one_of("network", network, tuple(NETWORKS)) in UNITS else activations
    return tuple(
        make_case(found, activation, width, seed, tuple(own), output_weights, network)
        for found in sets
        for activation in formulas
    )


def make_case(
    data: DataSet,
    activation: str | None,
    width: int | None,
    seed: int = 0,
    own: tuple[str, ...] = (),
    output_weights: tuple[float, ...] | str | None = None,
    network: str = "two-layer",
) -> Case:
    """The case of a data set; activation and width are not read where the network has units of its own.

    >>> make_case(datasets.synthetic(n=3, d=5), None, None, network="squares").width
    5
    """
    if network in UNITS:
        return Case(data, UNITS[network], data.X.shape[1], seed, network=NETWORKS[network])
    return Case(data, str(activation), int(width or DEFAULT_WIDTH), seed, own, output_weights)
