"""Problems made from a case, for the statements that are about other output weights, data or activations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from manifoldflow.datasets import DataSet

from .errors import NotStatedError
from .networks import SIGNED
from .points import Array
from .records import Case

OUTSIDE = "tanh(z)"  # phi''' changes its sign: A1 fails
_REACH = 0.8  # largest |y / m| in the rescaled labels
_SAME = 0.25  # share of that, for labels that are all the same


def signed(case: Case) -> Case:
    """S10: the case with output weights of both signs, drawn from its seed.

    >>> import manifoldflow as mf
    >>> signed(Case(mf.datasets.synthetic(n=3, d=5), "sinh(z)")).name
    'synthetic, sinh(z), signed weights'
    """
    return replace(case, output_weights=SIGNED)


def outside(case: Case) -> Case:
    """S11: the case's samples with tanh and output weights 1, and its labels y / m mapped onto [-0.8, 0.8].

    >>> import manifoldflow as mf
    >>> made = outside(Case(mf.datasets.synthetic(n=3, d=5), "sinh(z)", width=10))
    >>> made.name, bool(abs(made.data.y).max() == 8.0)
    ('synthetic, labels rescaled, tanh(z)', True)
    """
    y = case.data.y
    low, width = float(y.min()), float(np.ptp(y))
    share = 2.0 * (y - low) / width - 1.0 if width else np.full_like(y, _SAME)
    labels = _REACH * case.width * share
    data = _changed(case.data, "labels rescaled", case.data.X, labels)
    return replace(case, data=data, activation=OUTSIDE, output_weights=None)


def dependent(case: Case) -> Case:
    """S12: the case's samples replaced by their best approximation of rank ceil(n / 2), in as many columns.

    Raises `NotStatedError` for one sample, and where that leaves no room to move.

    >>> import manifoldflow as mf
    >>> dependent(Case(mf.datasets.synthetic(n=6, d=20), "sinh(z)")).data.X.shape
    (6, 3)
    """
    n = len(case.data.y)
    rank = (n + 1) // 2
    if rank == n:
        raise NotStatedError("one sample cannot be dependent.")
    if case.width * rank <= n:
        raise NotStatedError(f"{case.width} units on dependent samples of rank {rank} have no room to move at f = y.")
    U, values, _ = np.linalg.svd(case.data.X, full_matrices=False)
    signs = np.sign(U[np.abs(U).argmax(axis=0), np.arange(U.shape[1])])  # whatever signs the SVD has chosen
    return replace(case, data=_changed(case.data, f"cut to rank {rank}", (U * signs * values)[:, :rank], case.data.y))


def _changed(data: DataSet, how: str, X: Array, y: Array) -> DataSet:
    return DataSet(f"{data.name}, {how}", X, y, f"{data.source}; {how}")
