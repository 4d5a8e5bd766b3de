"""One run: its arrays in the layout of the kernel, and its stream."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiled.lines import LANES, whole, zeroed
from ..compiled.pending import GROUP
from ..compiled.sgd import Room, Walk, sgd_steps
from ..manifold import ZeroLossManifold
from ..validation import Array
from .noise import Draws
from .step_size import StepSizes

# Pending terms (see `compiled.sgd`): none for a Z of few rows or few numbers, where forming a row costs more than it
# saves; as many as one sweep over Z adds while Z stays in cache; more where it comes from memory. Measured.
_FEW_ROWS, _FEW = 10, 400
_IN_CACHE, _MANY = 2**19, 32
_MANY_RUNS = 64  # from here on, runs do not keep the half megabyte of their current block between chunks


@dataclass(frozen=True, eq=False)
class Setting:
    """What all runs share."""

    manifold: ZeroLossManifold
    draws: Draws
    sizes: StepSizes
    momentum: float
    n_runs: int = 1

    @property
    def limit(self) -> float:
        """An output error beyond which a run has diverged."""
        return 1e6 * (1.0 + float(np.abs(self.manifold.y).max()))

    @cached_property
    def coefficients(self) -> Array:
        """The fixed coefficients, one sample a row, or one row where all are equal: it then stays in cache."""
        a = self.in_lines(self.manifold.a.T)
        return a[:1].copy() if np.array_equal(a, np.broadcast_to(a[:1], a.shape)) else a

    def scale(self, first: int, last: int) -> Array:
        """What the error of each step is multiplied by: -2 eta / b, over 1 - momentum for q of `compiled.sgd`."""
        if self.sizes.constant and self._constant_scale.size >= last - first:
            return self._constant_scale[: last - first]
        return self._scaled(self.sizes.of(first, last))

    @cached_property
    def _constant_scale(self) -> Array:
        return self._scaled(np.full(self.draws.steps, self.sizes.base))

    def _scaled(self, sizes: Array) -> Array:
        return -2.0 / ((self.draws.batch or 1) * (1.0 - self.momentum)) * sizes

    @property
    def capacity(self) -> int:
        """How many pending terms are kept; 0 where every term is added at once."""
        n, uses = self.manifold.n, self.draws.uses
        size = n * self.manifold.m
        few = n <= _FEW_ROWS or size <= _FEW or self.manifold.coordinates.rank == 0
        if uses == 1 and self.momentum == 0.0 and few:
            return 0
        return whole(max(uses, GROUP if size <= _IN_CACHE else _MANY), GROUP)

    @property
    def width(self) -> int:
        """M, the numbers in a row: where rows are swept, pairs of lines.

        An odd number of them: rows a power of two apart would share a few places in a cache.
        """
        if self.capacity == 0:
            return whole(self.manifold.m)
        pairs = whole(self.manifold.m, 2 * LANES) // (2 * LANES)
        return 2 * LANES * (pairs | 1 if pairs > 7 else pairs)

    def in_lines(self, rows: Array) -> Array:
        """Rows (k, m) in whole lines (k, M), the last unit repeated."""
        padded = zeroed(len(rows), self.width)
        padded[:, : self.manifold.m] = rows
        padded[:, self.manifold.m :] = rows[:, -1:]
        return padded


_NOTHING = (np.empty((0, 1), np.int64), np.empty((0, 1)), np.empty(0))


class Walker:
    """Takes the steps of one run.

    `taken` steps so far; `theta()` the parameters. `state()` and `restore()` carry everything that the rest of the run
    depends on, pending terms and the stream included, so that a resumed run has the same bits.
    """

    def __init__(self, setting: Setting, start: Array, stream: np.random.Generator) -> None:
        self.setting, self.start, self.stream = setting, start, stream
        self._origin = setting.manifold.coordinates.reduce(start)
        self._walk, self._room = _arrays(setting, self._origin)
        self.taken = 0
        self._block_start = 0
        self._before_block: dict[str, Any] = {}
        self._rows, self._noise, self._scale = _NOTHING

    def advance(self, end: int) -> bool:
        """Take steps until there are `end`; False where the run diverged."""
        while self.taken < end:
            self._hold_block()
            last = min(end - self._block_start, len(self._rows))
            reached = sgd_steps(
                self._walk, self._room, self.setting.manifold.problem, self.setting.coefficients,
                self.setting.momentum, self._rows, self._noise, self._scale, self.taken - self._block_start, last,
                self.setting.limit,
            )  # fmt: skip
            self.taken = self._block_start + reached
            if reached < last:
                return False
        if self.setting.n_runs > _MANY_RUNS:
            self._rows, self._noise, self._scale = _NOTHING
        return True

    def _hold_block(self) -> None:
        """Have the draws of the next step."""
        if self._before_block and not self._rows.size:  # given up, or restored: the same block again
            self.stream.bit_generator.state = self._before_block
            self._draw_block(self._block_start)
        if self.taken == self._block_start + len(self._rows):
            self._draw_block(self.taken)

    def _draw_block(self, start: int) -> None:
        self._block_start = start
        self._before_block = dict(self.stream.bit_generator.state)
        draws = self.setting.draws
        self._rows, self._noise = draws.block(self.stream)
        self._scale = self.setting.scale(start, start + len(self._rows))

    def theta(self) -> Array:
        """Parameters now, (m, d + p): the start, moved within the data's span."""
        d = self.setting.manifold.coordinates.d
        way = self._way()
        theta = self.start + self.setting.manifold.coordinates.expand(way)
        theta[:, d:] = self._own()
        return theta

    def reduced(self) -> Array:
        """Parameters in reduced coordinates, (m, r + p)."""
        W = self._origin + self._way()
        W[:, self.setting.manifold.coordinates.rank :] = self._own()
        return W

    def _own(self) -> Array:
        return self._walk.own[:, : self.setting.manifold.m].T

    def _way(self) -> Array:
        """How far the weights have moved, (m, r + p), with zeros for the units' own parameters."""
        man, walk, momentum = self.setting.manifold, self._walk, self.setting.momentum
        moved = walk.moved
        if momentum > 0.0:
            moved = moved - momentum / (1.0 - momentum) * walk.decay[0] * walk.moved_v
        way = np.zeros_like(self._origin)
        np.matmul(moved[:, : man.m].T, man.problem.R, out=way[:, : man.coordinates.rank])
        return way

    def state(self) -> dict[str, NDArray[Any]]:
        """Arrays that hold the run, without pickled objects."""
        position = {"taken": self.taken, "block_start": self._block_start, "before_block": self._before_block}
        return {**self._walk._asdict(), "position": np.array(json.dumps(position, default=_plain))}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Continue from what `state` gave."""
        for name, array in self._walk._asdict().items():
            array[...] = state[name]
        position = json.loads(str(state["position"]))
        self._before_block = _arrays_again(position["before_block"])
        self._block_start, self.taken = position["block_start"], position["taken"]
        self._rows, self._noise, self._scale = _NOTHING


def _plain(value: Any) -> Any:
    """Arrays in the state of a bit generator (MT19937, Philox, SFC64), for JSON."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": str(value.dtype)}
    return value.item()


