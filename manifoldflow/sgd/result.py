"""What a run of label-noise SGD gives, and what its callback sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..immutable import ReadOnlyArrays
from ..validation import Array
from .walk import Setting


@dataclass(frozen=True, eq=False)
class Progress:
    """What a callback sees: `steps` taken of `n_steps`, `flow_time` (sum of eta_k^2), and `theta()` (n_runs, m, d +
    p).
    """

    steps: int
    n_steps: int
    flow_time: float
    theta: Callable[[], Array]


@dataclass(frozen=True, eq=False)
class SGDRun(ReadOnlyArrays):
    """Result of `label_noise_sgd`.

    `theta` (n_runs, m, d + p) at the end; `loss` (n_runs,), the noiseless sum over samples of (f_i - y_i)^2 there;
    `n_steps` taken; `step_size`, the first one; `flow_time`, the sum of eta_k^2, which is step_size^2 n_steps where
    the step size is constant; `clock`: multiply flow_time by it for the time of `sharpness_flow`, sigma^2 / (2 n b) or,
    for the full batch, sigma^2 / 2, over (1 - momentum)^2 (NaN for correlated noise, whose limit is another flow);
    `stable_step_size` at the end of the first run. Recorded: `steps` (k,), `flow_times` (k,), `recorded` (k, n_runs, m,
    d + p), empty unless theta is recorded, and the numbers in `history`. `status` is "finished", "interrupted" or
    "stopped", and `message` says the same in words. `options` is what made the run: unit function, noise, scheme, seed.
    """

    theta: Array
    loss: Array
    n_steps: int
    step_size: float
    flow_time: float
    clock: float
    stable_step_size: float
    steps: NDArray[np.int64]
    flow_times: Array
    recorded: Array
    numbers: tuple[tuple[str, Array], ...]
    status: str
    message: str
    asked: tuple[tuple[str, Any], ...]

    @property
    def sharpness_flow_time(self) -> float:
        """The time of dTheta/dt = -grad F that the run corresponds to, clock * flow_time."""
        return self.clock * self.flow_time

    @property
    def history(self) -> MappingProxyType[str, Array]:
        """Recorded "loss", "sharpness", "gradient_norm" (k, n_runs) and "singular_values" (k, n_runs, min(m, n))."""
        return MappingProxyType(dict(self.numbers))

    @property
    def options(self) -> MappingProxyType[str, Any]:
        """What was asked for, by the names of the arguments, as numbers and texts; `seed` is that of `rng`, or the
        state of its seed sequence in words.
        """
        return MappingProxyType(dict(self.asked))


def made_by(setting: Setting, stream: np.random.Generator) -> tuple[tuple[str, Any], ...]:
    """What makes a run, as numbers and texts; the stream has not been used yet."""
    man, draws, sizes = setting.manifold, setting.draws, setting.sizes
    seeds: Any = stream.bit_generator.seed_seq
    plain = isinstance(seeds.entropy, int) and not seeds.spawn_key and not seeds.n_children_spawned
    given = sizes.given is not None
    return (
        ("unit_function", man.network.unit.formula), ("own_parameters", ", ".join(man.network.unit.own)),
        ("network", repr(man.network)), ("noise", draws.noise.kind), ("noise_std", draws.noise.largest_std),
        ("correlated_noise", draws.noise.covariance is not None), ("n_steps", sizes.n_steps),
        ("batch_size", draws.batch or "full"), ("n_runs", setting.n_runs), ("sampling", draws.sampling),
        ("momentum", setting.momentum), ("schedule", "given" if given else sizes.schedule),
        ("seed", seeds.entropy if plain and seeds.entropy < 2**63 else repr(seeds)),
    )  # fmt: skip
