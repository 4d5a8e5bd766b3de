"""Step sizes: constant or scheduled, the largest stable one, and a safe one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..compiled import geometry
from ..compiled.sgd import largest_curvature
from ..errors import InputError
from ..manifold import ZeroLossManifold
from ..reproducible import reproducible
from ..validation import Array, one_of, positive_number, real_array
from .noise import LabelNoise

_SCHEDULES: dict[str, Callable[[Array], Array]] = {  # of the fraction of the run, in [0, 1)
    "constant": np.ones_like,
    "linear": lambda x: 1.0 - x,
    "cosine": lambda x: 0.5 * (1.0 + np.cos(np.pi * x)),
}
SCHEDULES = tuple(_SCHEDULES)
_BLOCK = 2**16  # steps summed at once for the clock: always the same ones, so always the same bits
SAFE_FRACTION = 0.2  # of the stable step size that "auto" takes at most
_KICKED_FRACTION = 0.4  # and of the stable one at three standard deviations of the output's fluctuation


@dataclass(frozen=True)
class StepSizes:
    """The step size of every step: `base` times a named schedule, or `given` by an array or a function of the step.

    >>> sizes = StepSizes(0.1, "linear", 4)
    >>> sizes.of(0, 4).tolist()
    [0.1, 0.07500000000000001, 0.05, 0.025]
    >>> round(sizes.sum_of_squares(4), 12)
    0.01875
    """

    base: float
    schedule: str
    n_steps: int
    given: Any = None
    _sums: list[float] = field(default_factory=lambda: [0.0], repr=False, compare=False)

    @property
    def constant(self) -> bool:
        """Whether all steps have the size `base`."""
        return self.given is None and self.schedule == "constant"

    def of(self, first: int, last: int) -> Array:
        """Step sizes of the steps first, ..., last - 1, counted from 0; what is beyond the run is 0."""
        inside = max(0, min(last, self.n_steps) - first)
        sizes = np.zeros(last - first)
        sizes[:inside] = self._sizes(np.arange(first, first + inside))
        return sizes

    def _sizes(self, steps: NDArray[np.int64]) -> Array:
        if self.given is None:
            return self.base * _SCHEDULES[self.schedule](steps / self.n_steps)
        if not callable(self.given):
            return np.asarray(self.given[steps])
        sizes = real_array("step_size(steps)", self.given(steps))
        if sizes.shape != steps.shape or np.any(sizes < 0.0):
            raise InputError(
                "step_size, as a function, must give a step size >= 0 for every entry of the array of step numbers; "
                f"for steps {steps[:1]} to {steps[-1:]} it gave shape {sizes.shape}, smallest value "
                f"{sizes.min(initial=np.inf):.3g}."
            )
        return sizes

    def sum_of_squares(self, n_steps: int) -> float:
        """Sum of eta_k^2 over the first steps: the flow time."""
        if self.constant:
            return self.base**2 * n_steps
        whole = n_steps // _BLOCK
        while len(self._sums) <= whole:
            first = (len(self._sums) - 1) * _BLOCK
            self._sums.append(self._sums[-1] + float(np.sum(self.of(first, first + _BLOCK) ** 2)))
        return self._sums[whole] + float(np.sum(self.of(whole * _BLOCK, n_steps) ** 2))


def step_sizes(step_size: Any, schedule: Any, n_steps: int, automatic: Callable[[], float]) -> StepSizes:
    """Check what the user gave; `automatic` is asked for the base where that is "auto"."""
    name = one_of("schedule", schedule, SCHEDULES)
    if isinstance(step_size, str) and step_size == "auto":
        return StepSizes(automatic(), name, n_steps)
    if not callable(step_size) and not isinstance(step_size, (list, tuple, np.ndarray)):
        if isinstance(step_size, str):
            raise InputError(
                f"step_size must be a number, an array, a function of the step, or 'auto'; got {step_size!r}."
            )
        return StepSizes(positive_number("step_size", step_size), name, n_steps)
    if name != "constant":
        raise InputError(
            f"schedule={name!r} needs one step_size to scale; it got an array or a function. Leave it out."
        )
    if callable(step_size):
        sizes = StepSizes(0.0, name, n_steps, step_size)
        return StepSizes(float(sizes.of(0, 1)[0]), name, n_steps, step_size)
    array = real_array("step_size", step_size, shape=(n_steps,)).copy()
    if np.any(array < 0.0):
        raise InputError(
            f"step_size must be >= 0 at every step; step {int(np.argmax(array < 0.0))} has {array.min():.3g}."
        )
    return StepSizes(float(array[0]), name, n_steps, array)


@reproducible
def stable_step_size(
    manifold: ZeroLossManifold, theta: ArrayLike, batch_size: int | str = 1, momentum: float = 0.0
) -> float:
    """2 / lambda_max of the Hessian of a step's loss at theta: 1 / max_i K_ii, or 1 / lambda_max(K) for the full batch.

    Exact for batches of one and for the full batch on M; for other batches a lower bound. Larger steps diverge. Heavy
    ball of momentum beta multiplies it by 1 + beta for the full batch, where that is exact; for sampled steps, which no
    single matrix describes, by 1 - beta, which keeps the long-run step eta / (1 - beta) within the bound.

    Source: "Step sizes that diverge" in `docs/sgd.md`; Polyak (1964) for heavy ball.

    >>> import manifoldflow as mf
    >>> man = mf.ZeroLossManifold(mf.TwoLayerNetwork("z**3 + z", width=1), [[2.0]], [2.0])
    >>> stable_step_size(man, [[0.5]]), stable_step_size(man, [[0.5]], "full", momentum=0.5)
    (0.015625, 0.0234375)
    """
    W = manifold.coordinates.reduce(real_array("theta", theta, shape=manifold.shape))
    return largest_stable(manifold, W, batch_size in (0, "full"), momentum)


def largest_stable(manifold: ZeroLossManifold, W: Array, full: bool, momentum: float) -> float:
    """`stable_step_size` at reduced coordinates W."""
    work, K = manifold.workspace(), np.empty((manifold.n, manifold.n))
    geometry.residual(W, manifold.problem, work)
    geometry.jacobian_gram(work.g, manifold.gram, K)
    largest = float(np.linalg.eigvalsh(K)[-1]) if full else float(np.diag(K).max())
    return (1.0 + momentum if full else 1.0 - momentum) / largest if largest > 0 else np.inf


def safe_step_size(
    manifold: ZeroLossManifold, starts: list[Array], batch: int, momentum: float, noise: LabelNoise
) -> float:
    """A fifth of the stable step size at the starts, halved until the noise does not lift the curvature too far.

    Noise of standard deviation sigma moves an output by about sigma (eta / stable)^(1/2); at three times that the step
    must be below 0.4 of the stable one. A heuristic: it looks at the starts, and at one sample at a time.
    """
    return min(_safe_step_size(manifold, start, batch, momentum, noise) for start in _distinct(starts))


def _distinct(starts: list[Array]) -> list[Array]:
    return [start for k, start in enumerate(starts) if not any(start is other for other in starts[:k])]


def _safe_step_size(manifold: ZeroLossManifold, start: Array, batch: int, momentum: float, noise: LabelNoise) -> float:
    # The effective step of heavy ball is eta / (1 - beta): keep that within the bound of plain steps.
    stable = stable_step_size(manifold, start, batch)
    curvature = _Curvature(manifold, start)
    here, fraction = curvature.after(0.0), SAFE_FRACTION
    for _ in range(60 if here > 0.0 else 0):
        growth = curvature.after(3.0 * noise.largest_std * np.sqrt(fraction)) / here
        if fraction * growth <= _KICKED_FRACTION:
            return fraction * stable * (1.0 - momentum)
        fraction /= 2.0
    raise InputError(
        "step_size='auto' found no safe step size: the gradient vanishes at the start, or the activation is not finite "
        "close to it. Give a number, or another starting point."
    )


class _Curvature:
    """Largest |grad f_i|^2 when noise has moved the outputs."""

    def __init__(self, manifold: ZeroLossManifold, start: Array) -> None:
        W = manifold.coordinates.reduce(start)
        rank, m, p = manifold.coordinates.rank, manifold.m, manifold.network.p
        self.Z = np.ascontiguousarray((W[:, :rank] @ manifold.problem.R.T).T)
        self.own = np.ascontiguousarray(W[:, rank:].T)
        self.problem, self.a = manifold.problem, np.ascontiguousarray(manifold.a.T)
        self.room = (np.empty((2 + p, m)), np.empty(m), np.empty((p, m)))

    def after(self, kick: float) -> float:
        """The largest, after each output in turn was moved by +-kick; NaN where that cannot be evaluated."""
        with np.errstate(all="ignore"):
            return float(largest_curvature(self.Z, self.own, self.problem, self.a, kick, *self.room))