def _arrays_again(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"array", "dtype"}:
        return np.array(value["array"], dtype=value["dtype"])
    return {key: _arrays_again(part) for key, part in value.items()} if isinstance(value, dict) else value


def _arrays(setting: Setting, W: Array) -> tuple[Walk, Room]:
    man, P, M = setting.manifold, setting.capacity, setting.width
    n, m, p, rank = man.n, man.m, man.network.p, man.coordinates.rank
    rows, own_rows = (n, p) if setting.momentum > 0.0 else (0, 0)
    own = setting.in_lines(W[:, rank:].T)
    walk = Walk(
        q=setting.in_lines((W[:, :rank] @ man.problem.R.T).T), v=zeroed(rows, M),
        moved=zeroed(n, M), moved_v=zeroed(rows, M),
        own=own, own_q=own[:own_rows].copy(), own_v=zeroed(own_rows, M),
        pending=zeroed(M // LANES, P, LANES), members=np.zeros(P, np.int64), boosts=np.zeros(P),
        held=np.zeros(1, np.int64), decay=np.ones(1),
    )  # fmt: skip
    counted = zeroed(M)
    counted[:m] = 1.0
    room = Room(zeroed(2 + p, M), zeroed(M), np.empty(P), zeroed(p, M), counted)
    return walk, room
