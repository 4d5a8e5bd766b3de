"""Label noise and sampling: what a run draws from its stream, in blocks that NumPy fills."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiled.sgd import distinct_samples
from ..errors import InputError
from ..validation import Array, one_of, positive_number, real_array

_KINDS = ("none", "rademacher", "gaussian", "uniform")
SAMPLINGS = ("replacement", "distinct", "epochs")
_USES = 2**15  # of a sample in one block of draws
# The signs that the bits of each byte stand for.
_SIGNS: Array = 1.0 - 2.0 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float64)


@dataclass(frozen=True)
class LabelNoise:
    """Noise added to a label at each use: mean 0, standard deviation `std`, `kind` rademacher, gaussian, uniform or
    none.

    For the full batch the labels' noise may be correlated: with `covariance` (n, n), symmetric and positive
    semi-definite, the noise of a step is C^(1/2) u with independent u_i of that kind and variance 1; `std` stays 1.

    Raises `InputError` for a kind, standard deviation or covariance outside its domain.

    Source: "The flow" in `docs/theory.md`; Li, Wang and Arora (2022) for general covariances.

    >>> LabelNoise("gaussian", std=0.5).variance
    0.25
    >>> LabelNoise(covariance=[[4.0, 0.0], [0.0, 4.0]]).variance, LabelNoise(covariance=[[2, 1], [1, 2]]).variance
    (4.0, nan)
    """

    kind: str = "rademacher"
    std: float = 1.0
    covariance: Any = None  # kept as a tuple of rows, so that equal noises compare equal

    def __post_init__(self) -> None:
        one_of("kind", self.kind, _KINDS)
        positive_number("std", self.std, allow_zero=True)
        if self.covariance is not None:
            object.__setattr__(self, "covariance", self._rows(real_array("covariance", self.covariance, ndim=2)))

    def _rows(self, C: Array) -> tuple[tuple[float, ...], ...]:
        if self.kind == "none" or self.std != 1.0:
            raise InputError(
                f"covariance takes the place of std, which must be 1, and needs noise; got std = {self.std!r} and kind "
                f"{self.kind!r}. Leave std out, or scale the covariance."
            )
        scale = float(np.abs(C).max(initial=0.0))
        if C.shape[0] != C.shape[1] or not C.size or np.abs(C - C.T).max() > 1e-12 * scale:
            raise InputError(
                f"covariance must be a symmetric matrix (n, n); got shape {C.shape}, or it is not symmetric."
            )
        smallest = float(np.linalg.eigvalsh(C)[0])
        if smallest < -1e-10 * scale:
            raise InputError(f"covariance must be positive semi-definite; its smallest eigenvalue is {smallest:.3g}.")
        return tuple(tuple(row) for row in C.tolist())

    @property
    def variance(self) -> float:
        """Variance of one draw; NaN for a covariance that is no multiple of the identity."""
        if self.covariance is None:
            return 0.0 if self.kind == "none" else self.std**2
        C = np.array(self.covariance)
        return float(C[0, 0]) if np.array_equal(C, C[0, 0] * np.eye(len(C))) else float("nan")

    @property
    def largest_std(self) -> float:
        """Largest standard deviation of a label's noise."""
        if self.covariance is None:
            return float(np.sqrt(self.variance))
        return float(np.sqrt(np.diag(np.array(self.covariance)).max()))

    @cached_property
    def root(self) -> Array:
        """The symmetric square root of the covariance, (n, n)."""
        values, vectors = np.linalg.eigh(np.array(self.covariance))
        return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)

    def draw(self, stream: np.random.Generator, shape: tuple[int, int]) -> Array:
        """Noise for `shape` = (steps, samples a step), in C order."""
        if self.covariance is not None:
            return np.ascontiguousarray(_unit_draws(self.kind, stream, shape) @ self.root)
        draws = _unit_draws(self.kind, stream, shape)
        return draws if self.std == 1.0 else np.multiply(draws, self.std, out=draws)


def _unit_draws(kind: str, stream: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Independent draws of mean 0 and variance 1; a sign costs one bit of the stream."""
    if kind == "none":
        return np.zeros(shape)
    if kind == "gaussian":
        return stream.standard_normal(shape)
    if kind == "uniform":
        return np.sqrt(3.0) * (2.0 * stream.random(shape) - 1.0)
    size = shape[0] * shape[1]
    signs = _SIGNS.take(np.frombuffer(stream.bytes(-(-size // 8)), np.uint8), axis=0)
    return signs.reshape(-1)[:size].reshape(shape)


@dataclass(frozen=True)
class Draws:
    """What the steps of a run draw: the samples that each uses, and the noise of their labels.

    `batch` samples of n a step, 0 for all of them. "replacement": independent uniform samples; "distinct": no sample
    twice in a step; "epochs": every sample once before any comes again, in a fresh random order. A block of `steps`
    steps is drawn at once, first all samples, then all noise, whatever the number of steps that are taken of it: a run
    is the beginning of every longer one.

    >>> rows, noise = Draws(5, 2, "epochs", LabelNoise()).block(np.random.default_rng(0))
    >>> np.sort(rows[:5].ravel()).tolist(), noise.shape == rows.shape
    ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], True)
    """

    n: int
    batch: int
    sampling: str
    noise: LabelNoise

    @property
    def uses(self) -> int:
        """Samples a step."""
        return self.batch or self.n

    @cached_property
    def steps(self) -> int:
        """Steps in a block; those of "epochs" end with an epoch."""
        if self.sampling == "epochs" and self.batch:
            period = lcm(self.n, self.batch)
            return max(1, round(_USES / period)) * period // self.batch
        return max(1, _USES // self.uses)

    def block(self, stream: np.random.Generator) -> tuple[NDArray[np.int64], Array]:
        """Samples and noise of the next block, (steps, uses) each."""
        rows = self._rows(stream)
        return rows, self.noise.draw(stream, rows.shape)

    def _rows(self, stream: np.random.Generator) -> NDArray[np.int64]:
        shape = (self.steps, self.uses)
        if self.batch == 0:
            return np.tile(np.arange(self.n), (self.steps, 1))
        if self.sampling == "epochs":
            epochs = self.steps * self.uses // self.n
            return stream.permuted(np.tile(np.arange(self.n), (epochs, 1)), axis=1).reshape(shape)
        if self.sampling == "distinct":
            rows = np.empty(shape, np.int64)
            distinct_samples(stream.integers(0, self.n - np.arange(self.batch), size=shape), np.arange(self.n), rows)
            return rows
        return stream.integers(0, self.n, size=shape)
