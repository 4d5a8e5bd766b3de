"""`label_noise_sgd`: arguments in, runs advanced together, immutable result out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checkpoint import Arrays, Checkpoint, content_hash
from ..errors import DivergenceError, InputError
from ..manifold import ZeroLossManifold
from ..network import Network
from ..reproducible import reproducible
from ..validation import Array, generator, instance, one_of, positive_integer, positive_number, real_array
from .noise import SAMPLINGS, Draws, LabelNoise
from .records import Recorder, loss, quantities, steps_to_record
from .result import Progress, SGDRun, made_by
from .step_size import largest_stable, safe_step_size, stable_step_size, step_sizes
from .walk import Setting, Walker

_CHUNK_SECONDS = 0.2  # about how long the runs are left alone between looks at the clock and the keyboard

_STATUS = {
    "finished": "{taken} steps were taken in {runs}.",
    "interrupted": "Interrupted: {taken} of {n_steps} steps were taken in {runs}; they are kept.",
    "stopped": "Stopped by the callback: {taken} of {n_steps} steps were taken in {runs}.",
}


@reproducible
def label_noise_sgd(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    theta: ArrayLike,
    *,
    step_size: float | str | ArrayLike | Callable[[NDArray[np.int64]], ArrayLike] = 1e-3,
    noise: LabelNoise | None = None,
    n_steps: int = 10**6,
    batch_size: int | str = 1,
    n_runs: int = 1,
    rng: Any = 0,
    record_every: int | None = None,
    record_at: ArrayLike | None = None,
    record: str | Sequence[str] = ("theta",),
    sampling: str = "replacement",
    momentum: float = 0.0,
    schedule: str = "constant",
    callback: Callable[[Progress], Any] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
) -> SGDRun:
    """Simulate SGD with fresh label noise: theta <- theta - eta grad of the sampled (f_i - y_i - xi_i)^2.

    Args:
        network: the network.
        X: data, (n, d).
        y: labels, (n,).
        theta: starting point (m, d + p), or one for each run (n_runs, m, d + p).
        step_size: eta; one for each step (n_steps,); a function of an array of step numbers 0, 1, ...; or "auto", a
            fifth of the stable one at the start, less where the noise is strong (a heuristic: it can fail far from it).
        noise: `LabelNoise` (None: Rademacher, std 1); kind "none" gives SGD without label noise, or gradient descent.
        n_steps: number of steps.
        batch_size: samples a step (mean gradient), or "full": the gradient of the sum over all samples, each with its
            own noise.
        n_runs: independent runs, each with its own stream spawned from rng; they share the machine's threads, and
            the result is the same bits for any number of threads.
        rng: seed or numpy Generator.
        record_every: record every so many steps, and the last.
        record_at: record these steps, increasing (`log_spaced_steps` gives equal ratios).
        record: what to record: "theta", "loss", "sharpness", "gradient_norm" (of the sharpness, along the level set of
            f), "singular_values" (of the pre-activations, (m, n)). Off M the sharpness is 2 sum_i |grad f_i|^2.
        sampling: "replacement" (independent uniform samples), "distinct" (no sample twice in a step) or "epochs"
            (every sample once before any comes again).
        momentum: beta in [0, 1) of heavy ball, theta_{k+1} = theta_k - eta_k grad + beta (theta_k - theta_{k-1}).
        schedule: "constant"; "linear" or "cosine", which take a step size to 0 over n_steps.
        callback: called with a `Progress` several times a second and at each recorded step; True stops the run.
        checkpoint: a file to save to, and to continue from where it exists: the same bits as an uninterrupted run. A
            finished one gives its result again.
        checkpoint_seconds: time between saves.

    Returns:
        An immutable `SGDRun`. Ctrl-C ends the run with the steps in hand and keeps them.

    Raises:
        InputError: an argument outside its domain, or a record of more than 2 GiB.
        CheckpointError: the checkpoint is damaged, cannot be written, or was made by other arguments.
        DivergenceError: an output error left every bound, noticed at the step that meets it; the message gives the
            stable step size, 2 / lambda_max of the sampled loss's Hessian at the start.

    Source: S9; Li, Wang and Arora (2022) for the clock; `docs/sgd.md` for momentum and schedules.

    >>> import manifoldflow as mf
    >>> data = mf.datasets.synthetic(n=3, d=6, rng=0)
    >>> net = mf.TwoLayerNetwork("z**3 + z", width=4)
    >>> theta = mf.ZeroLossManifold(net, data.X, data.y).random_point(rng=0)
    >>> run = label_noise_sgd(net, data.X, data.y, theta, step_size=1e-3, n_steps=1000, noise=LabelNoise(std=0.1),
    ...                       record_every=500, record=("loss", "sharpness"))
    >>> run.theta.shape, run.flow_time, run.steps.tolist(), run.history["loss"].shape
    ((1, 4, 6), 0.001, [500, 1000], (2, 1))
    """
    manifold = ZeroLossManifold(network, X, y)
    count, runs = positive_integer("n_steps", n_steps), positive_integer("n_runs", n_runs)
    noise = LabelNoise() if noise is None else instance("noise", noise, LabelNoise)
    beta = _momentum(momentum)
    draws = Draws(manifold.n, _batch(batch_size), one_of("sampling", sampling, SAMPLINGS), noise)
    _check_draws(draws)
    starts = _starts(theta, runs, manifold)
    sizes = step_sizes(step_size, schedule, count, lambda: safe_step_size(manifold, starts, draws.batch, beta, noise))
    setting = Setting(manifold, draws, sizes, beta, runs)
    recorder = Recorder(quantities(record), steps_to_record(record_every, record_at, count), manifold, runs)
    stream = generator(rng)
    asked = made_by(setting, stream)
    streams = stream.spawn(runs)
    seconds = positive_number("checkpoint_seconds", checkpoint_seconds, allow_zero=True)
    saved = None
    if checkpoint is not None:
        saved = Checkpoint(checkpoint, "label-noise SGD", _fingerprint(setting, starts, streams, recorder))
    walkers = [Walker(setting, start, stream) for start, stream in zip(starts, streams, strict=True)]
    return _Simulation(setting, walkers, recorder, _callable(callback), saved, seconds).run(asked)


class _Simulation:
    """Advances all runs together, a chunk at a time; between chunks it records, reports and saves."""

    def __init__(
        self, setting: Setting, walkers: list[Walker], recorder: Recorder,
        callback: Callable[[Progress], Any] | None, checkpoint: Checkpoint | None, checkpoint_seconds: float,
    ) -> None:  # fmt: skip
        self.setting, self.walkers, self.recorder = setting, walkers, recorder
        self.callback, self.checkpoint, self.checkpoint_seconds = callback, checkpoint, checkpoint_seconds
        self.n_steps = setting.sizes.n_steps
        self.chunk = _chunk(setting)
        self.saved_at = time.monotonic()
        self._look()

    @property
    def taken(self) -> int:
        """Steps that every run has taken."""
        return min(walker.taken for walker in self.walkers)

    def run(self, asked: tuple[tuple[str, Any], ...]) -> SGDRun:
        """Take all steps, from the checkpoint if there is one; `asked` goes into the result."""
        status = "finished"
        if self.checkpoint is not None:
            self.checkpoint.restore(self._put_back)
            self._look()
        with ThreadPoolExecutor(max_workers=min(len(self.walkers), os.cpu_count() or 1)) as pool:
            try:
                while self.taken < self.n_steps and status == "finished":
                    status = self._advance(pool)
            except KeyboardInterrupt:
                status = "interrupted"
        if status == "interrupted":
            self._catch_up()
        if self.checkpoint is not None:
            self.checkpoint.save(self._snapshot())
        return self._result(status, asked)

    def _snapshot(self) -> dict[str, NDArray[Any]]:
        """Everything that changes while the runs advance, as named arrays."""
        arrays: dict[str, NDArray[Any]] = {"steps": np.array(self.recorder.steps)}
        arrays.update({f"record.{name}": array for name, array in self.recorder.arrays().items()})
        for k, walker in enumerate(self.walkers):
            arrays.update({f"{k}.{name}": array for name, array in walker.state().items()})
        return arrays

    def _put_back(self, arrays: Arrays) -> None:
        """Continue from what `_snapshot` gave."""
        self.recorder.restore(arrays["steps"], {name: arrays[f"record.{name}"] for name in self.recorder.names})
        for k, walker in enumerate(self.walkers):
            prefix = f"{k}."
            walker.restore({key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)})

    def _advance(self, pool: ThreadPoolExecutor) -> str:
        end = min(self.taken + self.chunk, self.n_steps, self.recorder.next_after(self.taken) or self.n_steps)
        futures = [pool.submit(walker.advance, end) for walker in self.walkers]
        wait(futures)
        for walker, future in zip(self.walkers, futures, strict=True):
            if not future.result():
                raise DivergenceError(self._divergence(walker))
        self.recorder.record(end, self.walkers)
        if end - self.looked_at >= self.chunk:
            self._look()
        if self.checkpoint is not None and time.monotonic() - self.saved_at >= self.checkpoint_seconds:
            self.checkpoint.save(self._snapshot())
            self.saved_at = time.monotonic()
        stop = self.callback is not None and self.callback(self._progress(end)) is True
        return "stopped" if stop and end < self.n_steps else "finished"

    def _look(self) -> None:
        """Keep where the runs are, for the bound that a divergence is told with."""
        self.looked_at, self.points = self.taken, [walker.reduced() for walker in self.walkers]

    def _catch_up(self) -> None:
        """After an interrupt: every run to the step that the furthest has reached."""
        end = max(walker.taken for walker in self.walkers)
        for walker in self.walkers:
            if not walker.advance(end):
                raise DivergenceError(self._divergence(walker))
        self.recorder.record(end, self.walkers)

    def _progress(self, taken: int) -> Progress:
        return Progress(taken, self.n_steps, self.setting.sizes.sum_of_squares(taken), self._theta)

    def _theta(self) -> Array:
        return np.stack([walker.theta() for walker in self.walkers])

    def _divergence(self, walker: Walker) -> str:
        setting = self.setting
        number, full = self.walkers.index(walker), setting.draws.batch == 0
        bound = stable_step_size(setting.manifold, walker.start, setting.draws.batch, setting.momentum)
        size = float(setting.sizes.of(walker.taken, walker.taken + 1)[0])
        then = largest_stable(setting.manifold, self.points[number], full, setting.momentum)
        later = f", at step {self.looked_at} it was {then:.3g}" if self.looked_at else ""
        return (
            f"Label-noise SGD diverged at step_size = {size:.3g}: at step {walker.taken} of run "
            f"{number} an output error passed {setting.limit:.1e}. "
            f"The stable bound at the starting point is {bound:.3g} (2 / largest Hessian eigenvalue of the sampled loss"
            f"{', with this momentum' if setting.momentum else ''}){later}; take a step size well below "
            "it, less noise, or step_size='auto'."
        )

    def _result(self, status: str, asked: tuple[tuple[str, Any], ...]) -> SGDRun:
        setting, taken = self.setting, self.taken
        man, sizes = setting.manifold, setting.sizes
        ends = [walker.reduced() for walker in self.walkers]
        theta, numbers = self._theta(), self.recorder.arrays()
        steps = np.array(self.recorder.steps, dtype=np.int64)
        result = SGDRun(
            theta=theta,
            loss=np.array([loss(man, W) for W in ends]),
            n_steps=taken,
            step_size=sizes.base,
            flow_time=sizes.sum_of_squares(taken),
            clock=_clock(setting),
            stable_step_size=largest_stable(man, ends[0], setting.draws.batch == 0, setting.momentum),
            steps=steps,
            flow_times=np.array([sizes.sum_of_squares(int(step)) for step in steps]),
            recorded=numbers.pop("theta"),
            numbers=tuple(numbers.items()),
            status=status,
            message=_STATUS[status].format(taken=taken, n_steps=self.n_steps, runs=_runs(len(self.walkers))),
            asked=asked,
        )
        for array in (result.theta, result.loss, result.steps, result.flow_times, result.recorded, *numbers.values()):
            array.flags.writeable = False
        return result


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"each of {count} runs"


def _clock(setting: Setting) -> float:
    """Time of the sharpness flow per flow time: docs/theory.md, and the effective step eta / (1 - beta)."""
    samples = 1 if setting.draws.batch == 0 else setting.manifold.n * setting.draws.batch
    return setting.draws.noise.variance / (2.0 * samples) / (1.0 - setting.momentum) ** 2


def _chunk(setting: Setting) -> int:
    """Steps that take about `_CHUNK_SECONDS`; what is taken in one go does not change the result."""
    manifold = setting.manifold
    seconds = setting.draws.uses * (2e-8 + 3e-11 * manifold.m * manifold.n)
    return max(1, int(_CHUNK_SECONDS / seconds))


def _fingerprint(
    setting: Setting, starts: list[Array], streams: list[np.random.Generator], recorder: Recorder
) -> dict[str, str]:
    """A hash for every argument that the result depends on."""
    man, draws, sizes = setting.manifold, setting.draws, setting.sizes
    unit = man.network.unit
    probe = np.unique(np.linspace(0, sizes.n_steps - 1, 1001).astype(np.int64))  # a function is known by its values
    shown = sizes.given if isinstance(sizes.given, np.ndarray) else [float(sizes.of(k, k + 1)[0]) for k in probe]
    return {
        "network": content_hash(unit.formula, unit.own, man.a, man.network.inputs(man.X)),
        "X": content_hash(man.X),
        "y": content_hash(man.y),
        "theta": content_hash(*starts),
        "step_size": content_hash(sizes.base, sizes.schedule, shown),
        "noise": content_hash(draws.noise),
        "batch_size": content_hash(draws.batch),
        "sampling": content_hash(draws.sampling),
        "momentum": content_hash(setting.momentum),
        "n_steps": content_hash(sizes.n_steps),
        "n_runs": content_hash(len(starts)),
        "rng": content_hash(*(str(stream.bit_generator.state) for stream in streams)),
        "record": content_hash(recorder.names, recorder.at),
    }


def _momentum(momentum: Any) -> float:
    beta = positive_number("momentum", momentum, allow_zero=True)
    if beta >= 1.0:
        raise InputError(f"momentum must be in [0, 1); got {momentum!r}.")
    return beta if beta >= 1e-16 else 0.0  # below rounding


def _batch(batch_size: int | str) -> int:
    if isinstance(batch_size, str):
        one_of("batch_size", batch_size, ("full",))
        return 0
    return positive_integer("batch_size", batch_size)


def _check_draws(draws: Draws) -> None:
    if draws.sampling != "replacement" and draws.batch > draws.n:
        raise InputError(
            f"batch_size must be at most n = {draws.n} with sampling={draws.sampling!r}; got {draws.batch}."
        )
    C = draws.noise.covariance
    if C is not None and (draws.batch != 0 or len(C) != draws.n):
        raise InputError(
            f"A noise covariance needs batch_size='full' and one row for each of the n = {draws.n} labels; it has "
            f"{len(C)}, and batch_size is {draws.batch or 'full'!r}."
        )


def _callable(callback: Any) -> Callable[[Progress], Any] | None:
    if callback is not None and not callable(callback):
        raise InputError(f"callback must be a function of a Progress; got {type(callback).__name__}.")
    return callback


def _starts(theta: ArrayLike, n_runs: int, manifold: ZeroLossManifold) -> list[Array]:
    starts = real_array("theta", theta)
    if starts.shape == manifold.shape:
        return [starts] * n_runs
    if starts.shape == (n_runs, *manifold.shape):
        return list(starts)
    raise InputError(f"theta must have shape {manifold.shape} or {(n_runs, *manifold.shape)}; got {starts.shape}.")
