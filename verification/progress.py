"""Progress of a long run: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, TextIO

from manifoldflow.integration import FlowProgress
from manifoldflow.sgd import Progress


@dataclass(frozen=True)
class Reached:
    """What a line shows: `text`; `steps` taken; `of` all of them, where their number is known."""

    text: str
    steps: int
    of: int | None = None


@singledispatch
def reached(progress: Any) -> Reached:
    """How far a run is, from what its callback is given; a function for each kind of run."""
    raise TypeError(f"There is no line for {type(progress).__name__}.")


@reached.register
def _(progress: Progress) -> Reached:
    share = 100.0 * progress.steps / progress.n_steps
    return Reached(f"{share:3.0f} % of {progress.n_steps:,} steps", progress.steps, progress.n_steps)


@reached.register
def _(progress: FlowProgress) -> Reached:
    # The steps grow by orders of magnitude along the way: the time that is left cannot be told from those so far.
    end = "" if math.isinf(progress.t_end) else f" of {progress.t_end:.4g}"
    numbers = f"F = {progress.sharpness:.6g}, |grad F| = {progress.gradient_norm:.2e}"
    return Reached(f"{progress.steps:,} {progress.method} steps, t = {progress.t:.4g}{end}, {numbers}", progress.steps)


class ProgressLine:
    """A callback of a run that keeps one line up to date, once in so many `seconds`; `close` clears it.

    >>> import io
    >>> ProgressLine.of(io.StringIO()) is None
    True
    """

    def __init__(self, stream: TextIO, seconds: float = 0.1) -> None:
        self._stream, self._seconds = stream, seconds
        self._begun, self._shown, self._first = time.monotonic(), 0.0, -1

    @classmethod
    def of(cls, stream: TextIO | None = None) -> ProgressLine | None:
        """A line, or None where the stream (standard error) is no terminal."""
        found = sys.stderr if stream is None else stream
        return cls(found) if found.isatty() else None

    def __call__(self, progress: Any) -> None:
        """Show how far the run is and, where its end is known, how long the rest will take at the speed so far."""
        now, found = time.monotonic(), reached(progress)
        if self._first < 0 or found.steps < self._first:  # another run
            self._begun, self._first = now, found.steps
        if now - self._shown < self._seconds:
            return
        self._shown = now
        self._stream.write(f"\r\x1b[K{found.text}{self._left(found, now - self._begun)}")
        self._stream.flush()

    def _left(self, found: Reached, spent: float) -> str:
        gained = found.steps - self._first
        known = gained > 0 and spent >= 10.0 * self._seconds  # the first steps say little about the speed
        return f", {spent / gained * (found.of - found.steps):.0f} s left" if known and found.of is not None else ""

    def close(self) -> None:
        """Clear the line."""
        self._stream.write("\r\x1b[K")
        self._stream.flush()
