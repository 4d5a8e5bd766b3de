"""From a case to its network, by a function that the case holds, so that other networks fit into the same case."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

import manifoldflow as mf
from manifoldflow.network import SIGNED_SQUARES, SQUARES, Network
from manifoldflow.validation import Array

if TYPE_CHECKING:
    from .records import Case

SIGNED, TRAINED = "signed", "trained"
_STREAM = 500  # of the case's seed, for signed weights


def two_layer(case: Case) -> Network:
    """The case's activation in a two-layer network of its width, with its own parameters and output weights.

    >>> from verification.records import Case
    >>> case = Case(mf.datasets.synthetic(n=3, d=5), "tanh(z)", width=4, output_weights="trained")
    >>> two_layer(case).unit.formula
    'c*tanh(z)'
    """
    unit = mf.UnitFunction(case.activation, own=case.own)
    return mf.TwoLayerNetwork(unit, width=case.width, output_weights=_weights(case))


def diagonal(case: Case) -> Network:
    """f = X (u^2 - v^2), a unit a column of the data: nothing of the case but its data has a meaning for it."""
    del case
    return mf.DiagonalLinearNetwork(signed=True)


def squares(case: Case) -> Network:
    """f = X v^2, a unit a column of the data."""
    del case
    return mf.DiagonalLinearNetwork(signed=False)


NETWORKS: dict[str, Callable[[Case], Network]] = {"two-layer": two_layer, "diagonal": diagonal, "squares": squares}
"""The networks that a command or a campaign can name."""

UNITS = {"diagonal": SIGNED_SQUARES.formula, "squares": SQUARES.formula}
"""Those whose units are given with their name: an activation, a width, own parameters and output weights have no
meaning for them.
"""


def title(network: Callable[[Case], Network]) -> str:
    """What the name of a case says of a network whose units are given with its name; "" for others.

    >>> title(squares), title(two_layer)
    ('diagonal linear network v**2', '')
    """
    return next((f"diagonal linear network {unit}" for word, unit in UNITS.items() if NETWORKS[word] is network), "")


def _weights(case: Case) -> Array | str | None:
    given = case.output_weights
    if given is None or given == TRAINED:
        return given
    if given == SIGNED:
        return signed_weights(case.width, np.random.default_rng([case.seed, _STREAM]))
    return np.asarray(given) if isinstance(given, tuple) else given  # another word is refused by the network


def signed_weights(width: int, rng: np.random.Generator) -> Array:
    """Sizes uniform on [1/2, 3/2], half of them negative.

    >>> signed_weights(4, np.random.default_rng(0)).round(2).tolist()
    [-1.14, 0.77, -0.54, 0.52]
    """
    sizes = rng.uniform(0.5, 1.5, size=width)
    return np.asarray(sizes * np.where(np.arange(width) % 2, 1.0, -1.0))
