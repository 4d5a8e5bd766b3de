"""Label-noise SGD, simulated in pre-activation coordinates by a compiled kernel."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .compiled.sgd import sgd_steps
from .errors import DivergenceError, InputError
from .manifold import ZeroLossManifold
from .network import Network
from .reproducible import reproducible
from .validation import Array, generator, instance, one_of, positive_integer, positive_number, real_array

_KINDS = ("none", "rademacher", "gaussian", "uniform")


@dataclass(frozen=True)
class LabelNoise:
    """Noise added to a label at each use: mean 0, standard deviation `std`, `kind` rademacher, gaussian, uniform or
    none.

    >>> LabelNoise("gaussian", std=0.5)
    LabelNoise(kind='gaussian', std=0.5)
    """

    kind: str = "rademacher"
    std: float = 1.0

    def __post_init__(self) -> None:
        one_of("kind", self.kind, _KINDS)
        positive_number("std", self.std, allow_zero=True)

    @property
    def variance(self) -> float:
        """Variance of one draw."""
        return 0.0 if self.kind == "none" else self.std**2


@dataclass(frozen=True, eq=False)
class SGDRun:
    """Result of `label_noise_sgd`.

    `theta` (n_runs, m, d + p) at the end; `loss` (n_runs,), the noiseless sum over samples of (f_i - y_i)^2 there;
    `n_steps`; `flow_time` = step_size^2 n_steps; `clock`: multiply flow_time by it for the time of `sharpness_flow`
    (sigma^2 / (2 n b), or sigma^2 / 2 for the full batch); `stable_step_size`; `steps` (k,), `recorded` (k, n_runs, m,
    d + p) the recorded trajectory (empty without record_every); `message`.
    """

    theta: Array
    loss: Array
    n_steps: int
    step_size: float
    clock: float
    stable_step_size: float
    steps: NDArray[np.int64]
    recorded: Array
    message: str

    @property
    def flow_time(self) -> float:
        """step_size^2 times the number of steps."""
        return self.step_size**2 * self.n_steps

    @property
    def sharpness_flow_time(self) -> float:
        """The time of dTheta/dt = -grad F that the run corresponds to, clock * flow_time."""
        return self.clock * self.flow_time


@reproducible
def label_noise_sgd(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    theta: ArrayLike,
    *,
    step_size: float = 1e-3,
    noise: LabelNoise | None = None,
    n_steps: int = 10**6,
    batch_size: int | str = 1,
    n_runs: int = 1,
    rng: Any = 0,
    record_every: int | None = None,
) -> SGDRun:
    """Simulate SGD with fresh label noise: theta <- theta - eta grad of the sampled (f_i - y_i - xi_i)^2.

    Args:
        network: the network.
        X: data, (n, d).
        y: labels, (n,).
        theta: starting point (m, d + p), or one for each run (n_runs, m, d + p).
        step_size: eta.
        noise: `LabelNoise` (None: Rademacher, std 1).
        n_steps: number of steps.
        batch_size: samples a step, drawn uniformly with replacement (mean gradient), or "full": the gradient of the sum
            over all samples, each with its own noise.
        n_runs: independent runs, each with its own stream spawned from rng; they share the machine's threads, and
            the result is the same bits for any number of threads.
        rng: seed or numpy Generator.
        record_every: keep every so many steps.

    Raises:
        InputError: an argument outside its domain.
        DivergenceError: a run left every bounded region; the message gives the stable step size, 2 / lambda_max of the
            sampled loss's Hessian at the start.

    Source: S9; Li, Wang and Arora (2022) for the clock.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> net = mf.TwoLayerNetwork("z**3 + z", width=4)
    >>> theta = mf.ZeroLossManifold(net, data.X, data.y).random_point(rng=0)
    >>> run = label_noise_sgd(net, data.X, data.y, theta, step_size=1e-3, n_steps=1000, noise=LabelNoise(std=0.1))
    >>> run.theta.shape, run.flow_time
    ((1, 4, 6), 0.001)
    """
    manifold = ZeroLossManifold(network, X, y)
    simulation = _Simulation(
        manifold=manifold,
        step_size=positive_number("step_size", step_size),
        noise=LabelNoise() if noise is None else instance("noise", noise, LabelNoise),
        batch=_batch(batch_size),
        n_steps=positive_integer("n_steps", n_steps),
        record_every=None if record_every is None else positive_integer("record_every", record_every),
    )
    starts = _starts(theta, positive_integer("n_runs", n_runs), manifold)
    return simulation.run([_State(manifold, start, simulation.batch) for start in starts], generator(rng).spawn(n_runs))


@dataclass(frozen=True)
class _Simulation:
    """What all runs share."""

    manifold: ZeroLossManifold
    step_size: float
    noise: LabelNoise
    batch: int  # 0: full
    n_steps: int
    record_every: int | None

    def run(self, states: list[_State], streams: list[np.random.Generator]) -> SGDRun:
        """Advance all runs together, a chunk at a time; Ctrl-C ends with the chunk in hand and keeps it."""
        steps: list[int] = []
        recorded: list[Array] = []
        taken, interrupted = 0, False
        with ThreadPoolExecutor(max_workers=min(len(states), os.cpu_count() or 1)) as pool:
            while taken < self.n_steps and not interrupted:
                count = self._next_chunk(taken)
                interrupted = self._advance_all(pool, states, streams, count)
                taken += count
                if self.record_every and (taken % self.record_every == 0 or taken == self.n_steps):
                    steps.append(taken)
                    recorded.append(np.stack([state.theta() for state in states]))
        return self._result(states, taken, steps, recorded, interrupted)

    def _next_chunk(self, taken: int) -> int:
        """Steps until the next record, and no more than a fraction of a second takes."""
        work = self.manifold.m * self.manifold.n * (self.batch or self.manifold.n)
        interval = self.record_every or self.n_steps
        return min(interval - taken % interval, self.n_steps - taken, max(1, 200_000_000 // work))

    def _advance_all(
        self, pool: ThreadPoolExecutor, states: list[_State], streams: list[np.random.Generator], count: int
    ) -> bool:
        """Take `count` steps of every run; True if Ctrl-C came meanwhile."""
        futures = [
            pool.submit(self._advance, state, stream, count) for state, stream in zip(states, streams, strict=True)
        ]
        interrupted = False
        try:
            wait(futures)
        except KeyboardInterrupt:
            wait(futures)
            interrupted = True
        for state, future in zip(states, futures, strict=True):
            if future.result() < count:
                raise DivergenceError(self._divergence(state))
        return interrupted

    def _advance(self, state: _State, stream: np.random.Generator, count: int) -> int:
        return sgd_steps(
            state.Z, state.c, state.moved, self.manifold.problem, state.a, self.step_size, self.batch,
            _KINDS.index(self.noise.kind), self.noise.std, count, stream, state.limit, state.rows, state.g,
            state.scaled,
        )  # fmt: skip

    def _divergence(self, state: _State) -> str:
        return (
            f"Label-noise SGD diverged at step_size = {self.step_size:.3g}: an output error passed {state.limit:.1e}. "
            f"The stable bound at the starting point is {stable_step_size(self.manifold, state.start, self.batch):.3g} "
            "(2 / largest Hessian eigenvalue of the sampled loss); take a step size well below it, or less noise."
        )

    def _result(
        self, states: list[_State], taken: int, steps: list[int], recorded: list[Array], interrupted: bool
    ) -> SGDRun:
        man = self.manifold
        theta = np.stack([state.theta() for state in states])
        trajectory = np.stack(recorded) if recorded else theta[None][:0]
        loss = np.array([float(np.sum(man.residual(point) ** 2)) for point in theta])
        indices = np.array(steps, dtype=np.int64)
        for array in (theta, trajectory, loss, indices):
            array.flags.writeable = False
        word = f"Interrupted: {taken} of {self.n_steps}" if interrupted else f"{taken}"
        return SGDRun(
            theta=theta,
            loss=loss,
            n_steps=taken,
            step_size=self.step_size,
            clock=self.noise.variance / 2.0 / (1 if self.batch == 0 else man.n * self.batch),
            stable_step_size=stable_step_size(man, theta[0], self.batch),
            steps=indices,
            recorded=trajectory,
            message=f"{word} steps of {len(states)} run(s) were taken.",
        )


class _State:
    """One run's arrays, in the layout of the kernel: one sample a row."""

    def __init__(self, manifold: ZeroLossManifold, start: Array, batch: int) -> None:
        self.manifold, self.start = manifold, start
        self.W = manifold.coordinates.reduce(start)
        self.orthogonal = manifold.coordinates.orthogonal_part(start)
        rank, v = manifold.coordinates.rank, 1 + manifold.network.p
        self.Z = np.ascontiguousarray((self.W[:, :rank] @ manifold.problem.R.T).T)
        self.c = self.W[:, rank:].copy()
        self.moved = np.zeros_like(self.Z)
        self.a = np.ascontiguousarray(manifold.a.T)
        n_rows = batch or manifold.n
        self.rows = np.empty(n_rows, np.int64)
        self.g = np.empty((n_rows, v, manifold.m))
        self.scaled = np.empty_like(self.Z)
        self.limit = 1e6 * (1.0 + float(np.abs(manifold.y).max()))

    def theta(self) -> Array:
        """Parameters of the current state."""
        W = self.W.copy()
        rank = self.manifold.coordinates.rank
        W[:, :rank] += self.moved.T @ self.manifold.problem.R
        W[:, rank:] = self.c
        return self.manifold.coordinates.expand(W) + self.orthogonal


@reproducible
def stable_step_size(manifold: ZeroLossManifold, theta: ArrayLike, batch_size: int | str = 1) -> float:
    """2 / lambda_max of the Hessian of a step's loss at theta: 1 / max_i K_ii, or 1 / lambda_max(K) for the full batch.

    Exact for batches of one and for the full batch on M; for other batches a lower bound. Larger steps diverge.
    """
    K = manifold.jacobian_gram(theta)
    full = batch_size in (0, "full")
    largest = float(np.linalg.eigvalsh(K)[-1]) if full else float(np.diag(K).max())
    return 1.0 / largest if largest > 0 else np.inf


def _batch(batch_size: int | str) -> int:
    if isinstance(batch_size, str):
        one_of("batch_size", batch_size, ("full",))
        return 0
    return positive_integer("batch_size", batch_size)


def _starts(theta: ArrayLike, n_runs: int, manifold: ZeroLossManifold) -> list[Array]:
    starts = real_array("theta", theta)
    if starts.shape == manifold.shape:
        return [starts] * n_runs
    if starts.shape == (n_runs, *manifold.shape):
        return list(starts)
    raise InputError(f"theta must have shape {manifold.shape} or {(n_runs, *manifold.shape)}; got {starts.shape}.")
