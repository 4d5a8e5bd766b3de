"""Progress of a long simulation: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from manifoldflow.sgd import Progress


class ProgressLine:
    """A callback of `label_noise_sgd` that keeps one line up to date, once in so many `seconds`; `close` clears it.

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

    def __call__(self, progress: Progress) -> None:
        """Show how far the run is, and how long the rest will take at the speed so far."""
        now = time.monotonic()
        if self._first < 0 or progress.steps < self._first:  # another run
            self._begun, self._first = now, progress.steps
        if now - self._shown < self._seconds:
            return
        gained, spent, self._shown = progress.steps - self._first, now - self._begun, now
        known = gained > 0 and spent >= 10.0 * self._seconds  # the first steps say little about the speed
        left = f", {spent / gained * (progress.n_steps - progress.steps):.0f} s left" if known else ""
        share = 100.0 * progress.steps / progress.n_steps
        self._stream.write(f"\r\x1b[K{share:3.0f} % of {progress.n_steps:,} steps{left}")
        self._stream.flush()

    def close(self) -> None:
        """Clear the line."""
        self._stream.write("\r\x1b[K")
        self._stream.flush()
