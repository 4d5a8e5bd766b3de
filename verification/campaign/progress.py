"""Progress of a campaign: one line, kept up to date on a terminal, written now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from .standing import Standing

_OFTEN, _SELDOM = 0.2, 30.0  # seconds between lines on a terminal, and in a file


class Line:
    r"""A callback of `run`; `close` ends the line.

    >>> import io
    >>> line = Line(stream := io.StringIO())
    >>> line(Standing(10, 3, 1, rate=0.5))
    >>> line.close(); stream.getvalue()
    '3 done, 1 failed, 6 left, 12 s to go\n'
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._shown = float("-inf")

    def __call__(self, standing: Standing) -> None:
        """Show how far it is."""
        now = time.monotonic()
        if now - self._shown < (_OFTEN if self._terminal else _SELDOM) and standing.left:
            return
        self._shown = now
        self._stream.write(f"\r\x1b[K{text(standing)}" if self._terminal else f"{text(standing)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Clear the line."""
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def text(standing: Standing) -> str:
    """Done, failed, left, and how long the rest will take at the rate so far.

    >>> text(Standing(4, 1, 0))
    '1 done, 0 failed, 3 left'
    """
    left = standing.seconds_left
    estimate = "" if left is None or not standing.left else f", {_duration(left)} to go"
    return f"{standing.done} done, {standing.failed} failed, {standing.left} left{estimate}"


def _duration(seconds: float) -> str:
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    minutes = seconds / 60.0
    return f"{minutes:.0f} min" if minutes < 100.0 else f"{minutes / 60.0:.1f} h"
